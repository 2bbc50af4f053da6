"""chat_vector: make an assistant of an adapted model by what instruction tuning changed in its base."""

from dataclasses import replace
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from lingraft.core.stage import Check, Forecast, Job, Needs, Stage, StageConfig

from . import base
from .base import Base, describe, origin


class Instruct(BaseModel):
    """An instruct model that was made from the base."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    model: str = Field(description="A folder beside the recipe, or a hub id (owner/name).")
    revision: str | None = Field(None, description="Commit, tag or branch on the hub.")
    trust_remote_code: bool = Field(False, description="Run Python code that comes with the model.")


class ChatVector(StageConfig):
    """Adds the difference of an instruct model and its base to the adapted model: an assistant without training."""

    kind: Literal["chat_vector"] = "chat_vector"
    model: Annotated[str | None, Needs("model")] = Field(None, description="The adapted one.")
    base: Annotated[str, Needs("model")] = Field("base", description="The model that both were made from.")
    instruct: Instruct
    weight: float = Field(1.0, ge=0, description="How much of the difference is added.")


def check(context: Check) -> None:
    """The instruct model is there, and of the base's architecture where the base is that of the recipe."""
    base.check(_as_base(context))
    before = context.recipe.stages[context.config.base]
    if before.kind == "base":
        from lingraft.graft.chat_vector import check_architecture

        folder = base.config_folder(_instruct(context.config), context.recipe.folder)
        loaded = base.loaded(folder, context.config.instruct.trust_remote_code)
        check_architecture(base.model_config(context.recipe, {})[0], loaded, "instruct", folder)


def outside(context: Check) -> dict[str, str]:
    """What identifies the instruct model."""
    return {f"instruct.{key}": value for key, value in base.outside(_as_base(context)).items()}


def forecast(context: Check) -> Forecast:
    """Three models read, one written."""
    figures = context.figures[context.config.model]
    size, rows = figures.get("weight_bytes") or 0, (figures.get("vocabulary") or 0) * (figures.get("hidden_size") or 0)
    return Forecast(
        reads="adapted model, base, instruct model",
        writes="a model folder",
        memory_bytes=1e9 + 8 * rows,
        disk_bytes=size,
        seconds=5 + size / 100e6,
        figures=figures,
    )


def run(job: Job) -> dict[str, Any]:
    """Write the sum; see `lingraft.graft.chat_vector`."""
    from lingraft.graft.chat_vector import add

    config = job.config
    adapted, before = job.inputs[config.model], job.inputs[config.base]
    instruct = base.source_folder(_instruct(config), job.recipe_folder, job.progress)
    trusted = {model.folder for model in (adapted, before) if model.figures["trust_remote_code"]}
    trusted |= {instruct} if config.instruct.trust_remote_code else set()
    figures = add(
        adapted.folder,
        before.folder,
        instruct,
        job.folder,
        weight=config.weight,
        trusted=trusted,
        progress=job.progress,
    )
    return {**origin(adapted.figures), **describe(job.folder), "instruct": config.instruct.model, **figures}


def _instruct(config: ChatVector) -> Base:
    return Base(**config.instruct.model_dump())


def _as_base(context: Check) -> Check:
    return replace(context, config=_instruct(context.config))


STAGE = Stage(
    "chat_vector",
    1,
    ChatVector,
    makes=("model", "tokenizer"),
    run=run,
    check=check,
    outside=outside,
    forecast=forecast,
)

"""graft: give the base rows for the new tokens, and start them well."""

from typing import Annotated, Any, Literal

from pydantic import Field

from lingraft.core.stage import Check, Forecast, Job, Needs, Stage, StageConfig

from .base import describe, origin


class Graft(StageConfig):
    """How the new rows start."""

    kind: Literal["graft"] = "graft"
    base: Annotated[str | None, Needs("model")] = None
    tokenizer: Annotated[str | None, Needs("extension")] = None
    strategy: Literal["subwords", "gaussian"] = Field(
        "subwords", description="The mean of the old tokens that spell the new one, or drawn at random."
    )


def forecast(context: Check) -> Forecast:
    """The base's parameters and the new rows."""
    base = context.figures[context.config.base]
    new = context.figures[context.config.tokenizer]["new_tokens"]
    tables = 1 if base.get("tied") else 2
    grown = tables * new * (base.get("hidden_size") or 0)
    parameters = (base.get("parameters") or 0) + grown
    width = (base.get("weight_bytes") or 0) / max(1, base.get("parameters") or 1)
    return Forecast(
        reads="base, tokenizer",
        writes="a model folder",
        memory_bytes=5e8 + 8 * grown,
        disk_bytes=parameters * width,
        seconds=3 + parameters * width / 500e6,
        figures={
            **base,
            "parameters": parameters,
            "weight_bytes": parameters * width,
            "vocabulary": (base.get("vocabulary") or 0) + new,
        },
    )


def run(job: Job) -> dict[str, Any]:
    """Write the grafted model; see `lingraft.graft.surgery`."""
    from lingraft.graft.surgery import initialize

    base = job.inputs[job.config.base]
    figures = initialize(
        base.folder,
        job.inputs[job.config.tokenizer].folder,
        job.folder,
        strategy=job.config.strategy,
        seed=job.settings.seed,
        trust_remote_code=base.figures["trust_remote_code"],
        progress=job.progress,
    )
    return {**origin(base.figures), **describe(job.folder), **figures}


STAGE = Stage("graft", 1, Graft, makes=("model", "tokenizer"), run=run, uses=("seed",), forecast=forecast)

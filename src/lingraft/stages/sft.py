"""sft: supervised fine-tuning on conversations, from a base that knows the language to one that answers."""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from lingraft.core import launch
from lingraft.core.errors import RecipeError
from lingraft.core.stage import Check, Forecast, Job, Needs, Stage

from .base import describe, local_folder, origin
from .training_keys import WITHOUT_EFFECT, Training, check_training, expected_seconds, kinds_before, settings_of

BYTES_PER_TOKEN = 3.5
MAKE_TARGET = ("translate", "translate_preferences", "on_policy")
"""Kinds of stages that make records in the target language, whatever they are given."""


class Sft(Training):
    """Which conversations, in which template, and how fast the weights move."""

    kind: Literal["sft"] = "sft"
    model: Annotated[str | None, Needs("model")] = None
    data: Annotated[str | None, Needs("conversations")] = None
    template: str = Field(
        "auto",
        description="The chat template: auto (the model's own, or zephyr for a model that has none), own, zephyr, "
        "llama2, chatml, or a .jinja file beside the recipe.",
    )
    system: Literal["refuse", "into_user", "leave_out"] = Field(
        "refuse",
        description="Where the template drops system messages: an error; before the first user turn; without such "
        "conversations.",
    )
    mix: dict[Literal["target", "replay"], Annotated[float, Field(ge=0)]] = Field(
        {"target": 1.0}, description="Shares of tokens: {target: 0.5, replay: 0.5}."
    )
    epochs: float = Field(1.0, gt=0, description="Passes over the target, or over replay without any target.")
    sequence_tokens: int = Field(2048, ge=16, description="Of a packed row; a longer conversation loses its end.")
    batch_tokens: int = Field(65536, ge=16, description="Tokens an optimizer step sees.")
    lr: float = Field(2e-5, gt=0, description="The highest learning rate.")
    schedule: Literal["cosine", "linear", "constant", "wsd"] = Field(
        "linear", description="How lr falls after the warmup; wsd: late and fast."
    )
    warmup_share: float = Field(0.1, ge=0, lt=1, description="Of all steps, those in which lr rises.")
    weight_decay: float = Field(0.0, ge=0, description="Of all weights but norms and biases.")
    curve_points: int = Field(5, ge=2, description="How often held-out answers are measured on the way.")

    @model_validator(mode="after")
    def _shares(self) -> "Sft":
        if abs(sum(self.mix.values()) - 1) > 1e-6:
            raise ValueError(f"the shares of the mix sum to {sum(self.mix.values()):g}, not 1")
        return self


def check(context: Check) -> None:
    """The batch is made of whole rows, the conversations have what the mix asks for, and the template is there."""
    config = context.config
    multiple = config.sequence_tokens * (config.micro_batch_sequences or 1)
    if config.batch_tokens % multiple:
        raise RecipeError(
            f"batch_tokens ({config.batch_tokens}) is no multiple of {multiple}, "
            f"the tokens of {config.micro_batch_sequences or 1} rows of {config.sequence_tokens}.",
            where="batch_tokens",
            remedy=f"Set it to {max(1, round(config.batch_tokens / multiple)) * multiple}.",
        )
    check_mix(context)
    check_template(context)
    check_training(context)


def check_mix(context: Check) -> None:
    """Raise RecipeError where the mix asks for a stream that the data does not have."""
    config, stages = context.config, context.recipe.stages
    data, made = stages[config.data], set()
    while data.kind in MAKE_TARGET:
        made.add("target")
        if not hasattr(data, "data"):
            break
        data = stages[data.data]
    for stream, share in config.mix.items():
        if share and stream not in made and not getattr(data, stream):
            raise RecipeError(
                f'the mix has {share:.0%} of {stream}, and "{config.data}" has no {stream} sources.',
                where=f"mix.{stream}",
                remedy=f"Give it {stream} sources, or leave {stream} out of the mix.",
            )


def check_template(context: Check) -> None:
    """Raise RecipeError for a template that is not known or a file that is not there."""
    from lingraft.core.registry import did_you_mean

    wanted, known = context.config.template, ("auto", "own", "zephyr", "llama2", "chatml")
    if wanted == "own" and _lacks_template(context):
        raise RecipeError(
            "the base has no chat template of its own, and nothing before this gives it one.",
            where="template",
            remedy="Set it to auto, which gives the model zephyr.",
        )
    if wanted in known:
        return
    path = context.recipe.folder / wanted
    if path.suffix != ".jinja":
        remedy = did_you_mean(wanted, known)
        raise RecipeError(f'there is no template "{wanted}".', where="template", remedy=remedy)
    if not path.is_file():
        raise RecipeError(f"there is no file {path}.", where="template", remedy="It is looked for beside the recipe.")


def _lacks_template(context: Check) -> bool:
    """Whether it is known before the run that the model has none; of a base on the hub it is not."""
    from lingraft.ask.local import has_template

    stages, base = context.recipe.stages, context.recipe.stages["base"]
    if {"sft", "dpo", "chat_vector"} & set(kinds_before(context.config.model, stages)):
        return False
    folder = None if base.model is None else local_folder(base.model, context.recipe.folder)
    return base.model is None or (folder is not None and not has_template(folder))


def outside(context: Check) -> dict[str, str]:
    """The content of a template's file."""
    path: Path = context.recipe.folder / context.config.template
    return {"template": context.content_hash(path)} if path.suffix == ".jinja" else {}


def forecast(context: Check) -> Forecast:
    """Six FLOPs a token and weight; tokens from the bytes of the conversations."""
    config = context.config
    model, data = context.figures[config.model], context.figures[config.data]
    parameters = model.get("parameters") or 0
    tokens = shown_tokens(config, data)
    flops = None if tokens is None else 6.0 * parameters * tokens
    return Forecast(
        reads="model, conversations",
        writes="a model folder",
        tokens=tokens,
        flops=flops,
        memory_bytes=1e9 + 16 * parameters,
        disk_bytes=3 * (model.get("weight_bytes") or 0),
        seconds=None if flops is None else 20 + expected_seconds(context, flops, parameters),
        figures=model,
    )


def shown_tokens(config: Any, data: Any) -> float | None:
    """Those that a fine-tuning sees; None where the size of its data is not known before."""
    first = next(stream for stream in ("target", "replay") if config.mix.get(stream))
    shown = data["streams"].get(first, {}).get("bytes", 0) * config.epochs / config.mix[first]
    return shown / BYTES_PER_TOKEN if shown else None


def run(job: Job) -> dict[str, Any]:
    """Train; see `lingraft.train.sft`."""
    from lingraft.tokenizer.id_ranges import in_ranges
    from lingraft.train.settings import SftSettings
    from lingraft.train.sft import sft

    config, model = job.config, job.inputs[job.config.model]
    figures = sft(
        model.folder,
        job.inputs[config.data].folder,
        job.folder,
        settings_of(config, SftSettings, seed=job.settings.seed),
        template=config.template,
        template_folder=job.recipe_folder,
        new_ids=in_ranges(model.figures.get("new_ids", [])),
        trust_remote_code=model.figures["trust_remote_code"],
        progress=job.progress,
    )
    if launch.rank() > 0:  # the first process writes the folder, and may be done with it by now
        return {}
    return {**origin(model.figures), **describe(job.folder), **figures}


STAGE = Stage(
    "sft",
    1,
    Sft,
    makes=("model", "tokenizer", "tuning"),
    run=run,
    uses=("seed",),
    shared=True,
    no_effect=WITHOUT_EFFECT,
    check=check,
    outside=outside,
    forecast=forecast,
)

"""sft: supervised fine-tuning on conversations, from a base that knows the language to one that answers."""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from lingraft.core.errors import InputError, RecipeError
from lingraft.core.stage import Check, Forecast, Job, Needs, Stage

from .base import describe_positions, local_folder
from .training_keys import WITHOUT_EFFECT, PackedTraining, check_training, kinds_before, settings_of, tune

BYTES_PER_TOKEN = 3.5
MAKE_TARGET = ("translate", "translate_preferences", "on_policy")
"""Kinds of stages that make records in the target language, whatever they are given."""


class Sft(PackedTraining):
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
    """Raise RecipeError for a template that is not known, a file that is not there, and rows beyond all positions.

    Of a base in a local folder, where nothing before has changed it, the template is tried.
    """
    config, stages = context.config, context.recipe.stages
    base = stages["base"]
    folder = None if base.model is None else local_folder(base.model, context.recipe.folder)
    positions = None if folder is None else describe_positions(folder)
    if positions and config.sequence_tokens > positions:
        raise RecipeError(
            f"sequences of {config.sequence_tokens} tokens are longer than the {positions} positions of the base.",
            where="sequence_tokens",
            remedy=f"Set it to {positions} or less.",
        )
    if folder is None or {"sft", "dpo", "chat_vector"} & set(kinds_before(config.model, stages)):
        return
    from lingraft.conversations.template import Template, named
    from lingraft.tokenizer import family

    try:
        tokenizer = family.open(folder)
        Template(tokenizer, named(tokenizer, config.template, context.recipe.folder)[1])
    except InputError as error:
        raise RecipeError(error.what, where=f"template: {error.where}", remedy=error.remedy) from error


def outside(context: Check) -> dict[str, str]:
    """The content of a template's file."""
    path: Path = context.recipe.folder / context.config.template
    return {"template": context.content_hash(path)} if path.suffix == ".jinja" else {}


def forecast(context: Check) -> Forecast:
    """Six FLOPs a token and weight; tokens from the bytes of the conversations."""
    config = context.config
    model, data = context.figures[config.model], context.figures[config.data]
    tokens = _tokens(config, data)
    flops = 6.0 * (model.get("parameters") or 0) * tokens
    return Forecast(
        reads="model, conversations",
        writes="a model folder",
        tokens=tokens,
        flops=flops,
        memory_bytes=1e9 + 16 * (model.get("parameters") or 0),
        disk_bytes=3 * (model.get("weight_bytes") or 0),
        seconds=20 + flops / 2e10,
        figures=model,
    )


def _tokens(config: Sft, data: Any) -> float:
    first = next(stream for stream in ("target", "replay") if config.mix.get(stream))
    shown = data["streams"].get(first, {}).get("bytes", 0) * config.epochs / config.mix[first]
    return max(1.0, shown / BYTES_PER_TOKEN)


def run(job: Job) -> dict[str, Any]:
    """Train; see `lingraft.train.sft`."""
    from lingraft.train.settings import SftSettings
    from lingraft.train.sft import sft

    return tune(job, sft, settings_of(job.config, SftSettings, seed=job.settings.seed))


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

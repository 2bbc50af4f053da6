"""What `sft` and `dpo` have in common: a chat template, shares of two streams, a training on records."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from lingraft.core.errors import InputError, RecipeError
from lingraft.core.stage import Check, Forecast, Job

from .base import describe_positions, local_folder
from .training_keys import Schedule, Training, check_training, expected_seconds, kinds_before, made

BYTES_PER_TOKEN = 3.5
MAKE_TARGET = ("translate", "translate_preferences", "on_policy")
"""Kinds of stages that make records in the target language, whatever they are given."""
MAKE_TEMPLATE = {"sft", "dpo", "chat_vector"}


class Tuning(Training):
    """In which template, which mix, and how fast the weights move."""

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
        {"target": 1.0}, description="Shares of what is shown, in sft of tokens, in dpo of pairs."
    )
    epochs: float = Field(1.0, gt=0, description="Passes over the target, or over replay without any target.")
    sequence_tokens: int = Field(
        2048, ge=16, description="At the most; a longer conversation loses its end, a longer pair is left out."
    )
    schedule: Schedule = Field("linear", description="How lr falls after the warmup; wsd: late and fast.")
    warmup_share: float = Field(0.1, ge=0, lt=1, description="Of all steps, those in which lr rises.")
    weight_decay: float = Field(0.0, ge=0, description="Of all weights but norms and biases.")
    curve_points: int = Field(5, ge=2, description="How often what is held out is measured on the way.")

    @model_validator(mode="after")
    def _shares(self) -> "Tuning":
        if abs(sum(self.mix.values()) - 1) > 1e-6:
            raise ValueError(f"the shares of the mix sum to {sum(self.mix.values()):g}, not 1")
        return self


def check_tuning(context: Check) -> None:
    """The data has what the mix asks for, the template can be learned by, and the training can be carried out."""
    _check_mix(context)
    _check_template(context)
    check_training(context)


def _check_mix(context: Check) -> None:
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


def _check_template(context: Check) -> None:
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
    if folder is None or MAKE_TEMPLATE & set(kinds_before(config.model, stages)):
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


def forecast_tuning(context: Check, flops_a_weight: float) -> Forecast:
    """So many FLOPs a token and weight; tokens from the bytes of the records."""
    config = context.config
    model, data = context.figures[config.model], context.figures[config.data]
    parameters = model.get("parameters") or 0
    tokens = _shown_tokens(config, data)
    flops = None if tokens is None else flops_a_weight * parameters * tokens
    return Forecast(
        reads=f"model, {config.data}",
        writes="a model folder",
        tokens=tokens,
        flops=flops,
        memory_bytes=1e9 + 16 * parameters,
        disk_bytes=3 * (model.get("weight_bytes") or 0),
        seconds=None if flops is None else 20 + expected_seconds(context, flops, parameters),
        figures=model,
    )


def _shown_tokens(config: Tuning, data: Any) -> float | None:
    """Those that a training sees; None where the size of its data is not known before."""
    first = next(stream for stream in ("target", "replay") if config.mix.get(stream))
    shown = data["streams"].get(first, {}).get("bytes", 0) * config.epochs / config.mix[first]
    return shown / BYTES_PER_TOKEN if shown else None


def tune(job: Job, function: Callable[..., dict[str, Any]], settings: Any) -> dict[str, Any]:
    """Train the model of a step on the records of another; figures of the model that comes about."""
    from lingraft.tokenizer.id_ranges import in_ranges

    config, model = job.config, job.inputs[job.config.model]
    figures = function(
        model.folder,
        job.inputs[config.data].folder,
        job.folder,
        settings,
        template=config.template,
        template_folder=job.recipe_folder,
        new_ids=in_ranges(model.figures.get("new_ids", [])),
        trust_remote_code=model.figures["trust_remote_code"],
        progress=job.progress,
    )
    return made(job, figures)

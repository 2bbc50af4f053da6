"""sft: supervised fine-tuning on conversations, from a base that knows the language to one that answers."""

from typing import Annotated, Any, Literal

from pydantic import Field

from lingraft.core.errors import RecipeError
from lingraft.core.stage import Check, Forecast, Job, Needs, Stage

from .training_keys import WITHOUT_EFFECT, PackedTraining, settings_of
from .tuning_keys import Tuning, check_tuning, forecast_tuning, outside, tune


class Sft(Tuning, PackedTraining):
    """Which conversations, in which template, and how fast the weights move."""

    kind: Literal["sft"] = "sft"
    model: Annotated[str | None, Needs("model")] = None
    data: Annotated[str | None, Needs("conversations")] = None
    batch_tokens: int = Field(65536, ge=16, description="Tokens an optimizer step sees.")
    lr: float = Field(2e-5, gt=0, description="The highest learning rate.")


def check(context: Check) -> None:
    """The batch is made of whole rows; see `check_tuning`."""
    config = context.config
    multiple = config.sequence_tokens * (config.micro_batch_sequences or 1)
    if config.batch_tokens % multiple:
        raise RecipeError(
            f"batch_tokens ({config.batch_tokens}) is no multiple of {multiple}, "
            f"the tokens of {config.micro_batch_sequences or 1} rows of {config.sequence_tokens}.",
            where="batch_tokens",
            remedy=f"Set it to {max(1, round(config.batch_tokens / multiple)) * multiple}.",
        )
    check_tuning(context)


def forecast(context: Check) -> Forecast:
    """Two FLOPs a token and weight forward, four back."""
    return forecast_tuning(context, 6.0)


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

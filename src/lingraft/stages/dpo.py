"""dpo: training on preferences, by DPO or one of its kin."""

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from lingraft.core.errors import RecipeError
from lingraft.core.stage import Check, Forecast, Job, Needs, Stage

from .training_keys import WITHOUT_EFFECT, settings_of
from .tuning_keys import Tuning, check_tuning, forecast_tuning, outside, tune

BETA = {"simpo": 2.0}
"""Defaults that are not 0.1: the mean log-probability of a token is smaller than the sum of an answer's."""


class Dpo(Tuning):
    """Which preferences, which loss, and how fast the weights move."""

    kind: Literal["dpo"] = "dpo"
    model: Annotated[str | None, Needs("model")] = None
    data: Annotated[str | None, Needs("preferences")] = None
    loss: Literal["dpo", "ipo", "kto", "orpo", "simpo"] = Field(
        "dpo",
        description="kto takes answers judged one by one too; orpo and simpo do without what the model was before.",
    )
    beta: float | None = Field(
        None,
        gt=0,
        description="How near the model is held to what it was: higher is nearer; in orpo the weight of the odds; 0.1 "
        "by default, of simpo 2.",
    )
    gamma: float | None = Field(None, ge=0, description="The margin that simpo asks for; half of beta by default.")
    batch_pairs: int = Field(32, ge=1, description="Pairs an optimizer step sees; of kto, answers.")
    lr: float = Field(5e-7, gt=0, description="The highest learning rate.")

    @model_validator(mode="after")
    def _own_options(self) -> "Dpo":
        if self.gamma is not None and self.loss != "simpo":
            raise ValueError("gamma is simpo's alone")
        return self


def check(context: Check) -> None:
    """The batch is made of whole micro-batches; see `check_tuning`."""
    config = context.config
    if config.batch_pairs % (config.micro_batch_sequences or 1):
        raise RecipeError(
            f"batch_pairs ({config.batch_pairs}) is no multiple of micro_batch_sequences "
            f"({config.micro_batch_sequences}).",
            where="batch_pairs",
            remedy=f"Set it to {config.micro_batch_sequences}, or a multiple of that.",
        )
    if config.loss == "kto" and (config.micro_batch_sequences or config.batch_pairs) < 2:
        raise RecipeError(
            "kto compares the answers of a batch, and this one has a single answer.",
            where="batch_pairs",
            remedy="Set batch_pairs, and micro_batch_sequences where it is given, to 2 or more.",
        )
    check_tuning(context)


def forecast(context: Check) -> Forecast:
    """Two FLOPs a token and weight forward, four back, and two for what the model said before."""
    return forecast_tuning(context, 8.0)


def run(job: Job) -> dict[str, Any]:
    """Train; see `lingraft.train.dpo`."""
    from lingraft.train.dpo import dpo
    from lingraft.train.settings import DpoSettings

    config = job.config
    beta = config.beta or BETA.get(config.loss, 0.1)
    gamma = beta / 2 if config.gamma is None else config.gamma
    options = {"simpo_gamma": gamma} if config.loss == "simpo" else {}
    return tune(job, dpo, settings_of(config, DpoSettings, seed=job.settings.seed, beta=beta, options=options))


STAGE = Stage(
    "dpo",
    1,
    Dpo,
    makes=("model", "tokenizer", "tuning"),
    run=run,
    uses=("seed",),
    shared=True,
    no_effect=WITHOUT_EFFECT,
    check=check,
    outside=outside,
    forecast=forecast,
)

"""dpo: training on preferences, by DPO or one of its kin."""

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from lingraft.core.errors import RecipeError
from lingraft.core.stage import Check, Forecast, Job, Needs, Stage

from .sft import BYTES_PER_TOKEN, check_mix, check_template, outside
from .training_keys import WITHOUT_EFFECT, Training, check_training, settings_of, tune

BETA = {"simpo": 2.0}
"""Defaults that are not 0.1: the mean log-probability of a token is smaller than the sum of an answer's."""


class Dpo(Training):
    """Which preferences, which loss, and how fast the weights move."""

    kind: Literal["dpo"] = "dpo"
    model: Annotated[str | None, Needs("model")] = None
    data: Annotated[str | None, Needs("preferences")] = None
    template: str = Field("auto", description="The chat template, as in sft.")
    system: Literal["refuse", "into_user", "leave_out"] = Field(
        "refuse", description="Where the template drops system messages, as in sft."
    )
    mix: dict[Literal["target", "replay"], Annotated[float, Field(ge=0)]] = Field(
        {"target": 1.0}, description="Shares of pairs: {target: 0.1, replay: 0.9} as SambaLingo."
    )
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
    epochs: float = Field(1.0, gt=0, description="Passes over the target, or over replay without any target.")
    sequence_tokens: int = Field(2048, ge=16, description="Of prompt and answer; a longer pair is left out.")
    batch_pairs: int = Field(32, ge=1, description="Pairs an optimizer step sees; of kto, answers.")
    lr: float = Field(5e-7, gt=0, description="The highest learning rate.")
    schedule: Literal["cosine", "linear", "constant", "wsd"] = Field(
        "linear", description="How lr falls after the warmup; wsd: late and fast."
    )
    warmup_share: float = Field(0.1, ge=0, lt=1, description="Of all steps, those in which lr rises.")
    weight_decay: float = Field(0.0, ge=0, description="Of all weights but norms and biases.")
    curve_points: int = Field(5, ge=2, description="How often held-out pairs are measured on the way.")

    @model_validator(mode="after")
    def _shares(self) -> "Dpo":
        if abs(sum(self.mix.values()) - 1) > 1e-6:
            raise ValueError(f"the shares of the mix sum to {sum(self.mix.values()):g}, not 1")
        if self.gamma is not None and self.loss != "simpo":
            raise ValueError("gamma is simpo's alone")
        return self


def check(context: Check) -> None:
    """The batch is made of whole micro-batches, the data has what the mix asks for, and the template is there."""
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
    check_mix(context)
    check_template(context)
    check_training(context)


def forecast(context: Check) -> Forecast:
    """Six FLOPs a token and weight, and two for the log-probabilities of what the model was."""
    config = context.config
    model, data = context.figures[config.model], context.figures[config.data]
    first = next(stream for stream in ("target", "replay") if config.mix.get(stream))
    shown = data["streams"].get(first, {}).get("bytes", 0) * config.epochs / config.mix[first]
    tokens = max(1.0, shown / BYTES_PER_TOKEN)
    flops = 8.0 * (model.get("parameters") or 0) * tokens
    return Forecast(
        reads="model, preferences",
        writes="a model folder",
        tokens=tokens,
        flops=flops,
        memory_bytes=1e9 + 16 * (model.get("parameters") or 0),
        disk_bytes=3 * (model.get("weight_bytes") or 0),
        seconds=20 + flops / 2e10,
        figures=model,
    )


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

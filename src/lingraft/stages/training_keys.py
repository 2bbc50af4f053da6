"""What trainings of every kind can be told in a recipe."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

Schedule = Literal["cosine", "linear", "constant", "wsd"]


class Adapters(BaseModel):
    """Low-rank adapters on the linear layers."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    rank: int = Field(64, ge=1, description="Of the two matrices of an adapter.")
    alpha: float = Field(128.0, gt=0, description="Scales the adapters by alpha / rank.")
    dropout: float = Field(0.05, ge=0, lt=1, description="Of what goes into the adapters.")
    variant: Literal["lora", "rslora", "dora"] = Field("lora", description="rslora scales by alpha / sqrt(rank).")
    targets: list[str] | Literal["all-linear"] = Field("all-linear", description="Names of the layers that get one.")
    tables: Literal["full", "new", "frozen"] = Field(
        "new", description="What moves of embeddings and LM head: all, the rows of new tokens, or nothing."
    )
    experts: bool = Field(True, description="Whether experts have adapters too; these have no dropout.")
    router: bool = Field(False, description="Whether what chooses the experts moves, whole.")


class Rows(BaseModel):
    """What holds for the rows of new tokens instead of what holds for the rest."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    lr: float | None = Field(None, gt=0, description="The highest learning rate.")
    weight_decay: float | None = Field(None, ge=0, description="Of these rows.")
    schedule: Schedule | None = Field(None, description="How lr falls after the warmup.")
    warmup_share: float | None = Field(None, ge=0, lt=1, description="Of all steps, those in which lr rises.")


class Alarm(BaseModel):
    """When too much of the replay language is lost."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    limit: float | None = Field(
        None, gt=0, description="Share by which held-out replay may cost more bits than at the start; none: no alarm."
    )
    action: Literal["warn", "raise_replay", "stop", "roll_back"] = Field(
        "warn",
        description="Beyond it: tell; give half of the other text to replay from there on; end; end with the weights "
        "of the last measurement within the limit.",
    )


class Power(BaseModel):
    """How energy is counted and priced."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    country: str | None = Field(
        None, pattern="^[A-Z]{3}$", description="Whose grid, in three letters: POL; the world's mean by default."
    )
    cpu_watts: float | None = Field(
        None, gt=0, description="Of all processors at full load, where they have no counters; guessed by default."
    )
    price_per_kwh: float | None = Field(None, ge=0, description="In any currency.")


class Cut(BaseModel):
    """Shorter sequences for the first part of a training."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    until: float = Field(gt=0, le=1, description="Share of the training that is done by then.")
    tokens: int = Field(ge=8, description="Length of a sequence, a divisor of the pack stage's.")

"""What trainings of every kind can be told in a recipe."""

from collections.abc import Iterator
from importlib.util import find_spec
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from lingraft.core import launch, machine
from lingraft.core.devices import expected_share
from lingraft.core.errors import RecipeError
from lingraft.core.stage import Check, Job, StageConfig

from .base import describe, origin

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


class Training(StageConfig):
    """What moves, and how fast."""

    train: Literal["full", "lora", "qlora", "rows", "embeddings", "top_bottom"] = Field(
        "full",
        description="Which weights move: all; adapters; adapters on a base in 4 bits; the rows of new tokens; "
        "embeddings and LM head; these and two layers at each end.",
    )
    lora: Adapters = Field(Adapters(), description="The adapters, where train is lora or qlora.")
    new_rows: Rows = Field(Rows(), description="What holds for the rows of new tokens instead.")
    micro_batch_sequences: int | None = Field(None, ge=1, description="Sequences at once in memory; all by default.")
    optimizer: Literal["adamw", "adamw_8bit", "paged_adamw_8bit", "muon"] = Field(
        "adamw", description="`muon` takes the layers' matrices, AdamW the rest; 8 bits need bitsandbytes."
    )
    lr: float = Field(1e-4, gt=0, description="The highest learning rate.")
    schedule: Schedule = Field("cosine", description="How lr falls after the warmup; wsd: late and fast.")
    decay_share: float = Field(0.1, gt=0, le=1, description="Of all steps, those in which wsd falls.")
    warmup_share: float = Field(0.01, ge=0, lt=1, description="Of all steps, those in which lr rises.")
    weight_decay: float = Field(0.1, ge=0, description="Of all weights but norms and biases.")
    max_grad_norm: float = Field(1.0, gt=0, description="Longer gradients are clipped to it.")
    gradient_checkpointing: bool = Field(
        False, description="Keep the inputs of layers alone and compute the rest again: less memory, a third more time."
    )
    neftune_alpha: float | None = Field(
        None, gt=0, description="Noise on the embeddings, as NEFTune has it (arXiv 2310.05914); none by default."
    )
    precision: Literal["bf16", "fp32"] | None = Field(
        None,
        description="Of the products; weights are kept in float32. By default bf16 where the machine that trains has "
        "instructions for it, else fp32.",
    )
    checkpoint_minutes: float = Field(10.0, ge=0, description="Minutes of work that a power cut may cost.")
    track: list[Literal["tensorboard", "wandb", "trackio"]] = Field(
        ["tensorboard"], description="Where curves go on the way: a folder of the step, or these services."
    )
    energy: Power = Field(Power(), description="How energy is counted and priced, where codecarbon is installed.")


class PackedTraining(Training):
    """A training on rows that hold several documents or conversations, which do not see each other."""

    attention: Literal["sdpa", "eager"] | None = Field(
        None,
        description="By default on a GPU the kernel for documents of varied length, where it gives what `sdpa` gives; "
        "`eager` is quicker for small models that are compiled for a processor, and takes more memory.",
    )


WITHOUT_EFFECT = frozenset({"checkpoint_minutes", "track", "energy"})


PROCESSOR_FLOPS = 2e10
"""That a fine-tuning reaches a second on a processor."""


def expected_seconds(context: Check, flops: float, parameters: float) -> float:
    """Of a fine-tuning: on the devices that it is planned for, else on a processor."""
    target = context.target
    if target is None:
        return flops / PROCESSOR_FLOPS
    device = target.device
    return flops / (expected_share(device, parameters) * device.flops_per_second * target.num_devices)


def check_training(context: Check) -> None:
    """What a training needs is installed, the devices can do it, and rows that are to move are there."""
    config = context.config
    if "graft" not in kinds_before(config.model, context.recipe.stages) and (
        config.train == "rows" or config.new_rows != Rows()
    ):
        raise RecipeError(
            f'the model "{config.model}" has no new rows: no graft comes before it.',
            where="train" if config.train == "rows" else "new_rows",
            remedy="Put the stages tokenizer and graft before it, or leave this out.",
        )
    if context.target is not None:
        return
    for where, chosen, package, extra in _packages(config):
        if find_spec(package) is None:
            raise RecipeError(
                f"{chosen} needs {package}, which is not installed.",
                where=where,
                remedy=f"pip install 'lingraft[{extra}]'",
            )
    lacking = [gpu.name for gpu in machine.gpus() if not gpu.bf16]
    if config.precision == "bf16" and lacking:
        raise RecipeError(f"{lacking[0]} does not multiply in bfloat16.", where="precision", remedy="Set it to fp32.")


def kinds_before(name: str, stages: Any) -> list[str]:
    """The kinds of the steps that made a model, the last first."""
    kinds = [stages[name].kind]
    while kinds[-1] != "base":
        name = stages[name].base if kinds[-1] == "graft" else stages[name].model
        kinds.append(stages[name].kind)
    return kinds


def settings_of(config: Training, kind: type, **own: Any) -> Any:
    """The settings of `kind`, a dataclass of lingraft.train.settings, with all keys that the config shares with it.

    The precision that it leaves open is what the machine that trains has, which the fingerprint does not know.
    """
    from dataclasses import fields

    from lingraft.train import energy
    from lingraft.train.settings import Energy, Lora, NewRows

    own.setdefault("precision", config.precision or machine.precision())
    shared = ({field.name for field in fields(kind)} & set(type(config).model_fields)) - own.keys()
    parts = {"lora": Lora, "new_rows": NewRows}
    return kind(
        **config.model_dump(include=shared - parts.keys() - {"energy"}),
        **{name: part(**getattr(config, name).model_dump()) for name, part in parts.items()},
        energy=Energy(**config.energy.model_dump()) if energy.installed() else None,
        **own,
    )


def _packages(config: Training) -> Iterator[tuple[str, str, str, str]]:
    if config.optimizer.endswith("8bit"):
        yield "optimizer", config.optimizer, "bitsandbytes", "gpu"
    if config.train == "qlora":
        yield "train", config.train, "bitsandbytes", "gpu"
    if config.energy != Power():
        yield "energy", "counting energy", "codecarbon", "energy"
    for name in config.track:
        if name != "tensorboard":
            yield "track", name, name, "track"


def made(job: Job, figures: dict[str, Any]) -> dict[str, Any]:
    """The figures of a step that has trained its model, and of the model that came about."""
    if launch.rank() > 0:  # the first process writes the folder, and may be done with it by now
        return {}
    return {**origin(job.inputs[job.config.model].figures), **describe(job.folder), **figures}

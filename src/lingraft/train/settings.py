"""What a training can be told; the stage `pretrain` has the same keys with their explanations."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

ALL_LINEAR = "all-linear"
WITHOUT_EFFECT = (
    "checkpoint_minutes",
    "micro_batch_sequences",
    "gradient_checkpointing",
    "track",
    "energy",
    "keep_state",
)
"""Settings that may change where a training goes on: they decide its speed and memory, not its result."""


@dataclass(frozen=True)
class Lora:
    """Low-rank adapters (Hu et al. 2021, arXiv 2106.09685)."""

    rank: int = 64
    alpha: float = 128.0
    dropout: float = 0.05
    variant: str = "lora"
    """`rslora` scales by alpha / sqrt(rank) (arXiv 2312.03732), `dora` learns lengths apart (arXiv 2402.09353)."""
    targets: Sequence[str] | str = ALL_LINEAR
    tables: str = "new"
    """Embeddings and LM head: `full`, `new` rows only, or `frozen`."""
    experts: bool = True
    """Whether experts have adapters of their own, without dropout."""
    router: bool = False
    """Whether routers move, whole."""


@dataclass(frozen=True)
class NewRows:
    """What holds for the rows of new tokens instead of what holds for the rest; None is the same as the rest."""

    lr: float | None = None
    weight_decay: float | None = None
    schedule: str | None = None
    warmup_share: float | None = None

    @property
    def own(self) -> bool:
        """Whether anything differs."""
        return self != NewRows()


@dataclass(frozen=True)
class Forgetting:
    """How much more than at the start a byte of held-out replay text may cost, and what is done beyond."""

    limit: float | None = None
    action: str = "warn"


@dataclass(frozen=True)
class Energy:
    """How energy is counted and priced."""

    country: str | None = None
    """Three letters (ISO 3166) of the country whose grid it is from; the world's mean by default."""
    cpu_watts: float | None = None
    """Of all processors at full load, for machines without counters; guessed by default."""
    price_per_kwh: float | None = None


@dataclass(frozen=True)
class Shorter:
    """Sequences of so many tokens until a share of the training is done."""

    until: float
    tokens: int


@dataclass(frozen=True, kw_only=True)
class Optimization:
    """What moves in a training of any kind, and how fast."""

    sequence_tokens: int
    micro_batch_sequences: int | None
    lr: float
    schedule: str
    warmup_share: float
    weight_decay: float
    max_grad_norm: float
    precision: str
    checkpoint_minutes: float
    seed: int
    train: str = "full"
    decay_share: float = 0.1
    optimizer: str = "adamw"
    gradient_checkpointing: bool = False
    neftune_alpha: float | None = None
    lora: Lora = field(default_factory=Lora)
    new_rows: NewRows = field(default_factory=NewRows)
    attention: str | None = None
    """`sdpa` or `eager`; None is the best there is (see `attention`)."""
    track: Sequence[str] = ()
    """Of tensorboard, wandb, trackio."""
    energy: Energy | None = None
    """None counts none."""


@dataclass(frozen=True, kw_only=True)
class Settings(Optimization):
    """How to continue a pretraining; the budget is one of bytes of text, tokens, or passes over the target."""

    mix: Mapping[str, float]
    batch_tokens: int
    budget_bytes: float | None
    budget_tokens: float | None
    epochs: float | None
    curve_points: int
    curve_documents: int
    curve_bytes: Sequence[float] = ()
    """Places in the text that the curve has points at as well, right before and after."""
    forgetting: Forgetting = field(default_factory=Forgetting)
    sequence_schedule: Sequence[Shorter] = ()
    """What comes before sequences of `sequence_tokens`."""
    compile: bool = False
    keep_state: bool = False
    """Whether another training is to go on from where this one ends."""
    go_on: bool = False
    """Whether this one goes on from where the one ended that made the model."""


@dataclass(frozen=True, kw_only=True)
class TuningSettings(Optimization):
    """How to train on conversations or preferences; `epochs` are passes over the first stream of the mix."""

    mix: Mapping[str, float]
    epochs: float
    curve_points: int
    system: str
    """What becomes of a system message that the template drops; see `conversations.tokens`."""


@dataclass(frozen=True, kw_only=True)
class SftSettings(TuningSettings):
    """How to train on conversations."""

    batch_tokens: int


@dataclass(frozen=True, kw_only=True)
class DpoSettings(TuningSettings):
    """How to train on preferences."""

    batch_pairs: int
    loss: str
    beta: float
    options: Mapping[str, float] = field(default_factory=dict)
    """Of the loss."""

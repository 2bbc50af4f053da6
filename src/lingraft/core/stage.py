"""What a stage is: a config, a check, a forecast, a run and a version."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ConfigDict

from .devices import Target
from .progress import SILENT, Progress

ANYTHING = "anything"


@dataclass(frozen=True)
class Needs:
    """Marks a config field that names earlier steps, and says what those must make.

    Left out, a single reference means the nearest earlier step that makes it, a list means all of them.
    """

    makes: str
    optional: bool = False
    """Whether the stage can do without, when no earlier step makes it."""
    nearest: bool = True
    """Whether it means any step when it is left out."""


class StageConfig(BaseModel):
    """What one stage may be told in a recipe. Values are rejected, never changed."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    kind: str

    @classmethod
    def references(cls) -> dict[str, tuple[Needs, bool]]:
        """The fields that name earlier steps: what each needs, and whether it is a list."""
        found = {}
        for name, info in cls.model_fields.items():
            for mark in info.metadata:
                if isinstance(mark, Needs):
                    found[name] = (mark, any(str(part).startswith("list") for part in get_args(info.annotation)))
        return found


@dataclass(frozen=True)
class Settings:
    """The recipe-wide values that a stage says it uses; the others are None."""

    language: str | None = None
    replay: str | None = None
    seed: int | None = None


@dataclass(frozen=True)
class Input:
    """A finished artifact as a stage reads it."""

    kind: str
    fingerprint: str
    folder: Path
    figures: Mapping[str, Any]
    manifest: Mapping[str, Any]


@dataclass(frozen=True)
class Job:
    """Everything a stage's run gets. It writes into `folder` and returns its figures as plain JSON."""

    config: Any
    inputs: Mapping[str, Input]
    folder: Path
    settings: Settings
    recipe_folder: Path
    resolved_recipe: str
    progress: Progress = SILENT


@dataclass(frozen=True)
class Demand:
    """What a training asks of each of its devices."""

    device: str
    num_devices: int
    device_bytes: float
    """The most memory of one device at any moment."""
    parts: Mapping[str, float]
    device_memory_bytes: float
    """What one device has."""
    sharded: bool
    """Whether the model is divided among the devices."""
    tokens_per_second: float | None
    """Of all devices together."""
    speed_from: str
    watts: float | None
    """Of one device at the most."""
    alternatives: Sequence[str] = ()
    """Where it does not fit: settings that would, as recipe lines."""

    @property
    def fits(self) -> bool:
        """Whether a device has the memory."""
        return self.device_bytes <= self.device_memory_bytes


@dataclass(frozen=True)
class Forecast:
    """What a step will cost, as far as it can be told before it has run; None is unknown."""

    reads: str = ""
    writes: str = ""
    tokens: float | None = None
    flops: float | None = None
    memory_bytes: float | None = None
    disk_bytes: float | None = None
    seconds: float | None = None
    figures: Mapping[str, Any] = field(default_factory=dict)
    """Forecasts of the step's own figures that later steps need for theirs."""
    training: Demand | None = None
    warnings: tuple[str, ...] = ()
    """What can be done, and is likely not what was meant."""


@dataclass(frozen=True)
class Check:
    """What a stage's check gets, before anything has run."""

    config: Any
    settings: Settings
    recipe: Any
    """The whole Recipe, for checks that look across stages."""
    content_hash: Callable[[Path], str]
    figures: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """By step name: the figures, or forecasts of them, of the steps that this one reads; empty during a check."""
    target: Target | None = None
    """The devices that a training is planned for; None is this machine."""
    measure: bool = False
    """Whether a forecast may take some seconds to time things."""


def _nothing(_: Check) -> None:
    return None


def _no_outside(_: Check) -> dict[str, str]:
    return {}


def _unknown(_: Check) -> Forecast:
    return Forecast()


@dataclass(frozen=True)
class Stage:
    """A kind of work. Raise `version` by hand whenever the same config and inputs give another result."""

    kind: str
    version: int
    config: type[StageConfig]
    makes: tuple[str, ...]
    run: Callable[[Job], dict[str, Any]]
    uses: tuple[str, ...] | Callable[[Any], tuple[str, ...]] = ()
    """The recipe-wide settings that have an effect on the result; a function of the config where that decides."""
    shared: bool = False
    """Whether all processes of a launch (see `launch`) carry it out together; else the first does, and they wait."""
    no_effect: frozenset[str] = frozenset()
    """Config fields that have none: workers, device."""
    check: Callable[[Check], None] = _nothing
    """Raises a LingraftError when the stage could not run as it is configured."""
    outside: Callable[[Check], dict[str, str]] = _no_outside
    """Identity (content hash or revision) of every outside input, by the dotted config key it stands for."""
    forecast: Callable[[Check], Forecast] = _unknown

    def used(self, config: StageConfig) -> tuple[str, ...]:
        """The names of the recipe-wide settings that have an effect under this config."""
        return self.uses(config) if callable(self.uses) else self.uses

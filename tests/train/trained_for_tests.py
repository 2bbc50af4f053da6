"""A training that others are compared with, and what listens to it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from lingraft.core.progress import Progress


class Recorder(Progress):
    """Keeps the events and the amount of work, announced and done."""

    def __init__(self) -> None:
        self.events: list[tuple[str, dict[str, Any]]] = []
        self.amount = self.total = 0.0

    def start(self, what: str, total: float | None = None, unit: str = "") -> None:
        self.total += total or 0.0

    def advance(self, amount: float = 1) -> None:
        self.amount += amount

    def event(self, kind: str, **values: object) -> None:
        self.events.append((kind, values))


@dataclass(frozen=True)
class Trained:
    folder: Path
    figures: dict[str, Any]
    progress: Recorder

    @property
    def weights(self) -> dict[str, torch.Tensor]:
        return load_file(self.folder / "model.safetensors")

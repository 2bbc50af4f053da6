"""Where a training has ended, kept beside its model, and how another one goes on from there."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from lingraft.core.artifact import write_json
from lingraft.core.errors import InputError

from . import checkpoints
from .processes import is_first

FOLDER, PLACE = "training_state", "place.json"
Mixes = Sequence[tuple[int, Mapping[str, float]]]


@dataclass(frozen=True)
class Earlier:
    """The training before this one: its state, and which text it has shown."""

    state: Path
    rows: int
    """Sequences shown, those of still earlier trainings included."""
    mixes: Mixes
    """The shares of the streams from a row on; the first from row 0."""


def save(
    model: Path,
    named: Mapping[str, torch.nn.Parameter],
    optimizer: torch.optim.Optimizer,
    place: Earlier,
    kind: Mapping[str, Any],
) -> None:
    """Keep what another training needs to go on: the exact weights that moved, the optimizer, the place in the text.

    `kind` is what must be the same there, by name. All processes call it together.
    """
    checkpoints.save_training(model / FOLDER, named, optimizer)
    if is_first():
        mixes = [[row, dict(mix)] for row, mix in place.mixes]
        write_json(model / FOLDER / PLACE, {"rows": place.rows, "mixes": mixes, "kind": dict(kind)})


def read(model: Path, kind: Mapping[str, Any]) -> Earlier:
    """The training that made this model. Raises InputError where it kept no state, or was of another kind."""
    place = model / FOLDER / PLACE
    if not place.exists():
        raise InputError(
            "the training that made this model has not kept its state.",
            where=model,
            remedy="Set keep_state: true there, or leave go_on out here.",
        )
    found = json.loads(place.read_text(encoding="utf-8"))
    if names := checkpoints.differing(found["kind"], kind):
        raise InputError(
            f"the training that made this model cannot be gone on with: it is different in {', '.join(names)}.",
            where=model,
            remedy="Make that the same as there, or leave go_on out.",
        )
    return Earlier(model / FOLDER, found["rows"], [(row, mix) for row, mix in found["mixes"]])

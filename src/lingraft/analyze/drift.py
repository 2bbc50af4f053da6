"""How far weights moved between two checkpoints, read from their files a part at a time.

V rows of a table, N of them compared, D columns.
"""

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from lingraft.core.progress import SILENT, Progress
from lingraft.graft import checkpoint, tables
from lingraft.graft.checkpoint import Checkpoint

PART_ELEMENTS = 1 << 22
QUANTILES = tuple(round(0.05 * step, 2) for step in range(21))
NUMBER = re.compile(r"\d+")


def matrices(
    before: Path, after: Path, *, trusted: Collection[Path] = (), progress: Progress = SILENT
) -> dict[str, Any]:
    """Relative Frobenius change |B - A| / |A| and cosine of A and B: of all weights, per layer, per kind, per both.

    The whole and the layers count matrices alone: beside them the few gains of norms are long and hardly move. Tables
    with a row per token are left out; so is what only one of the two has, which `not_compared` names. What stands
    outside of the layers (a final norm) has no layer; the experts of one layer count together.
    """
    old, new = checkpoint.open(before), checkpoint.open(after)
    by_token = {
        name
        for folder, weights in ((before, old), (after, new))
        for name in _by_token(tables.find(folder, weights, trust_remote_code=folder in trusted))
    }
    pairs, alone = paired(old.files.keys() - by_token, new.files.keys() - by_token)
    sums: defaultdict[tuple[int | None, str], np.ndarray] = defaultdict(lambda: np.zeros(5))
    vectors = set()
    for name, other in progress.track(sorted(pairs.items()), "comparing weights", len(pairs), "tensors"):
        if _shape(old, name) == _shape(new, other):
            sums[place(other)] += _sums(old, name, new, other)
            if len(_shape(old, name)) < 2:
                vectors.add(place(other))
        else:
            alone.append(name)
    wide = {at: part for at, part in sums.items() if at not in vectors}
    layers = sorted({layer for layer, _ in wide if layer is not None})
    kinds = sorted({kind for _, kind in sums})
    return {
        "whole": change(wide.values()),
        "layers": [
            {"layer": layer, **change(part for (at, _), part in wide.items() if at == layer)} for layer in layers
        ],
        "kinds": [{"kind": kind, **change(part for (_, of), part in sums.items() if of == kind)} for kind in kinds],
        "matrices": [
            {"layer": layer, "kind": kind, **change([part])}
            for (layer, kind), part in sorted(sums.items(), key=lambda item: (item[0][0] is None, item[0]))
        ],
        "not_compared": sorted(alone),
    }


def paired(before: Iterable[str], after: Iterable[str]) -> tuple[dict[str, str], list[str]]:
    """Tensors of the same name, or of one that has the other after a prefix; and those without such a partner."""
    left, right = set(before), set(after)
    pairs = {name: name for name in left & right}
    for name in sorted(left - pairs.keys()):
        found = [other for other in right - left if other.endswith(f".{name}") or name.endswith(f".{other}")]
        if len(found) == 1:
            pairs[name] = found[0]
    return pairs, sorted((left - pairs.keys()) | (right - set(pairs.values())))


def place(name: str) -> tuple[int | None, str]:
    """The layer of a tensor, and its kind: its name from there on, without the number of an expert."""
    parts = name.removesuffix(".weight").split(".")
    at = next((index for index, part in enumerate(parts) if NUMBER.fullmatch(part)), None)
    if at is None:
        return None, parts[-1]
    return int(parts[at]), ".".join(part for part in parts[at + 1 :] if not NUMBER.fullmatch(part))


def change(parts: Iterable[np.ndarray]) -> dict[str, Any]:
    """Relative change and cosine of all parts as one vector; None where the weights are zero."""
    elements, gap, old, new, product = np.sum([np.zeros(5), *parts], axis=0)
    return {
        "parameters": int(elements),
        "relative": float(np.sqrt(gap / old)) if old else None,
        "cosine": float(product / np.sqrt(old * new)) if old and new else None,
    }


def table(folder: Path, side: str, *, trusted: Collection[Path] = ()) -> torch.Tensor:
    """The embedding ("input") or the LM head ("output") as it is stored; the one is the other where they are tied."""
    weights = checkpoint.open(folder)
    found = tables.find(folder, weights, trust_remote_code=folder in trusted)
    return weights.load((found.output if side == "output" and found.output else found.input)[0])


def is_tied(folder: Path, *, trusted: Collection[Path] = ()) -> bool:
    """Whether embedding and LM head are one table."""
    return tables.find(folder, checkpoint.open(folder), trust_remote_code=folder in trusted).tied


def rows(
    before_VD: torch.Tensor, before_ids: Sequence[int], after_VD: torch.Tensor, after_ids: Sequence[int]
) -> dict[str, np.ndarray]:
    """Of every row: relative change, cosine, the angle it turned by in degrees, and its norm afterwards.

    A row that was zero has no relative change (NaN), and one that is zero before or after no angle.
    """
    columns = []
    step = max(1, PART_ELEMENTS // before_VD.shape[1])
    for first in range(0, len(before_ids), step):
        old_ND = before_VD[list(before_ids[first : first + step])].double()
        new_ND = after_VD[list(after_ids[first : first + step])].double()
        old, new = old_ND.norm(dim=1), new_ND.norm(dim=1)
        gap = (new_ND - old_ND).norm(dim=1)
        # From the chord: the arc cosine of nearly 1 has no digits left.
        ends = torch.nn.functional.normalize(old_ND, dim=1), torch.nn.functional.normalize(new_ND, dim=1)
        chord = (ends[0] - ends[1]).norm(dim=1)
        angle = torch.where((old == 0) | (new == 0), torch.nan, 2 * torch.asin((chord / 2).clamp(max=1)))
        columns.append(torch.stack([torch.where(old == 0, torch.nan, gap / old), angle.cos(), angle.rad2deg(), new]))
    relative, cosine, degrees, norm = torch.cat(columns, dim=1).numpy() if columns else np.zeros((4, 0))
    return {"relative": relative, "cosine": cosine, "degrees": degrees, "norm": norm}


def with_crowd(before_VD: torch.Tensor, after_VD: torch.Tensor, ids: Sequence[int], crowd: Sequence[int]) -> np.ndarray:
    """The cosine of the way that each row moved with the mean way of the rows of a crowd."""
    mean_D = torch.cat([part.sum(dim=0, keepdim=True) for part in _ways(before_VD, after_VD, crowd)]).sum(dim=0)
    parts = [torch.cosine_similarity(part, mean_D[None]) for part in _ways(before_VD, after_VD, ids)]
    return torch.cat(parts).numpy()


def _ways(before_VD: torch.Tensor, after_VD: torch.Tensor, ids: Sequence[int]) -> Iterator[torch.Tensor]:
    step = max(1, PART_ELEMENTS // before_VD.shape[1])
    for first in range(0, len(ids), step):
        chosen = list(ids[first : first + step])
        yield after_VD[chosen].double() - before_VD[chosen].double()


def spread(values: np.ndarray) -> dict[str, Any] | None:
    """How values are distributed: their mean, and 21 quantiles in steps of 5 %; None where none is a number."""
    values = values[np.isfinite(values)]
    if not len(values):
        return None
    return {"mean": float(values.mean()), "quantiles": np.quantile(values, QUANTILES).tolist()}


def _by_token(found: tables.Tables) -> tuple[str, ...]:
    return (*found.input, *found.output, *found.bias)


def _shape(weights: Checkpoint, name: str) -> list[int]:
    return weights.shards[weights.files[name]].tensors[name]["shape"]


def _sums(before: Checkpoint, name: str, after: Checkpoint, other: str) -> np.ndarray:
    """Elements, |B - A|^2, |A|^2, |B|^2 and A.B of one tensor."""
    total = np.zeros(5)
    parts = zip(before.parts(name, PART_ELEMENTS), after.parts(other, PART_ELEMENTS), strict=True)
    for old, new in ((left.double().flatten(), right.double().flatten()) for left, right in parts):
        gap = new - old
        total += [len(old), *(one.dot(two).item() for one, two in ((gap, gap), (old, old), (new, new), (old, new)))]
    return total

"""The rows of tokens that the base did not have: how they and the old ones moved, their neighbors, which are dead.

V rows of a table, N new rows, D columns.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import PreTrainedTokenizerFast

from lingraft.graft.matching import Matching, match, written_bytes
from lingraft.tokenizer import family, kind

from . import drift

SIDES = ("input", "output")
NUM_EXAMPLES = 20
NUM_NEIGHBORS = 3
FAR_OFF = 2.0
"""A norm is far off when it is so many times the median of the old rows, or that part of it."""


@dataclass(frozen=True)
class Vocabulary:
    """The tokens of the adapted model, which of them the base had, and the model in which the others began."""

    base: Path
    start: Path | None
    """The first of the models with this vocabulary but the adapted one; None where there is no other."""
    adapted: Path
    tokenizer: PreTrainedTokenizerFast
    matching: Matching

    @property
    def new_ids(self) -> list[int]:
        return list(self.matching.fresh)


def vocabulary(models: Sequence[Path]) -> Vocabulary:
    """Compare the tokens of the first and the last model by what they are, not by their ids."""
    base, *between, adapted = models
    tokenizer = family.open(adapted)
    start = next((path for path in between if match(family.open(path), tokenizer, path).unchanged), None)
    return Vocabulary(base, start, adapted, tokenizer, match(family.open(base), tokenizer, adapted))


@dataclass(frozen=True)
class Side:
    """One table: what its rows did, by name of the measure, and the table of the adapted model."""

    name: str
    old: Mapping[str, np.ndarray]
    """Of the rows that the base has, from there."""
    new: Mapping[str, np.ndarray] | None
    """Of the new rows, from where they began; `with_crowd` in a table that the softmax moves."""
    crowd_cosine: float | None
    """From where on a row moved as the crowd did: half of the crowd itself lies above."""
    new_norms: np.ndarray
    table_VD: torch.Tensor


def sides(words: Vocabulary, counts: Counter[int], *, trusted: Collection[Path] = ()) -> list[Side]:
    """Both tables, or the one where they are tied; one after the other is read.

    The crowd are old tokens that never come in the text. The softmax pushes all of their rows the same way, and with
    them those of new tokens that the training never sees; see Land and Bartolo 2024, arXiv 2405.05417. In the starter,
    with its replay and with none, 11 new tokens never stand in the training text: 11 and 9 of them move with the crowd,
    beside them 8 and 0 that stand there up to three times, and none that stands there more often.
    """
    tied = drift.is_tied(words.adapted, trusted=trusted)
    found = []
    for name in SIDES[:1] if tied else SIDES:
        after_VD = drift.table(words.adapted, name, trusted=trusted)
        before_VD = drift.table(words.base, name, trusted=trusted)
        copied, new_ids = words.matching.copied, words.new_ids
        old = drift.rows(before_VD, list(copied.values()), after_VD, list(copied))
        new, crowd_cosine = None, None
        if words.start is not None:
            before_VD = drift.table(words.start, name, trusted=trusted)
            new = drift.rows(before_VD, new_ids, after_VD, new_ids)
            crowd = [index for index in copied if not counts[index]]
            if crowd and new_ids and (tied or name == "output"):
                new["with_crowd"] = drift.with_crowd(before_VD, after_VD, new_ids, crowd)
                crowd_cosine = float(np.median(drift.with_crowd(before_VD, after_VD, crowd, crowd)))
        norms = drift.rows(after_VD, new_ids, after_VD, new_ids)["norm"]
        found.append(Side(name, old, new, crowd_cosine, norms, after_VD))
    return found


def moved(sides: Iterable[Side]) -> list[dict[str, Any]]:
    """How far old and new rows moved and how long they are, as means and quantiles."""
    return [
        {
            "side": side.name,
            "old": {"rows": len(side.old["norm"]), **{name: drift.spread(values) for name, values in side.old.items()}},
            "new": {
                "rows": len(side.new_norms),
                **{name: drift.spread(values) for name, values in (side.new or {}).items()},
                "norm": drift.spread(side.new_norms),
            },
        }
        for side in sides
    ]


def count(words: Vocabulary, texts: Iterable[str]) -> Counter[int]:
    """How often each token of the adapted model stands in the texts."""
    counts: Counter[int] = Counter()
    for _, ids in family.encode(words.tokenizer, texts):
        counts.update(ids)
    return counts


def neighbors(words: Vocabulary, sides: Iterable[Side], counts: Counter[int], most: int) -> list[dict[str, Any]]:
    """The most frequent new tokens with the old tokens nearest to each by cosine, in every table."""
    fresh = sorted((index for index in words.new_ids if counts[index]), key=lambda index: (-counts[index], index))
    chosen = fresh[:most]
    nearest = {side.name: _nearest(side.table_VD, chosen, list(words.matching.copied)) for side in sides}
    return [
        {
            "token": readable(words.tokenizer, index),
            "id": index,
            "count": counts[index],
            **{
                side: [{"token": readable(words.tokenizer, other), "cosine": cosine} for other, cosine in found[at]]
                for side, found in nearest.items()
            },
        }
        for at, index in enumerate(chosen)
    ]


def _nearest(table_VD: torch.Tensor, chosen: Sequence[int], old: Sequence[int]) -> list[list[tuple[int, float]]]:
    """The nearest old rows of each chosen one, with cosines in float64."""
    ours_ND = torch.nn.functional.normalize(table_VD[list(chosen)].double(), dim=1)
    step = max(1, drift.PART_ELEMENTS // table_VD.shape[1])
    best, ids = torch.empty(len(chosen), 0, dtype=torch.float64), torch.empty(len(chosen), 0, dtype=torch.long)
    for first in range(0, len(old), step):
        there = torch.tensor(old[first : first + step])
        cosines_NV = ours_ND @ torch.nn.functional.normalize(table_VD[there].double(), dim=1).T
        best = torch.cat([best, cosines_NV], dim=1)
        ids = torch.cat([ids, there.expand(len(chosen), -1)], dim=1)
        best, order = best.topk(min(NUM_NEIGHBORS, best.shape[1]), dim=1)
        ids = ids.gather(1, order)
    return [list(zip(*pair, strict=True)) for pair in zip(ids.tolist(), best.tolist(), strict=True)]


def dead(words: Vocabulary, side: Side, counts: Counter[int], *, still_degrees: float) -> dict[str, Any]:
    """New tokens that the text never uses, whose row learned nothing, or is far too short or long.

    A row learned nothing when it points where it began (the angle and not the distance: weight decay shortens a row
    that nothing else moves), or in a table that the softmax moves, when it moved as the crowd did. `dead` are tokens
    that the text does not use and whose row learned nothing. The share of far-off norms among old rows is there
    to hold that of the new ones against.
    """
    ids = np.array(words.new_ids)
    unused = np.array([counts[index] == 0 for index in words.new_ids])
    still = pushed = None
    if side.new is not None:
        still = side.new["degrees"] < still_degrees
        pushed = None if side.crowd_cosine is None else side.new["with_crowd"] > side.crowd_cosine
    middle = float(np.median(side.old["norm"]))
    far, old_far = (
        (norms < middle / FAR_OFF) | (norms > middle * FAR_OFF) for norms in (side.new_norms, side.old["norm"])
    )

    def told(chosen: np.ndarray | None) -> dict[str, Any] | None:
        if chosen is None:
            return None
        examples = [readable(words.tokenizer, index) for index in ids[chosen][:NUM_EXAMPLES].tolist()]
        return {"tokens": int(chosen.sum()), "share": float(chosen.mean()), "examples": examples}

    return {
        "unused": told(unused),
        "still": told(still),
        "pushed": told(pushed),
        "dead": told(None if still is None else unused & (still if pushed is None else still | pushed)),
        "norm_far_off": {**told(far), "share_of_old": float(old_far.mean())},
    }


def readable(tokenizer: PreTrainedTokenizerFast, index: int) -> str:
    """The text that a token stands for; bytes that are no whole character as \\xNN."""
    token = tokenizer.convert_ids_to_tokens(index)
    if index in tokenizer.added_tokens_decoder:
        return token
    return written_bytes(token, kind.of(tokenizer.backend_tokenizer)).decode(errors="backslashreplace")

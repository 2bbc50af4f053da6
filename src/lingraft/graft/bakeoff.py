"""Strategies tried against each other: bits per byte right after the graft, before any training.

N new rows, D columns.
"""

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice, product
from typing import Any

import torch

from lingraft.core.errors import InputError
from lingraft.evaluate import bits
from lingraft.evaluate.statistics import COVERAGE, bits_per_byte

from . import model as models
from .starting import Choice, start
from .strategy import INPUT, OUTPUT, Grafting

CANDIDATES = ("subwords", "align", "mean_all", "gaussian")
DOCUMENTS, MIN_STEP, DOCUMENT_CHARACTERS, CONTEXT_TOKENS = 64, 10, 4000, 1024

Started = tuple[dict[str, torch.Tensor], dict[str, dict[str, Any]]]


@dataclass(frozen=True)
class Rest:
    """The documents of a text but every `step`-th, which the bake-off measures on."""

    text: Iterable[str]
    step: int

    def __iter__(self) -> Iterator[str]:
        return (text for index, text in enumerate(self.text) if index % self.step)


def bake_off(
    grafting: Grafting, candidates: Mapping[str, Sequence[Choice]]
) -> tuple[dict[str, torch.Tensor], dict[str, dict[str, Any]], dict[str, Any]]:
    """The rows and figures of the best pair of input and output strategy, as `start` has them, and the table of all.

    Measured is every input candidate with every output candidate, on the beginnings of documents spread over the
    text, a tenth of it at most; the strategies see the others. The lowest bits per byte wins, of equals the first
    named. Seconds are those that making the rows took. The model is loaded once, its new rows are exchanged in memory.
    Raises InputError when there is no text.
    """
    step = max(MIN_STEP, sum(1 for _ in grafting.text) // DOCUMENTS)
    sample = [text[:DOCUMENT_CHARACTERS] for text in islice(grafting.text, 0, None, step)]
    if not sample:
        raise InputError(
            "strategies cannot be compared without target text.",
            where=grafting.base,
            remedy="Give the training text, or name one strategy.",
        )
    made, seconds = _make(replace(grafting, text=Rest(grafting.text, step)), candidates)
    model = models.load(grafting)
    context_tokens = min(CONTEXT_TOKENS, getattr(model.config, "max_position_embeddings", None) or CONTEXT_TOKENS)
    before = bits_per_byte(bits.measure(model, grafting.old, sample, context_tokens=context_tokens))
    models.grow(model, grafting)
    pairs = list(product(*candidates.values()))
    table = []
    for pair in grafting.progress.track(pairs, "comparing strategies", total=len(pairs), unit="pairs"):
        chosen = dict(zip(candidates, pair, strict=True))
        for side, choice in chosen.items():
            models.set_rows(model, side, grafting.new_ids, made[side, choice.strategy][0])
        found = bits_per_byte(bits.measure(model, grafting.new, sample, context_tokens=context_tokens))
        table.append(
            {
                "input": chosen[INPUT].strategy,
                "output": chosen[OUTPUT].strategy if OUTPUT in chosen else None,
                "bits_per_byte": found.value,
                "low": found.low,
                "high": found.high,
                "seconds": sum(seconds[side, choice.strategy] for side, choice in chosen.items()),
                "rows_random": {side: made[side, choice.strategy][1]["rows_random"] for side, choice in chosen.items()},
            }
        )
    best = min(range(len(pairs)), key=lambda at: table[at]["bits_per_byte"])
    winners = {side: made[side, choice.strategy] for side, choice in zip(candidates, pairs[best], strict=True)}
    figures = {
        "documents": len(sample),
        "bytes": sum(len(text.encode()) for text in sample),
        "coverage": COVERAGE,
        "base_bits_per_byte": before.value,
        "table": table,
        "winner": {"input": table[best]["input"], "output": table[best]["output"]},
    }
    rows = {side: found[0] for side, found in winners.items()}
    return rows, {side: found[1] for side, found in winners.items()}, figures


def _make(
    grafting: Grafting, candidates: Mapping[str, Sequence[Choice]]
) -> tuple[dict[tuple[str, str], tuple[torch.Tensor, dict[str, Any]]], dict[tuple[str, str], float]]:
    """The rows and figures of every candidate, by side and strategy, and how long they took."""
    made, seconds = {}, {}
    for position, (side, choices) in enumerate(candidates.items()):
        for choice in choices:
            began = time.perf_counter()
            call = replace(grafting, tables={side: grafting.tables[side]}, seed=grafting.seed + position)
            rows, figures = start(call, {side: choice})
            made[side, choice.strategy] = rows[side], figures[side]
            seconds[side, choice.strategy] = time.perf_counter() - began
    return made, seconds

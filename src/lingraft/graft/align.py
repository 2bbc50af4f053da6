"""Rows of new tokens as the mean of the old tokens that stand in their places in real text."""

from collections import Counter, defaultdict

import torch

from lingraft.core.errors import InputError

from .strategy import Grafting
from .subwords import weighted


def rows(grafting: Grafting, *, max_megabytes: float = 10.0) -> dict[str, torch.Tensor]:
    """E(v) = the mean of the old rows over all old tokens in the spans where v stands, each as often as it does there.

    "Align" of Yamaguchi et al. 2024, arXiv 2406.11477. Beside `subwords` it sees how the old tokenizer cuts a span
    in its surroundings; where every new token is built of old ones, as in continued BPE, that is nearly always how it
    cuts the token alone. An old token that reaches out of the span counts as well.
    A token that does not stand in the first `max_megabytes` of text gets its `subwords` row and counts in
    `not_in_text`. Raises InputError when there is no text.
    """
    fresh = set(grafting.new_ids)
    replaced: defaultdict[int, Counter[int]] = defaultdict(Counter)
    size = 0
    before, after = grafting.old.backend_tokenizer, grafting.new.backend_tokenizer
    for text in grafting.progress.track(grafting.text, "aligning old and new tokens", unit="documents"):
        old, new = (backend.encode(text, add_special_tokens=False) for backend in (before, after))
        _align(old.ids, old.offsets, new.ids, new.offsets, fresh, replaced)
        size += len(text.encode())
        if size >= max_megabytes * 1e6:
            break
    if not size:
        raise InputError(
            "there is no target text to align tokens in.",
            where=grafting.base,
            remedy="Give `align` the training text, or take the strategy subwords.",
        )
    pieces, weights = [], []
    for index, spelling in zip(grafting.new_ids, grafting.spellings, strict=True):
        counts = replaced.get(index) or Counter(spelling)
        pieces.append(list(counts))
        weights.append([times / counts.total() for times in counts.values()])
    grafting.figures["not_in_text"] = sum(index not in replaced for index in grafting.new_ids)
    return {side: weighted(table_VD, pieces, weights) for side, table_VD in grafting.tables.items()}


def _align(
    old_ids: list[int],
    old_spans: list[tuple[int, int]],
    new_ids: list[int],
    new_spans: list[tuple[int, int]],
    fresh: set[int],
    replaced: defaultdict[int, Counter[int]],
) -> None:
    """Count the old tokens that overlap each fresh one; both lists of spans ascend."""
    first = 0
    for index, (start, end) in zip(new_ids, new_spans, strict=True):
        while first < len(old_ids) and old_spans[first][1] <= start:
            first += 1
        if index not in fresh:
            continue
        at = first
        while at < len(old_ids) and old_spans[at][0] < end:
            replaced[index][old_ids[at]] += 1
            at += 1

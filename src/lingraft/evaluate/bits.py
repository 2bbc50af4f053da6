"""Bits per byte of held-out text: the one measure of loss that two tokenizers can be compared by."""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from lingraft.core.progress import SILENT, Progress

from .context import start_token
from .places import logits_at

BATCH_TOKENS = 8192
BATCH_LOGITS = 1 << 27
"""Of all tokens and the whole vocabulary: half a GB in float32, and the loss of a row takes a copy of it."""


@dataclass(frozen=True)
class Bits:
    """What one document costs: bits over all its tokens, its UTF-8 bytes, and how many tokens it has."""

    bits: float
    bytes: int
    tokens: int


@dataclass(frozen=True)
class Window:
    """Part of a document: `ids` are read, those at the places `scored`, ascending and above 0, are predicted."""

    document: int
    ids: Sequence[int]
    scored: Sequence[int]


@torch.inference_mode()
def measure(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    texts: Iterable[str],
    *,
    context_tokens: int,
    progress: Progress = SILENT,
) -> list[Bits]:
    """The bits of every document under the model, in the order given.

    Each token is predicted once: the first from BOS (EOS where there is no BOS), every other from all that stands
    before it or at least a quarter of the context. Logits are taken in float32 at least.
    """
    start_id = start_token(tokenizer)
    # A control token that stands written in a text is text.
    plain = {"add_special_tokens": False, "split_special_tokens": True}
    documents = [(text, tokenizer(text, **plain)["input_ids"]) for text in texts]
    windows = [
        Window(index, ids, scored)
        for index, (_, tokens) in enumerate(documents)
        for ids, scored in _windows([start_id, *tokens], context_tokens)
    ]
    found = bits_of(model, windows, vocabulary=len(tokenizer), pad_id=start_id, progress=progress)
    return [Bits(found[index], len(text.encode()), len(tokens)) for index, (text, tokens) in enumerate(documents)]


@torch.inference_mode()
def bits_of(
    model: PreTrainedModel,
    windows: Sequence[Window],
    *,
    vocabulary: int,
    pad_id: int,
    progress: Progress = SILENT,
) -> dict[int, float]:
    """The bits of what is predicted in each document's windows, by document."""
    nats = dict.fromkeys((window.document for window in windows), 0.0)
    progress.start("measuring bits per byte", sum(len(window.scored) for window in windows), "tokens")
    at_once = batch_tokens(vocabulary)
    for batch in _batches(windows, at_once):
        for window, loss in zip(batch, _window_nats(model, batch, pad_id, at_once), strict=True):
            nats[window.document] += loss
        progress.advance(sum(len(window.scored) for window in batch))
    return {document: loss / math.log(2) for document, loss in nats.items()}


def bits_per_byte(records: Iterable[Bits]) -> float:
    """All bits over all bytes: long documents weigh more."""
    records = list(records)
    return sum(record.bits for record in records) / sum(record.bytes for record in records)


def _windows(ids: Sequence[int], context_tokens: int) -> Iterator[tuple[Sequence[int], range]]:
    """Cut a document so that each token but the first is predicted once, from a quarter of the context or more."""
    yield ids[:context_tokens], range(1, min(len(ids), context_tokens))
    seen = context_tokens
    step = context_tokens - max(1, context_tokens // 4)
    while seen < len(ids):
        end = min(seen + step, len(ids))
        window = ids[max(0, end - context_tokens) : end]
        yield window, range(len(window) - (end - seen), len(window))
        seen = end


def batch_tokens(vocabulary: int) -> int:
    """How many tokens are read at once, where a single window is not longer, and of how many there are logits."""
    return min(BATCH_TOKENS, BATCH_LOGITS // vocabulary)


def _batches(windows: Sequence[Window], most_tokens: int) -> Iterator[list[Window]]:
    """Windows of like length together, so that little is padded; longest first, so that memory is short at once."""
    batch: list[Window] = []
    for window in sorted(windows, key=lambda window: -len(window.ids)):
        if batch and (len(batch) + 1) * len(batch[0].ids) > most_tokens:
            yield batch
            batch = []
        batch.append(window)
    if batch:
        yield batch


def _window_nats(model: PreTrainedModel, batch: Sequence[Window], pad_id: int, at_once: int) -> list[float]:
    longest = len(batch[0].ids)
    ids_BS = torch.full((len(batch), longest), pad_id, dtype=torch.long)
    for row, window in enumerate(batch):
        ids_BS[row, : len(window.ids)] = torch.as_tensor(window.ids)
    rows = [row for row, window in enumerate(batch) for _ in window.scored]
    predicted = [place for window in batch for place in window.scored]
    predicted_N = ids_BS[rows, predicted].to(model.device)
    losses = [0.0] * len(batch)
    begin = 0
    # Padding stands at the right and attention is causal: no mask is needed, no scored token sees any of it.
    inputs = {"input_ids": ids_BS.to(model.device)}
    for logits_CV in logits_at(model, inputs, rows, [place - 1 for place in predicted], at_once):
        end = begin + len(logits_CV)
        # Window by window: the loss takes a copy of what it is given.
        for row, of_row in groupby(range(begin, end), rows.__getitem__):
            places = list(of_row)
            here = slice(places[0], places[-1] + 1)
            logits_SV = logits_CV[here.start - begin : here.stop - begin]
            logits_SV = logits_SV.to(torch.promote_types(logits_SV.dtype, torch.float32))
            losses[row] += torch.nn.functional.cross_entropy(logits_SV, predicted_N[here], reduction="sum").item()
        begin = end
        del logits_CV, logits_SV  # before the next are made
    return losses

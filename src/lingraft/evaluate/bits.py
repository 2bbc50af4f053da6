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
class _Window:
    """Part of a document: `ids` are read, the last `scored` of them are predicted."""

    document: int
    ids: Sequence[int]
    scored: int


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
        _Window(index, ids, scored)
        for index, (_, tokens) in enumerate(documents)
        for ids, scored in _windows([start_id, *tokens], context_tokens)
    ]
    nats = [0.0] * len(documents)
    progress.start("measuring bits per byte", sum(window.scored for window in windows), "tokens")
    at_once = batch_tokens(len(tokenizer))
    for batch in _batches(windows, at_once):
        for window, loss in zip(batch, _window_nats(model, batch, start_id, at_once), strict=True):
            nats[window.document] += loss
        progress.advance(sum(window.scored for window in batch))
    return [
        Bits(loss / math.log(2), len(text.encode()), len(tokens))
        for loss, (text, tokens) in zip(nats, documents, strict=True)
    ]


def bits_per_byte(records: Iterable[Bits]) -> float:
    """All bits over all bytes: long documents weigh more."""
    records = list(records)
    return sum(record.bits for record in records) / sum(record.bytes for record in records)


def _windows(ids: Sequence[int], context_tokens: int) -> Iterator[tuple[Sequence[int], int]]:
    """Cut a document so that each token but the first is predicted once, from a quarter of the context or more."""
    yield ids[:context_tokens], min(len(ids), context_tokens) - 1
    seen = context_tokens
    step = context_tokens - max(1, context_tokens // 4)
    while seen < len(ids):
        end = min(seen + step, len(ids))
        yield ids[max(0, end - context_tokens) : end], end - seen
        seen = end


def batch_tokens(vocabulary: int) -> int:
    """How many tokens are read at once, where a single window is not longer, and of how many there are logits."""
    return min(BATCH_TOKENS, BATCH_LOGITS // vocabulary)


def _batches(windows: Sequence[_Window], most_tokens: int) -> Iterator[list[_Window]]:
    """Windows of like length together, so that little is padded; longest first, so that memory is short at once."""
    batch: list[_Window] = []
    for window in sorted(windows, key=lambda window: -len(window.ids)):
        if batch and (len(batch) + 1) * len(batch[0].ids) > most_tokens:
            yield batch
            batch = []
        batch.append(window)
    if batch:
        yield batch


def _window_nats(model: PreTrainedModel, batch: Sequence[_Window], pad_id: int, at_once: int) -> list[float]:
    longest = len(batch[0].ids)
    ids_BS = torch.full((len(batch), longest), pad_id, dtype=torch.long)
    for row, window in enumerate(batch):
        ids_BS[row, : len(window.ids)] = torch.as_tensor(window.ids)
    rows = [row for row, window in enumerate(batch) for _ in range(window.scored)]
    predicted = [place for w in batch for place in range(len(w.ids) - w.scored, len(w.ids))]
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

"""Bits per byte of held-out text: the one measure of loss that two tokenizers can be compared by."""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from lingraft.core.errors import InputError
from lingraft.core.progress import SILENT, Progress

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
    start_id = tokenizer.eos_token_id if tokenizer.bos_token_id is None else tokenizer.bos_token_id
    if start_id is None:
        raise InputError(
            "the tokenizer has neither a BOS nor an EOS token to begin a document with.",
            where=tokenizer.name_or_path,
            remedy='Name one in tokenizer_config.json: "bos_token": "...".',
        )
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
    for batch in _batches(windows, batch_tokens(len(tokenizer))):
        for window, loss in zip(batch, _window_nats(model, batch, start_id), strict=True):
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
    """How many tokens are read at once, where a single window is not longer."""
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


def _window_nats(model: PreTrainedModel, batch: Sequence[_Window], pad_id: int) -> list[float]:
    longest = len(batch[0].ids)
    ids_BS = torch.full((len(batch), longest), pad_id, dtype=torch.long)
    for row, window in enumerate(batch):
        ids_BS[row, : len(window.ids)] = torch.as_tensor(window.ids)
    ids_BS = ids_BS.to(model.device)
    # Padding stands at the right and attention is causal: no mask is needed, no scored token sees any of it.
    logits_BSV = model(input_ids=ids_BS, use_cache=False).logits
    losses = []
    for row, window in enumerate(batch):
        end = len(window.ids)
        first = end - window.scored
        logits_SV = logits_BSV[row, first - 1 : end - 1]
        logits_SV = logits_SV.to(torch.promote_types(logits_SV.dtype, torch.float32))
        losses.append(torch.nn.functional.cross_entropy(logits_SV, ids_BS[row, first:end], reduction="sum").item())
    return losses

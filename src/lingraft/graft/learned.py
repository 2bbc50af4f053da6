"""Rows of new tokens learned on a share of the target text, the rest of the model frozen.

S tokens of a sequence, B sequences of a batch.
"""

from collections.abc import Iterator
from dataclasses import replace
from itertools import islice

import torch
from transformers import PreTrainedModel

from lingraft.core.errors import InputError
from lingraft.tokenizer import family

from . import model as models
from . import subwords
from .strategy import Grafting
from .training import train_rows

EDGE = 50
"""Steps at each end over which the losses of the figures are means."""


def rows(
    grafting: Grafting,
    *,
    share: float = 0.1,
    max_tokens: int = 10_000_000,
    lr: float = 1e-3,
    sequence_tokens: int = 512,
    batch_sequences: int = 16,
) -> dict[str, torch.Tensor]:
    """The rows (N, D) that minimize the next-token loss on every 1/share-th document, from `subwords` on.

    "Learned-Emb" of Design Choices, arXiv 2406.14670: one tenth of the training text, its code about
    10 million tokens at 1e-3. There all rows move; here only new ones, so that old rows stay what they were.
    Of two tables the one that is not asked for stands at `subwords` meanwhile.
    Raises InputError when there is no text.
    """
    model = models.load(grafting)
    tables = {side: models.weight(model, side).data.cpu() for side in models.sides(model)}
    starts = subwords.rows(replace(grafting, tables=tables))
    models.grow(model, grafting)
    for side, start in starts.items():
        models.set_rows(model, side, grafting.new_ids, start)
    sequences_S = list(_sequences(grafting, share, max_tokens, sequence_tokens))
    if not sequences_S:
        raise InputError(
            "there is no target text to learn rows from.",
            where=grafting.base,
            remedy="Give `learned` the training text, or a larger share of it.",
        )
    order = torch.randperm(len(sequences_S), generator=torch.Generator().manual_seed(grafting.seed)).tolist()
    batches = [order[first : first + batch_sequences] for first in range(0, len(order), batch_sequences)]
    tracked = grafting.progress.track(batches, "learning the new rows", total=len(batches), unit="steps")
    learned, losses = train_rows(
        model,
        grafting.new_ids,
        {side: starts[side] for side in grafting.tables},
        ([sequences_S[at] for at in batch] for batch in tracked),
        _next_token_loss,
        steps=len(batches),
        lr=lr,
    )
    grafting.figures.update(
        tokens=sum(map(len, sequences_S)),
        steps=len(losses),
        loss={"first": _mean(losses[:EDGE]), "last": _mean(losses[-EDGE:])},
    )
    return {side: learned[side].to(table.dtype) for side, table in grafting.tables.items()}


def _sequences(grafting: Grafting, share: float, max_tokens: int, sequence_tokens: int) -> Iterator[list[int]]:
    """Documents one after the other, each behind a BOS (EOS where there is none), cut to sequences; a rest is dropped
    unless it is all there is."""
    tokenizer = grafting.new
    start_id = tokenizer.eos_token_id if tokenizer.bos_token_id is None else tokenizer.bos_token_id
    buffer: list[int] = []
    num_tokens = 0
    for _, ids in family.encode(tokenizer, islice(grafting.text, 0, None, max(1, round(1 / share)))):
        buffer += ids if start_id is None else [start_id, *ids]
        while len(buffer) >= sequence_tokens:
            yield buffer[:sequence_tokens]
            buffer = buffer[sequence_tokens:]
            num_tokens += sequence_tokens
            if num_tokens + sequence_tokens > max_tokens:
                return
    if not num_tokens and len(buffer) > 1:
        yield buffer


def _next_token_loss(model: PreTrainedModel, sequences_S: list[list[int]]) -> torch.Tensor:
    ids_BS = torch.tensor(sequences_S, device=model.device)
    logits_BSV = model(input_ids=ids_BS, use_cache=False).logits
    return torch.nn.functional.cross_entropy(logits_BSV[:, :-1].flatten(0, 1).float(), ids_BS[:, 1:].flatten())


def _mean(losses: list[float]) -> float:
    return sum(losses) / len(losses)

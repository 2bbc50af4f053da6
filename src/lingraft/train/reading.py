"""What a training reads: the order of its text over all steps, and its batches."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch

from lingraft.core.errors import InputError

from . import mix
from .earlier import Earlier, Mixes
from .pack import STREAMS, Shard, sequence_bytes
from .settings import Settings


def training_order(
    packed: Path,
    settings: Settings,
    changes: Mixes = (),
    num_rows: int | None = None,
    before: Earlier | None = None,
) -> tuple[np.ndarray, list[str], np.ndarray]:
    """The rows of the whole training (see `mix.order`), the streams they index, and the text bytes of each row.

    `changes` are other shares from a row of this training on, `before` is the training that it goes on from.
    """
    (_, shares), *later = mixes(settings, changes, before)
    streams = [name for name in STREAMS if any(found.get(name) for found in (shares, *(found for _, found in later)))]
    shard_bytes = {name: sequence_bytes(packed, name) for name in streams}
    rows = mix.order(
        shard_bytes,
        {name: shares.get(name, 0.0) for name in streams},
        seed=settings.seed,
        budget_bytes=settings.budget_bytes,
        budget_tokens=settings.budget_tokens,
        epochs=settings.epochs,
        sequence_tokens=settings.sequence_tokens,
        multiple=settings.batch_tokens // settings.sequence_tokens,
        changes=later,
        num_rows=num_rows,
        after=before.rows if before is not None else 0,
    )
    sizes = np.array([shard_bytes[streams[stream]][sequence] for stream, sequence in rows])
    return rows, streams, sizes


def mixes(settings: Settings, changes: Mixes, before: Earlier | None) -> list[tuple[int, Mapping[str, float]]]:
    """The shares of the streams from a row on, counted from the first row of all trainings."""
    shown, earlier = (before.rows, before.mixes) if before is not None else (0, ())
    return [*earlier, (shown, settings.mix), *((shown + row, mix) for row, mix in changes)]


def batch(settings: Settings, num_processes: int) -> tuple[int, int]:
    """Sequences of an optimizer step, and of them those at once in the memory of one process."""
    batch_sequences, rest = divmod(settings.batch_tokens, settings.sequence_tokens)
    micro = settings.micro_batch_sequences or max(1, batch_sequences // num_processes)
    if rest or not batch_sequences or batch_sequences % (micro * num_processes):
        shared = f", in each of {num_processes} processes" if num_processes > 1 else ""
        raise InputError(
            f"a batch of {settings.batch_tokens} tokens is not made of whole micro-batches: "
            f"{micro} sequences of {settings.sequence_tokens} tokens{shared}.",
            remedy=f"Set batch_tokens to a multiple of {micro * num_processes * settings.sequence_tokens}.",
        )
    return batch_sequences, micro


def mixture(packed: Path, settings: Settings, rows: np.ndarray, streams: Sequence[str], pad_id: int) -> mix.Mixture:
    """The sequences of these rows, shorter where the schedule has them so."""
    batch_sequences = settings.batch_tokens // settings.sequence_tokens
    steps = len(rows) // batch_sequences
    pieces = [
        (math.ceil(part.until * steps) * batch_sequences, _num_pieces(part.tokens, settings.sequence_tokens))
        for part in settings.sequence_schedule
    ]
    return mix.Mixture([Shard(packed / name, settings.sequence_tokens, pad_id) for name in streams], rows, pieces)


def _num_pieces(tokens: int, sequence_tokens: int) -> int:
    pieces, rest = divmod(sequence_tokens, tokens)
    if rest or not pieces:
        raise InputError(
            f"sequences of {sequence_tokens} tokens cannot be cut into ones of {tokens}.",
            remedy=f"Choose lengths in sequence_schedule that divide {sequence_tokens}.",
        )
    return pieces


def collate(rows: Sequence[Mapping[str, np.ndarray]]) -> dict[str, torch.Tensor]:
    """A batch of rows of the mixture, every value of shape (sequences, tokens of a sequence)."""
    return {key: torch.from_numpy(np.concatenate([row[key] for row in rows])) for key in rows[0]}

"""Mixing streams by tokens: which sequence comes when, known before the first step and the same after a restart."""

from collections.abc import Mapping, Sequence

import numpy as np
from torch.utils.data import Dataset

from lingraft.core.errors import StageError

from .pack import Shard


def order(
    sequence_bytes: Mapping[str, np.ndarray],
    shares: Mapping[str, float],
    *,
    seed: int,
    budget_bytes: float | None = None,
    budget_tokens: float | None = None,
    epochs: float | None = None,
    sequence_tokens: int,
    multiple: int,
    changes: Sequence[tuple[int, Mapping[str, float]]] = (),
    num_rows: int | None = None,
    after: int = 0,
) -> np.ndarray:
    """The sequences of a whole training as rows (stream index, sequence index), shape (num_sequences, 2).

    All sequences have the same number of tokens, so shares of sequences are shares of tokens. At every point the
    stream that lags most behind its share comes next. A stream is shuffled anew for every pass over it. Ends when
    the text shown reaches the budget (one of the three; `epochs` counts passes over the first stream), rounded up
    to a whole number of batches of `multiple` sequences; or after `num_rows`, whatever the budget.
    `changes` are other shares from a row on: what stands before it stays as it was. Rows that another training has
    shown, the first `after`, are left out and cost nothing of the budget.
    """
    names = list(shares)
    wanted = _normalized(shares, names)
    later = {row: _normalized(other, names) for row, other in changes}
    for name, share in zip(names, np.max([wanted, *later.values()], axis=0), strict=True):
        if share > 0 and len(sequence_bytes[name]) == 0:
            raise StageError(
                f"the mix asks for {share:.0%} of {name}, and there is no {name} text.",
                remedy=f"Give the corpus stage {name} sources, or leave {name} out of the mix.",
            )
    passes = {name: _Passes(len(sequence_bytes[name]), seed, index) for index, name in enumerate(names)}
    taken, due_before, since = np.zeros(len(names)), np.zeros(len(names)), 0
    rows, shown = [], 0
    limit = budget_bytes
    if budget_tokens is not None:
        limit = budget_tokens / sequence_tokens
    elif epochs is not None:
        limit = epochs * len(sequence_bytes[names[0]])
    while (
        len(rows) < after + num_rows
        if num_rows is not None
        else len(rows) <= after or shown < limit or (len(rows) - after) % multiple
    ):
        if len(rows) in later:
            due_before, since = due_before + wanted * (len(rows) - since), len(rows)
            wanted = later[since]
        index = int(np.argmax(due_before + wanted * (len(rows) - since + 1) - taken))
        name = names[index]
        sequence = passes[name].next()
        taken[index] += 1
        rows.append((index, sequence))
        if len(rows) <= after:
            continue
        if budget_bytes is not None:
            shown += int(sequence_bytes[name][sequence])
        else:
            shown += budget_tokens is not None or index == 0
    return np.array(rows[after:], dtype=np.int64)


def _normalized(shares: Mapping[str, float], names: Sequence[str]) -> np.ndarray:
    return np.array([shares.get(name, 0.0) for name in names]) / sum(shares.values())


class _Passes:
    """Endless passes over a stream, each in an order of its own."""

    def __init__(self, size: int, seed: int, stream: int) -> None:
        self._size, self._key, self._taken = size, (seed, stream), 0
        self._order = np.zeros(0, dtype=np.int64)

    def next(self) -> int:
        number, place = divmod(self._taken, self._size)
        if place == 0:
            self._order = np.random.default_rng((*self._key, number)).permutation(self._size)
        self._taken += 1
        return int(self._order[place])


class Mixture(Dataset):
    """The sequences of a training in their order; what a data loader reads.

    `pieces` says into how many shorter sequences those before a row are cut, as (row, pieces) in ascending order.
    """

    def __init__(self, shards: list[Shard], rows: np.ndarray, pieces: Sequence[tuple[int, int]] = ()) -> None:
        self._shards, self.rows, self._pieces = shards, rows, pieces

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> dict[str, np.ndarray]:
        """Every value of shape (pieces, tokens of a piece)."""
        stream, sequence = self.rows[index]
        return self._shards[stream].pieces(sequence, next((num for row, num in self._pieces if index < row), 1))

    def of_several_documents(self) -> dict[str, np.ndarray]:
        """A row in which a document ends, if one of the first hundred is such."""
        found = (self[index] for index in range(min(100, len(self))))
        return next((row for row in found if (row["position_ids"][:, 1:] == 0).any()), self[0])

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from lingraft.core.errors import StageError
from lingraft.train.mix import Mixture, order
from lingraft.train.pack import Shard

SIZE = 32
SIZES = {"target": np.arange(100, 137), "replay": np.arange(50, 61)}


def rows(shares: dict[str, float] | None = None, **changes: object) -> np.ndarray:
    shares = shares or {"target": 0.75, "replay": 0.25}
    options = {"seed": 3, "budget_tokens": 200 * 16, "sequence_tokens": 16, "multiple": 1} | changes
    return order(SIZES, shares, **options)


@pytest.mark.parametrize("share", [0.9, 0.75, 0.5, 1 / 3, 0.01])
def test_shares_hold_at_every_point(share: float) -> None:
    mixed = rows({"target": share * 7, "replay": (1 - share) * 7})
    taken = np.cumsum(mixed[:, 0] == 0)
    assert np.abs(taken - share * np.arange(1, len(mixed) + 1)).max() <= 1


def test_a_share_of_nothing_is_never_taken() -> None:
    assert set(rows({"target": 1, "replay": 0})[:, 0]) == {0}


def test_every_pass_takes_every_sequence_once_in_a_fresh_order() -> None:
    mixed = rows(budget_tokens=400 * 16)
    for stream, name in enumerate(SIZES):
        sequences = mixed[mixed[:, 0] == stream, 1]
        size = len(SIZES[name])
        passes = [sequences[start : start + size].tolist() for start in range(0, len(sequences) - size + 1, size)]
        assert len(passes) > 5
        assert all(sorted(one) == list(range(size)) for one in passes)
        assert len(set(map(tuple, passes))) == len(passes)


def test_the_seed_decides_the_order() -> None:
    np.testing.assert_array_equal(rows(), rows())
    assert not np.array_equal(rows(), rows(seed=4))
    assert not np.array_equal(rows()[:, 1], rows({"replay": 0.75, "target": 0.25})[:, 1])


def test_a_longer_budget_begins_like_a_shorter_one() -> None:
    np.testing.assert_array_equal(rows(budget_tokens=300 * 16)[:200], rows())


def test_budget_in_tokens() -> None:
    assert len(rows(budget_tokens=100)) == 7
    assert len(rows(budget_tokens=96)) == 6


def test_budget_in_bytes() -> None:
    mixed = rows(budget_tokens=None, budget_bytes=5000)
    shown = [int(SIZES[list(SIZES)[stream]][sequence]) for stream, sequence in mixed]
    assert sum(shown[:-1]) < 5000 <= sum(shown)


def test_budget_in_passes_over_the_first_stream() -> None:
    assert Counter(rows(budget_tokens=None, epochs=2)[:, 0])[0] == 2 * len(SIZES["target"])
    assert Counter(rows(budget_tokens=None, epochs=0.5)[:, 0])[0] == 19


@pytest.mark.parametrize("budget", [{"budget_tokens": 100}, {"budget_bytes": 5000}, {"epochs": 1.5}])
def test_rounded_up_to_whole_batches(budget: dict[str, float]) -> None:
    exact = rows(**({"budget_tokens": None} | budget))
    rounded = rows(**({"budget_tokens": None} | budget), multiple=16)
    assert len(rounded) == -(-len(exact) // 16) * 16
    np.testing.assert_array_equal(rounded[: len(exact)], exact)


def test_share_of_a_stream_without_text() -> None:
    with pytest.raises(StageError, match="the mix asks for 25% of replay, and there is no replay text"):
        order(
            {"target": np.arange(5), "replay": np.zeros(0, dtype=np.int64)},
            {"target": 3, "replay": 1},
            seed=1,
            epochs=1,
            sequence_tokens=16,
            multiple=1,
        )


def test_mixture_reads_the_rows_in_order(packed: Path) -> None:
    shards = [Shard(packed / name, SIZE, 2) for name in ("target", "replay")]
    rows = [(1, 2), (0, 0), (1, 0)]
    mixture = Mixture(shards, np.array(rows))
    for index, (stream, sequence) in enumerate(rows):
        for key, value in shards[stream][sequence].items():
            assert mixture[index][key].tolist() == [value.tolist()]


def test_pieces_are_the_sequences_of_a_shorter_length(packed: Path) -> None:
    """Also those of the last sequence, which is padded."""
    whole, short = Shard(packed / "target", SIZE, 2), Shard(packed / "target", SIZE // 4, 2)
    rows = np.array([(0, sequence) for sequence in (len(whole) - 1, 0, 3, 4)])
    mixture = Mixture([whole], rows, [(2, 4), (3, 2)])
    assert [mixture[index]["input_ids"].shape for index in range(4)] == [(4, 8), (4, 8), (2, 16), (1, 32)]
    for index in range(2):
        for key, pieces in mixture[index].items():
            assert len(pieces) == 4
            for piece, values in enumerate(pieces):
                number = 4 * int(rows[index, 1]) + piece
                if number < len(short):
                    assert values.tolist() == short[number][key].tolist()
                elif key == "labels":
                    assert set(values.tolist()) == {-100}

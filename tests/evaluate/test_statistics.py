import random

import pytest

from lingraft.evaluate import statistics
from lingraft.evaluate.bits import Bits, bits_per_byte


@pytest.fixture(scope="module")
def models() -> tuple[list[Bits], list[Bits]]:
    """The same 60 documents under two models; the second is 0.2 bits a byte better, give or take."""
    draw = random.Random(5)
    sizes = [draw.randint(20, 400) for _ in range(60)]
    base = [Bits(size * draw.gauss(2, 0.3), size, size // 3) for size in sizes]
    return base, [Bits(one.bits - one.bytes * draw.gauss(0.2, 0.05), one.bytes, one.tokens // 2) for one in base]


def slow(bits: list[float], sizes: list[int], seed: int, resamples: int = 4000) -> tuple[float, float]:
    """Ends of the 95 % percentile interval of a ratio of sums, document by document."""
    draw = random.Random(seed)
    values = []
    for _ in range(resamples):
        chosen = draw.choices(range(len(bits)), k=len(bits))
        values.append(sum(bits[i] for i in chosen) / sum(sizes[i] for i in chosen))
    values.sort()
    return values[round(0.025 * resamples)], values[round(0.975 * resamples) - 1]


def test_interval_against_a_slow_bootstrap(models: tuple[list[Bits], list[Bits]]) -> None:
    records = models[0]
    interval = statistics.bits_per_byte(records, seed=1)
    low, high = slow([one.bits for one in records], [one.bytes for one in records], 2)
    assert interval.value == pytest.approx(bits_per_byte(records))
    assert low < interval.value < high
    assert (interval.low, interval.high) == pytest.approx((low, high), abs=0.1 * (high - low))


def test_difference_is_of_pairs(models: tuple[list[Bits], list[Bits]]) -> None:
    base, adapted = models
    gap = statistics.difference(adapted, base, seed=1)
    low, high = slow([a.bits - b.bits for a, b in zip(adapted, base, strict=True)], [one.bytes for one in base], 2)
    assert gap.value == pytest.approx(bits_per_byte(adapted) - bits_per_byte(base))
    assert (gap.low, gap.high) == pytest.approx((low, high), abs=0.1 * (high - low))
    alone = statistics.bits_per_byte(adapted)
    assert gap.high - gap.low < (alone.high - alone.low) / 2


def test_identical_models_do_not_differ(models: tuple[list[Bits], list[Bits]]) -> None:
    assert statistics.difference(models[0], models[0]) == statistics.Interval(0.0, 0.0, 0.0)


def test_documents_that_are_alike_leave_no_doubt() -> None:
    interval = statistics.bits_per_byte([Bits(30.0, 20, 5)] * 8)
    assert interval == statistics.Interval(1.5, 1.5, 1.5)


def test_the_seed_decides(models: tuple[list[Bits], list[Bits]]) -> None:
    records = models[0]
    assert statistics.bits_per_byte(records, seed=1) == statistics.bits_per_byte(records, seed=1)
    assert statistics.bits_per_byte(records, seed=1).low != statistics.bits_per_byte(records, seed=2).low


def test_covers_the_truth_as_often_as_it_says() -> None:
    draw, hits = random.Random(9), 0
    for seed in range(100):
        records = [Bits(size * draw.gauss(2, 0.5), size, 1) for size in [draw.randint(50, 150) for _ in range(50)]]
        interval = statistics.bits_per_byte(records, seed=seed)
        hits += interval.low <= 2 <= interval.high
    assert 88 <= hits <= 99

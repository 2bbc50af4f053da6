import math
import random

import pytest
from scipy.stats import binomtest

from lingraft.evaluate import statistics
from lingraft.evaluate.bits import Bits, bits_per_byte
from lingraft.evaluate.metrics import METRICS, confusion, matthews_of, ratio, right


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


def shares(rights: list[int]) -> list[list[float]]:
    return [right(bool(one)) for one in rights]


def test_groups_are_resampled_as_a_whole() -> None:
    """Ten copies of a paragraph's items say no more than one: the interval of all is that of the paragraphs."""
    draw = random.Random(2)
    paragraphs = [draw.randrange(2) for _ in range(30)]
    alone = statistics.estimate(shares(paragraphs), ratio, seed=4)
    items = [one for one in paragraphs for _ in range(10)]
    names = [f"{number:02}" for number in range(30) for _ in range(10)]
    assert statistics.estimate(shares(items), ratio, seed=4, groups=names) == alone
    loose = statistics.estimate(shares(items), ratio, seed=4)
    assert loose.high - loose.low < 0.5 * (alone.high - alone.low)


def test_many_items_are_resampled_in_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    counts = shares([1, 0, 1, 1, 0, 1, 0] * 5)
    whole = statistics.estimate(counts, ratio, seed=1)
    p_value = statistics.permutation_test(counts, counts[1:] + counts[:1], ratio, seed=1)
    monkeypatch.setattr(statistics, "_AT_ONCE", 100)
    assert statistics.estimate(counts, ratio, seed=1) == whole
    assert statistics.permutation_test(counts, counts[1:] + counts[:1], ratio, seed=1) == p_value


def test_mcnemar_counts_the_discordant_items() -> None:
    first, second = [1] * 9 + [0] * 2 + [1] * 40, [0] * 9 + [1] * 2 + [1] * 40
    assert statistics.mcnemar(first, second) == pytest.approx(binomtest(2, 11).pvalue)
    assert statistics.mcnemar(first, first) == 1
    first, second = [1] * 2900 + [0] * 3100, [0] * 2900 + [1] * 3100
    assert statistics.mcnemar(first, second) == pytest.approx(binomtest(2900, 6000).pvalue)


@pytest.mark.parametrize(("successes", "trials"), [(0, 7), (7, 7), (1, 9), (40, 100), (1234, 4000)])
def test_an_exact_interval_of_a_share(successes: int, trials: int) -> None:
    found = statistics.exact_share(successes, trials)
    expected = binomtest(successes, trials).proportion_ci(0.95, method="exact")
    assert found.value == successes / trials
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=1e-8)


def test_a_share_of_nothing() -> None:
    assert all(math.isnan(end) for end in vars(statistics.exact_share(0, 0)).values())
    assert statistics.sign_test(0, 0) == 1


def test_permutation_agrees_with_the_exact_test() -> None:
    first, second = [1] * 9 + [0] * 2 + [1] * 40, [0] * 9 + [1] * 2 + [1] * 40
    p_value = statistics.permutation_test(shares(first), shares(second), ratio, seed=3)
    assert p_value == pytest.approx(statistics.mcnemar(first, second), abs=0.02)
    assert statistics.permutation_test(shares(first), shares(first), ratio, seed=3) == 1


def test_two_models_that_differ_by_chance_are_seldom_called_different() -> None:
    draw = random.Random(8)
    found = 0
    for seed in range(200):
        first, second = ([draw.gauss(5, 2) for _ in range(40)] for _ in range(2))
        pairs = [[[value, 1.0] for value in side] for side in (first, second)]
        found += statistics.permutation_test(*pairs, ratio, seed=seed) < 0.05
    assert found <= 0.06 * 200


def test_a_metric_without_a_value_has_no_interval() -> None:
    interval = statistics.estimate([confusion(0, 0, 2)] * 9, METRICS["matthews"].of_sums, seed=0)
    assert all(math.isnan(value) for value in (interval.value, interval.low, interval.high))
    p_value = statistics.permutation_test([confusion(0, 0, 2)] * 9, [confusion(0, 0, 2)] * 9, matthews_of, seed=0)
    assert p_value == 1


def test_holm_against_the_definition() -> None:
    p_values = [0.01, 0.04, 0.03, 0.005]
    assert statistics.holm(p_values) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert statistics.holm([]) == []
    assert statistics.holm([0.6, 0.7]) == [1.0, 1.0]


def test_effect_size_of_shares() -> None:
    assert statistics.cohens_h(0.65, 0.45) == pytest.approx(0.404, abs=1e-3)
    assert statistics.cohens_h(0.5, 0.5) == 0

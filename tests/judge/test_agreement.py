import itertools
import math
import random

import pytest

from lingraft.core.errors import InputError
from lingraft.judge import agreement
from lingraft.judge.agreement import cohen_kappa, fleiss_kappa, krippendorff_alpha

_ = None
# Krippendorff, Computing Krippendorff's Alpha-Reliability (2011), example C and its metrics.
KRIPPENDORFF = [
    [1, 2, 3, 3, 2, 1, 4, 1, 2, _, _, _],
    [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, _, 3],
    [_, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, _],
    [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, _],
]
# The worked example of https://en.wikipedia.org/wiki/Fleiss'_kappa: 14 raters, 10 items, 5 categories.
FLEISS = [
    [0, 0, 0, 0, 14],
    [0, 2, 6, 4, 2],
    [0, 0, 3, 5, 6],
    [0, 3, 9, 2, 0],
    [2, 2, 8, 1, 1],
    [7, 7, 0, 0, 0],
    [3, 2, 6, 3, 0],
    [2, 5, 3, 2, 2],
    [6, 5, 2, 1, 0],
    [0, 2, 2, 3, 7],
]


def slow_cohen(first: list[int], second: list[int], power: int | None) -> float:
    """From all pairs of ratings: those of one item are observed, those of any two items are by chance."""

    def apart(a: int, b: int) -> float:
        return float(a != b) if power is None else abs(a - b) ** power

    size = len(first)
    observed = sum(apart(first[i], second[i]) for i in range(size)) / size
    expected = sum(apart(a, b) for a in first for b in second) / size**2
    return 1 - observed / expected


def slow_fleiss(counts: list[list[int]]) -> float:
    raters = sum(counts[0])
    votes = [[category for category, n in enumerate(row) for _ in range(n)] for row in counts]
    agreeing = sum(
        sum(a == b for a, b in itertools.permutations(row, 2)) / (raters * (raters - 1)) for row in votes
    ) / len(votes)
    pool = [vote for row in votes for vote in row]
    chance = sum(a == b for a in pool for b in pool) / len(pool) ** 2
    return (agreeing - chance) / (1 - chance)


def slow_alpha(ratings: list[list[int | None]], level: str) -> float:
    """Over ordered pairs of ratings, within units and over all units."""
    units = [[value for value in unit if value is not None] for unit in zip(*ratings, strict=True)]
    units = [unit for unit in units if len(unit) > 1]
    pool = [value for unit in units for value in unit]

    def apart(a: int, b: int) -> float:
        if level == "nominal":
            return float(a != b)
        if level == "interval":
            return float((a - b) ** 2)
        low, high = min(a, b), max(a, b)
        between = sum(low <= value <= high for value in pool)
        return (between - (pool.count(a) + pool.count(b)) / 2) ** 2

    observed = sum(sum(apart(a, b) for a, b in itertools.permutations(unit, 2)) / (len(unit) - 1) for unit in units)
    expected = sum(apart(a, b) for a, b in itertools.permutations(pool, 2)) / (len(pool) - 1)
    return 1 - observed / expected


def test_cohen_worked_example() -> None:
    # https://en.wikipedia.org/wiki/Cohen's_kappa: 20 yes-yes, 5 yes-no, 10 no-yes, 15 no-no.
    first = ["yes"] * 25 + ["no"] * 25
    second = ["yes"] * 20 + ["no"] * 5 + ["yes"] * 10 + ["no"] * 15
    assert cohen_kappa(first, second) == pytest.approx(0.4)
    assert cohen_kappa([*first, None, "yes"], [*second, "yes", None]) == pytest.approx(0.4)


def test_fleiss_worked_example() -> None:
    assert fleiss_kappa(FLEISS) == pytest.approx(0.210, abs=5e-4)


@pytest.mark.parametrize(("level", "alpha"), [("nominal", 0.743), ("ordinal", 0.815), ("interval", 0.849)])
def test_krippendorff_worked_example(level: str, alpha: float) -> None:
    assert krippendorff_alpha(KRIPPENDORFF, level) == pytest.approx(alpha, abs=6e-4)


@pytest.mark.parametrize("seed", range(8))
def test_the_coefficients_against_their_definitions(seed: int) -> None:
    draw = random.Random(seed)
    true = [draw.randrange(4) for _ in range(15)]
    raters = [[value if draw.random() < 0.6 else draw.randrange(4) for value in true] for _ in range(3)]
    for power, weights in ((None, None), (1, "linear"), (2, "quadratic")):
        found = cohen_kappa(raters[0], raters[1], weights=weights)
        assert found == pytest.approx(slow_cohen(raters[0], raters[1], power))
    counts = [[sum(rater[i] == k for rater in raters) for k in range(4)] for i in range(15)]
    assert fleiss_kappa(counts) == pytest.approx(slow_fleiss(counts))
    holes = [[None if draw.random() < 0.2 else value for value in rater] for rater in raters]
    for level in ("nominal", "ordinal", "interval"):
        assert krippendorff_alpha(holes, level) == pytest.approx(slow_alpha(holes, level))


def test_perfect_and_opposite_raters() -> None:
    assert cohen_kappa([0, 1, 1], [0, 1, 1]) == 1
    assert krippendorff_alpha([[0, 1, 1], [0, 1, 1]]) == 1
    assert fleiss_kappa([[2, 0], [0, 2]]) == 1
    assert cohen_kappa([0, 1], [1, 0]) == -1


def test_one_category_alone_is_no_agreement() -> None:
    assert cohen_kappa(["a"] * 5, ["a"] * 5) is None
    assert cohen_kappa([2] * 5, [2] * 5, weights="quadratic") is None
    assert fleiss_kappa([[3, 0]] * 4) is None
    assert krippendorff_alpha([["a"] * 5] * 3) is None
    assert krippendorff_alpha([[1] * 5] * 2, "ordinal") is None
    assert math.isnan(agreement.cohen(["a"] * 5, ["a"] * 5).interval(0).value)


def test_nothing_rated_twice_is_no_agreement() -> None:
    assert cohen_kappa([], []) is None
    assert cohen_kappa([1, None], [None, 1]) is None
    assert fleiss_kappa([]) is None
    assert krippendorff_alpha([[1, None], [None, 2]], "interval") is None
    assert krippendorff_alpha([]) is None
    assert krippendorff_alpha([[1, 2]]) is None


def test_fleiss_wants_as_many_ratings_of_every_item() -> None:
    with pytest.raises(InputError, match=r"same number of ratings.*2 to 3.*Krippendorff's alpha takes missing"):
        fleiss_kappa([[2, 1], [1, 1]])
    with pytest.raises(InputError, match="two at least"):
        fleiss_kappa([[1, 0], [0, 1]])


def test_full_agreement_has_no_interval() -> None:
    for found in (
        agreement.cohen([1, 2, 1, 2], [1, 2, 1, 2]),
        agreement.fleiss([[2, 0], [0, 2]]),
        agreement.krippendorff([[1, 2], [1, 2]]),
    ):
        of_all = found.interval(seed=1)
        assert of_all.value == 1
        assert math.isnan(of_all.low)
        assert math.isnan(of_all.high)


def test_intervals_hold_their_value() -> None:
    draw = random.Random(1)
    first = [draw.randrange(3) for _ in range(200)]
    second = [value if draw.random() < 0.7 else draw.randrange(3) for value in first]
    for found in (
        agreement.cohen(first, second),
        agreement.krippendorff([first, second]),
        agreement.fleiss([[(a == k) + (b == k) for k in range(3)] for a, b in zip(first, second, strict=True)]),
    ):
        interval = found.interval(seed=3)
        assert interval.value == found.value
        assert interval.low < found.value < interval.high
        assert interval.low < 0.7 < interval.high
        assert interval.high - interval.low < 0.25

"""How sure a figure is: intervals, paired differences and tests, for any metric of sums.

R resamples, G groups of items that are not independent (a document, a paragraph), D counts.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from .bits import Bits
from .metrics import ratio

RESAMPLES = 2000
COVERAGE = 0.95
_AT_ONCE = 1 << 22
"""Draws that are held at once, so that a large task does not take a large memory."""

OfSums = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Interval:
    """An estimate with the ends of its 95 % bootstrap interval."""

    value: float
    low: float
    high: float


def estimate(counts: Sequence[Sequence[float]], of_sums: OfSums, *, seed: int, groups: Sequence[str] = ()) -> Interval:
    """A metric with an interval from resampling items, or whole groups of them (percentile bootstrap)."""
    counts_GD = _grouped(counts, groups)
    resampled = of_sums(_resampled(counts_GD, seed))
    return _interval(of_sums(counts_GD.sum(axis=0, keepdims=True))[0], resampled)


def paired(
    counts: Sequence[Sequence[float]],
    against: Sequence[Sequence[float]],
    of_sums: OfSums,
    *,
    seed: int,
    groups: Sequence[str] = (),
) -> Interval:
    """The metric of the first less that of the second on the same items, resampled as pairs."""
    first_GD, second_GD = _grouped(counts, groups), _grouped(against, groups)
    value = of_sums(first_GD.sum(axis=0, keepdims=True))[0] - of_sums(second_GD.sum(axis=0, keepdims=True))[0]
    return _interval(value, of_sums(_resampled(first_GD, seed)) - of_sums(_resampled(second_GD, seed)))


def permutation_test(
    counts: Sequence[Sequence[float]],
    against: Sequence[Sequence[float]],
    of_sums: OfSums,
    *,
    seed: int,
    groups: Sequence[str] = (),
) -> float:
    """How likely so large a difference is, in either direction, when each item's two answers trade places by chance.

    Approximate randomization (Noreen 1989; Riezler & Maxwell 2005); groups trade places as a whole.
    """
    first_GD, second_GD = _grouped(counts, groups), _grouped(against, groups)
    gaps_GD = second_GD - first_GD
    observed = _difference(first_GD, second_GD, of_sums)
    as_large = 0
    for trade_RG in _coins(len(gaps_GD), seed):
        moved_RD = trade_RG @ gaps_GD
        gaps_R = of_sums(first_GD.sum(axis=0) + moved_RD) - of_sums(second_GD.sum(axis=0) - moved_RD)
        # A little less than observed counts as well: the same sum in another order differs in its last bits.
        as_large += int((~(np.abs(gaps_R) < abs(observed) * (1 - 1e-9))).sum())
    return (as_large + 1) / (RESAMPLES + 1)


def mcnemar(right: Sequence[bool], against: Sequence[bool]) -> float:
    """The exact test of two models that are right or wrong on the same items (McNemar 1947): only discordant ones."""
    better = sum(a and not b for a, b in zip(right, against, strict=True))
    worse = sum(b and not a for a, b in zip(right, against, strict=True))
    return sign_test(better, worse)


def sign_test(better: int, worse: int) -> float:
    """How likely so uneven a split is, in either direction, where each side is as likely as the other; exact."""
    num_draws = better + worse
    tail = ways = 1  # to choose none of them
    for k in range(min(better, worse)):
        ways = ways * (num_draws - k) // (k + 1)
        tail += ways
    return min(1.0, 2 * tail / 2**num_draws)


def exact_share(successes: int, trials: int) -> Interval:
    """A share of independent trials with its exact interval (Clopper and Pearson 1934); of none, nan."""
    if not trials:
        return Interval(math.nan, math.nan, math.nan)
    counts_T = np.arange(trials + 1)
    log_factorials_T = np.concatenate([[0.0], np.log(np.arange(1, trials + 1)).cumsum()])
    log_ways_T = log_factorials_T[-1] - log_factorials_T - log_factorials_T[::-1]

    def at_least(share: float, least: int) -> float:
        chances_T = np.exp(log_ways_T + counts_T * math.log(share) + (trials - counts_T) * math.log1p(-share))
        return float(chances_T[least:].sum())

    def share_where(least: int, chance: float) -> float:
        low, high = 0.0, 1.0
        for _ in range(60):
            middle = (low + high) / 2
            low, high = (middle, high) if at_least(middle, least) < chance else (low, middle)
        return (low + high) / 2

    tail = (1 - COVERAGE) / 2
    low = share_where(successes, tail) if successes else 0.0
    high = share_where(successes + 1, 1 - tail) if successes < trials else 1.0
    return Interval(successes / trials, low, high)


def unanimous(value: float, count: int, least: float, most: float) -> Interval:
    """A mean of so many values that are all the same, of a range, with an interval that is on the safe side.

    Resampling them says nothing. What differs is at most the exact upper bound of a share of which none was seen, and
    lies at an end of the range. Of a share that is all or nothing it is the interval of Clopper and Pearson.
    """
    other = exact_share(0, count).high
    return Interval(value, value - other * (value - least), value + other * (most - value))


def holm(p_values: Sequence[float]) -> list[float]:
    """P values corrected for how many there are (Holm 1979): the smallest times all, the next times one less."""
    corrected = [0.0] * len(p_values)
    highest = 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=lambda index: p_values[index])):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[index]))
        corrected[index] = highest
    return corrected


def cohens_h(share: float, against: float) -> float:
    """The effect size of two shares (Cohen 1988): 0.2 is small, 0.5 medium, 0.8 large."""
    return 2 * math.asin(math.sqrt(share)) - 2 * math.asin(math.sqrt(against))


def bits_per_byte(records: Sequence[Bits], *, seed: int = 0, groups: Sequence[str] = ()) -> Interval:
    """Bits per byte with an interval from resampling whole documents, or groups of them."""
    return estimate(_counts(records), ratio, seed=seed, groups=groups)


def difference(
    records: Sequence[Bits], against: Sequence[Bits], *, seed: int = 0, groups: Sequence[str] = ()
) -> Interval:
    """Bits per byte of the first less those of the second on the same documents, resampled as pairs."""
    return paired(_counts(records), _counts(against), ratio, seed=seed, groups=groups)


def _counts(records: Sequence[Bits]) -> list[list[float]]:
    return [[record.bits, record.bytes] for record in records]


def _difference(first_GD: np.ndarray, second_GD: np.ndarray, of_sums: OfSums) -> float:
    return float(of_sums(first_GD.sum(axis=0, keepdims=True))[0] - of_sums(second_GD.sum(axis=0, keepdims=True))[0])


def _grouped(counts: Sequence[Sequence[float]], groups: Sequence[str]) -> np.ndarray:
    counts_ND = np.asarray(counts, dtype=np.float64)
    if not groups:
        return counts_ND
    _, group_N = np.unique(np.asarray(groups), return_inverse=True)
    return np.stack([np.bincount(group_N, weights=column) for column in counts_ND.T], axis=1)


def _resampled(counts_GD: np.ndarray, seed: int) -> np.ndarray:
    """Sums (R, D) of items drawn with replacement; the same seed draws the same items."""
    size = len(counts_GD)
    draw = np.random.default_rng(seed)
    sums = []
    for rows in _chunks(size):
        draws_RG = draw.integers(0, size, (rows, size))
        sums.append(np.stack([column[draws_RG].sum(axis=1) for column in counts_GD.T], axis=1))
    return np.concatenate(sums)


def _coins(size: int, seed: int) -> Iterator[np.ndarray]:
    draw = np.random.default_rng(seed)
    for rows in _chunks(size):
        yield draw.integers(0, 2, (rows, size)).astype(np.float64)


def _chunks(size: int) -> Iterator[int]:
    at_once = max(1, _AT_ONCE // size)
    for begin in range(0, RESAMPLES, at_once):
        yield min(at_once, RESAMPLES - begin)


def _interval(value: float, resampled: np.ndarray) -> Interval:
    """Resamples in which the metric is not defined are left out; where it has no value there is no interval."""
    tail = (1 - COVERAGE) / 2
    defined = resampled[~np.isnan(resampled)]
    if math.isnan(value) or not len(defined):
        return Interval(math.nan, math.nan, math.nan)
    low, high = np.quantile(defined, [tail, 1 - tail])
    return Interval(float(value), float(low), float(high))

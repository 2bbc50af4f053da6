"""How sure a mean over seeds is: intervals by Student's t, of figures and of differences paired by seed."""

import functools
import math
from collections.abc import Mapping, Sequence
from statistics import fmean, stdev
from typing import Any

COVERAGE = 0.95


def over_seeds(values: Sequence[float]) -> dict[str, Any]:
    """Mean, the ends of its 95 % interval, and how many seeds it is of; of one seed there is no interval."""
    if not values:
        return {"mean": None, "low": None, "high": None, "seeds": 0}
    mean, half = fmean(values), None
    if len(values) > 1:
        half = t_quantile(len(values) - 1) * stdev(values) / math.sqrt(len(values))
    return {
        "mean": mean,
        "low": None if half is None else mean - half,
        "high": None if half is None else mean + half,
        "seeds": len(values),
    }


def paired(values: Mapping[str, float], against: Mapping[str, float]) -> dict[str, Any]:
    """The difference of two rows, over the seeds that both have."""
    return over_seeds([value - against[seed] for seed, value in values.items() if seed in against])


@functools.cache
def t_quantile(degrees: int) -> float:
    """What Student's t with so many degrees of freedom stays within, 95 % of the time: 4.303 for two."""
    low, high = 0.0, 20.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if _within(middle, degrees) < COVERAGE else (low, middle)
    return (low + high) / 2


def _within(t: float, degrees: int) -> float:
    """How likely Student's t lies between -t and t (Abramowitz and Stegun 1964, 26.7.3 and 26.7.4)."""
    angle = math.atan(t / math.sqrt(degrees))
    sine, cosine = math.sin(angle), math.cos(angle)
    odd = degrees % 2
    term = total = 0.0 if degrees == 1 else cosine if odd else 1.0
    for k in range(2 + odd, degrees - 1, 2):
        term *= cosine**2 * (k - 1) / k
        total += term
    return 2 / math.pi * (angle + sine * total) if odd else sine * total

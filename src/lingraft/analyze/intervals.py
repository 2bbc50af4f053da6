"""Intervals of many estimates at once, from resampling the items that they are sums over.

N items, K estimates, R resamples.
"""

from functools import lru_cache

import numpy as np

from lingraft.evaluate.statistics import COVERAGE, RESAMPLES

Figure = dict[str, float]
"""An estimate: `value`, `low` and `high`, the ends of its 95 % interval."""


def ratios(over_NK: np.ndarray, under_NK: np.ndarray, *, seed: int) -> list[Figure]:
    """Sum over sum, with intervals from resampling items (percentile bootstrap); the same resamples for every column.

    Intervals of gaps between two models are paired when both models' values of an item stand in one row.
    """
    counts_RN = _counts(len(over_NK), seed)
    values = over_NK.sum(axis=0) / under_NK.sum(axis=0)
    return _figures(values, (counts_RN @ over_NK) / (counts_RN @ under_NK))


def means(values_NK: np.ndarray, *, seed: int) -> list[Figure]:
    """Means over items, with intervals from resampling them."""
    return _figures(values_NK.mean(axis=0), _counts(len(values_NK), seed) @ values_NK / len(values_NK))


@lru_cache(maxsize=2)
def _counts(size: int, seed: int) -> np.ndarray:
    """How often each item is drawn in each resample."""
    draws_RN = np.random.default_rng(seed).integers(0, size, (RESAMPLES, size))
    return np.stack([np.bincount(draws, minlength=size) for draws in draws_RN]).astype(np.float64)


def _figures(values_K: np.ndarray, resampled_RK: np.ndarray) -> list[Figure]:
    tail = (1 - COVERAGE) / 2
    low_K, high_K = np.quantile(resampled_RK, [tail, 1 - tail], axis=0)
    return [
        {"value": float(value), "low": float(low), "high": float(high)}
        for value, low, high in zip(values_K, low_K, high_K, strict=True)
    ]

"""Resampling of many figures over the same documents. R resamples, of which the first is the sample itself."""

from statistics import NormalDist

import numpy as np

from lingraft.evaluate.statistics import COVERAGE, RESAMPLES


class Resampling:
    """Draws of documents with replacement, the same for every figure, so that differences are paired."""

    def __init__(self, size: int, seed: int) -> None:
        draws = np.random.default_rng(seed).integers(0, size, (RESAMPLES, size))
        self._times_RN = np.ones((RESAMPLES + 1, size))
        for row, drawn in enumerate(draws, start=1):
            self._times_RN[row] = np.bincount(drawn, minlength=size)

    def sums(self, items: np.ndarray) -> np.ndarray:
        """Sums over items (N, ...) in every resample: (R, ...)."""
        return np.tensordot(self._times_RN, items, axes=1)


def interval(values_R: np.ndarray) -> dict[str, float | None]:
    """An estimate with the ends of its percentile interval; None where it has no value.

    Resamples without one are left out.
    """
    if np.isnan(values_R[0]):
        return {"value": None, "low": None, "high": None}
    tail = (1 - COVERAGE) / 2
    low, high = np.nanquantile(values_R[1:], [tail, 1 - tail])
    return {"value": float(values_R[0]), "low": float(low), "high": float(high)}


def share_interval(values_R: np.ndarray, size: int) -> dict[str, float | None]:
    """Of a share of so many; where all are alike, and resampling has no spread, that of Wilson (1927)."""
    found = interval(values_R)
    if found["value"] in (0, 1):
        squared = NormalDist().inv_cdf((1 + COVERAGE) / 2) ** 2
        reach = squared / (size + squared)
        found |= {"high": reach} if found["value"] == 0 else {"low": 1 - reach}
    return found


def p_value(values_R: np.ndarray) -> float:
    """How likely a difference so far from zero is by chance, by the normal law with the spread of the resamples.

    Counting resamples beyond zero could not give less than 1 in 2000, too coarse to correct for hundreds of figures.
    """
    spread = float(values_R[1:].std())
    if spread == 0:
        return 1.0 if values_R[0] == 0 else 0.0
    return 2 * NormalDist().cdf(-abs(float(values_R[0])) / spread)

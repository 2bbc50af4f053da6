"""Intervals of ratios over documents, and of paired differences between two models."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .bits import Bits

RESAMPLES = 2000
COVERAGE = 0.95


@dataclass(frozen=True)
class Interval:
    """An estimate with the ends of its 95 % bootstrap interval."""

    value: float
    low: float
    high: float


def bits_per_byte(records: Sequence[Bits], *, seed: int = 0) -> Interval:
    """Bits per byte with an interval from resampling whole documents (percentile bootstrap)."""
    bits, sizes = _columns(records)
    draws = _draws(len(records), seed)
    return _interval(bits.sum() / sizes.sum(), bits[draws].sum(axis=1) / sizes[draws].sum(axis=1))


def difference(records: Sequence[Bits], against: Sequence[Bits], *, seed: int = 0) -> Interval:
    """Bits per byte of the first less those of the second on the same documents, resampled as pairs."""
    (bits, sizes), (other, _) = _columns(records), _columns(against)
    draws = _draws(len(records), seed)
    gaps = bits - other
    return _interval(gaps.sum() / sizes.sum(), gaps[draws].sum(axis=1) / sizes[draws].sum(axis=1))


def _columns(records: Sequence[Bits]) -> tuple[np.ndarray, np.ndarray]:
    return np.array([r.bits for r in records]), np.array([r.bytes for r in records], dtype=np.float64)


def _draws(size: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, size, (RESAMPLES, size))


def _interval(value: float, resampled: np.ndarray) -> Interval:
    tail = (1 - COVERAGE) / 2
    low, high = np.quantile(resampled, [tail, 1 - tail])
    return Interval(float(value), float(low), float(high))

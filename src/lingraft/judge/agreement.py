"""How far raters agree, beyond what their habits alone would give.

Every coefficient is 1 - observed / expected disagreement. Where nothing but one category was ever given, no
disagreement can be expected and the coefficient has no value: None, not 1.

N units, I items, K categories, V values, R resamples, D counts.
"""

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from lingraft.core.errors import InputError
from lingraft.evaluate import statistics
from lingraft.evaluate.statistics import Interval, OfSums

Weights = Literal["linear", "quadratic"]
Level = Literal["nominal", "ordinal", "interval"]


@dataclass(frozen=True)
class Coefficient:
    """A coefficient as a metric of sums over units, which is what can be resampled."""

    counts_ND: np.ndarray
    of_sums: OfSums

    @property
    def units(self) -> int:
        """That say something of agreement."""
        return len(self.counts_ND)

    @property
    def value(self) -> float | None:
        """None where there is nothing to agree about."""
        if not self.units:
            return None
        found = float(self.of_sums(self.counts_ND.sum(axis=0, keepdims=True))[0])
        return None if math.isnan(found) else found

    def interval(self, seed: int) -> Interval:
        """From resampling units; of nan where there is no value.

        Without ends where every resample has the same, as where all agree: how sure that is cannot be told so.
        """
        if self.value is None:
            return Interval(math.nan, math.nan, math.nan)
        found = statistics.estimate(self.counts_ND, self.of_sums, seed=seed)
        return found if found.low < found.high else Interval(found.value, math.nan, math.nan)


def cohen_kappa(first: Sequence[Any], second: Sequence[Any], *, weights: Weights | None = None) -> float | None:
    """The agreement of two raters on the same items (Cohen 1960); weighted (Cohen 1968), for values that are numbers.

    None among the ratings is a missing one; its item is left out.
    """
    return cohen(first, second, weights=weights).value


def fleiss_kappa(counts_IK: Sequence[Sequence[int]]) -> float | None:
    """The agreement of any number of raters, the same for every item (Fleiss 1971), from how many chose each category.

    Raises InputError where items have different numbers of ratings, or fewer than two.
    """
    return fleiss(counts_IK).value


def krippendorff_alpha(ratings: Sequence[Sequence[Any]], level: Level = "nominal") -> float | None:
    """The agreement of any raters on any items (Krippendorff 2011); one sequence of ratings a rater, None is missing.

    For `ordinal` and `interval` the ratings are numbers. An item with fewer than two ratings is left out.
    """
    return krippendorff(ratings, level).value


def cohen(first: Sequence[Any], second: Sequence[Any], *, weights: Weights | None = None) -> Coefficient:
    """`cohen_kappa`, to be resampled over items."""
    both = [pair for pair in zip(first, second, strict=True) if None not in pair]
    values, place = _places([value for pair in both for value in pair], ordered=weights is not None)
    size = len(values)
    counts_ND = np.zeros((len(both), size * size))
    counts_ND[range(len(both)), [place[a] * size + place[b] for a, b in both]] = 1
    power = {None: 0, "linear": 1, "quadratic": 2}[weights]
    apart_VV = _gaps(values) ** power if power else 1 - np.eye(size)

    def of_sums(sums_RD: np.ndarray) -> np.ndarray:
        shares_RVV = (sums_RD / sums_RD.sum(axis=1, keepdims=True)).reshape(-1, size, size)
        observed_R = (apart_VV * shares_RVV).sum(axis=(1, 2))
        by_chance_RVV = shares_RVV.sum(axis=2)[:, :, None] * shares_RVV.sum(axis=1)[:, None, :]
        return _beyond(observed_R, (apart_VV * by_chance_RVV).sum(axis=(1, 2)))

    return Coefficient(counts_ND, of_sums)


def fleiss(counts_IK: Sequence[Sequence[int]]) -> Coefficient:
    """`fleiss_kappa`, to be resampled over items."""
    counts = np.asarray(counts_IK or np.zeros((0, 1)), dtype=np.float64)
    raters_I = counts.sum(axis=1)
    if raters_I.size and (raters_I.min() < 2 or raters_I.min() != raters_I.max()):
        raise InputError(
            f"Fleiss' kappa is of items that each have the same number of ratings, two at least (they have "
            f"{raters_I.min():.0f} to {raters_I.max():.0f}). Krippendorff's alpha takes missing ones."
        )
    agreeing_I = (counts * (counts - 1)).sum(axis=1) / (raters_I * (raters_I - 1))

    def of_sums(sums_RD: np.ndarray) -> np.ndarray:
        ratings_RK, agreeing_R, items_R = sums_RD[:, :-2], sums_RD[:, -2], sums_RD[:, -1]
        shares_RK = ratings_RK / ratings_RK.sum(axis=1, keepdims=True)
        return _beyond(1 - agreeing_R / items_R, 1 - (shares_RK**2).sum(axis=1))

    return Coefficient(np.column_stack([counts, agreeing_I, np.ones(len(counts))]), of_sums)


def krippendorff(ratings: Sequence[Sequence[Any]], level: Level = "nominal") -> Coefficient:
    """`krippendorff_alpha`, to be resampled over items."""
    units = [[value for value in unit if value is not None] for unit in zip(*ratings, strict=True)]
    units = [unit for unit in units if len(unit) > 1]
    values, place = _places([value for unit in units for value in unit], ordered=level != "nominal")
    size = len(values)
    coincidences_NVV = np.zeros((len(units), size, size))
    for number, unit in enumerate(units):
        given_V = np.bincount([place[value] for value in unit], minlength=size).astype(np.float64)
        coincidences_NVV[number] = (np.outer(given_V, given_V) - np.diag(given_V)) / (len(unit) - 1)

    def of_sums(sums_RD: np.ndarray) -> np.ndarray:
        pairs_RVV = sums_RD.reshape(-1, size, size)
        given_RV = pairs_RVV.sum(axis=2)
        apart_RVV = _apart(values, given_RV, level)
        total_R = given_RV.sum(axis=1)
        chance_RVV = given_RV[:, :, None] * given_RV[:, None, :] / (total_R - 1)[:, None, None]
        return _beyond((pairs_RVV * apart_RVV).sum(axis=(1, 2)), (chance_RVV * apart_RVV).sum(axis=(1, 2)))

    return Coefficient(coincidences_NVV.reshape(len(units), size * size), of_sums)


def _apart(values: Sequence[Any], given_RV: np.ndarray, level: Level) -> np.ndarray:
    """Squared distances of values; ordinal ones are as far apart as there are ratings between them."""
    if level == "nominal":
        return np.broadcast_to(1 - np.eye(len(values)), (len(given_RV), len(values), len(values)))
    if level == "interval":
        return np.broadcast_to(_gaps(values) ** 2, (len(given_RV), len(values), len(values)))
    ranks_RV = given_RV.cumsum(axis=1) - given_RV / 2
    return (ranks_RV[:, :, None] - ranks_RV[:, None, :]) ** 2


def _gaps(values: Sequence[Any]) -> np.ndarray:
    numbers_V = np.asarray(values, dtype=np.float64)
    return np.abs(numbers_V[:, None] - numbers_V[None, :])


def _places(given: Sequence[Hashable], *, ordered: bool) -> tuple[list[Any], dict[Any, int]]:
    values = sorted(set(given)) if ordered else list(dict.fromkeys(given))
    return values, {value: place for place, value in enumerate(values)}


def _beyond(observed_R: np.ndarray, expected_R: np.ndarray) -> np.ndarray:
    """1 - observed / expected disagreement, nan where none is to be expected."""
    is_any = expected_R > 1e-12  # shares that should cancel may leave their last bits
    return np.where(is_any, 1 - observed_R / np.where(is_any, expected_R, 1), math.nan)

"""Intervals over seeds, against slow versions from the definition."""

import math

import pytest

from lingraft.report.study.statistics import over_seeds, paired, t_quantile


def slow_within(t: float, degrees: int, slices: int = 20_000) -> float:
    """The density of Student's t, summed from -t to t."""
    log_scale = math.lgamma((degrees + 1) / 2) - math.lgamma(degrees / 2) - math.log(degrees * math.pi) / 2
    width = 2 * t / slices
    places = (-t + (n + 0.5) * width for n in range(slices))
    return math.fsum(math.exp(log_scale) * (1 + x * x / degrees) ** (-(degrees + 1) / 2) for x in places) * width


@pytest.mark.parametrize("degrees", [1, 2, 3, 4, 5, 6, 9, 10, 29])
def test_quantiles_hold_95_percent(degrees: int) -> None:
    assert slow_within(t_quantile(degrees), degrees) == pytest.approx(0.95, abs=1e-6)


@pytest.mark.parametrize(("degrees", "quantile"), [(1, 12.7062), (2, 4.3027), (3, 3.1824), (4, 2.7764), (10, 2.2281)])
def test_quantiles_are_those_of_the_tables(degrees: int, quantile: float) -> None:
    assert t_quantile(degrees) == pytest.approx(quantile, abs=5e-5)


def test_a_mean_over_seeds() -> None:
    found = over_seeds([1.0, 2.0, 6.0])
    deviation = math.sqrt(((1 - 3) ** 2 + (2 - 3) ** 2 + (6 - 3) ** 2) / 2)
    assert found["mean"] == 3.0
    assert found["high"] - 3.0 == pytest.approx(4.302653 * deviation / math.sqrt(3), abs=1e-5)
    assert found["low"] + found["high"] == pytest.approx(6.0)
    assert over_seeds([2.0]) == {"mean": 2.0, "low": None, "high": None, "seeds": 1}
    assert over_seeds([]) == {"mean": None, "low": None, "high": None, "seeds": 0}


def test_differences_are_of_the_seeds_that_both_have() -> None:
    found = paired({"1": 3.0, "2": 5.0, "4": 9.0}, {"1": 1.0, "2": 4.0, "3": 0.0})
    assert (found["mean"], found["seeds"]) == (1.5, 2)
    assert found["high"] == pytest.approx(1.5 + 12.7062 * math.sqrt(0.5) / math.sqrt(2), abs=1e-3)

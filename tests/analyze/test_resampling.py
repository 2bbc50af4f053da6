import numpy as np
import pytest

from lingraft.analyze.resampling import Resampling, interval, p_value, share_interval
from lingraft.evaluate.metrics import ratio
from lingraft.evaluate.statistics import estimate


def test_the_first_sums_are_those_of_the_sample() -> None:
    items = np.arange(24.0).reshape(4, 3, 2)
    sums = Resampling(4, seed=1).sums(items)
    assert np.array_equal(sums[0], items.sum(axis=0))
    draws = np.random.default_rng(1).integers(0, 4, (2000, 4))
    assert np.allclose(sums[1:], items[draws].sum(axis=1))


def test_an_interval_holds_the_mean_as_often_as_it_says() -> None:
    draw = np.random.default_rng(5)
    held, called = 0, 0
    for seed in range(100):
        values_R = Resampling(40, seed).sums(draw.normal(size=40)) / 40
        found = interval(values_R)
        held += found["low"] <= 0 <= found["high"]
        called += p_value(values_R) < 0.05
    assert held >= 88
    assert called <= 12


def test_what_has_no_spread_or_no_value() -> None:
    assert p_value(np.zeros(11)) == 1
    assert p_value(np.ones(11)) == 0
    assert interval(np.full(11, np.nan)) == {"value": None, "low": None, "high": None}


def test_a_share_of_none_or_all_is_not_certain() -> None:
    assert share_interval(np.zeros(11), 20) == {"value": 0, "low": 0, "high": pytest.approx(0.1611, abs=1e-4)}
    assert share_interval(np.ones(11), 20) == {"value": 1, "low": pytest.approx(0.8389, abs=1e-4), "high": 1}
    assert share_interval(np.linspace(0.4, 0.6, 11), 20) == interval(np.linspace(0.4, 0.6, 11))


def test_intervals_are_those_of_the_evaluation() -> None:
    counts = np.random.default_rng(0).random((30, 2))
    expected = estimate(counts, ratio, seed=7)
    found = interval(ratio(Resampling(30, seed=7).sums(counts)))
    assert found == pytest.approx({"value": expected.value, "low": expected.low, "high": expected.high})

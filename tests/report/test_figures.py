import json
import math

import plotly.graph_objects as go
import pytest

from lingraft.report.figures import MAX_POINTS, axis, curves


@pytest.mark.parametrize(
    "values", [[1.184, 1.227], [0.0, 8000.0], [1.2, 1.2], [0.0, 0.0], [-3.0, -1e-3], [2.9999, 3.0]]
)
def test_an_axis_holds_its_values_and_round_ticks(values):
    found = axis(values)
    assert all(0 < found.percent(value) < 100 for value in values)
    assert 1 <= len(found.ticks) <= 6
    for tick in found.ticks:
        assert found.low <= tick <= found.high
        assert math.isclose(tick, round(tick, found.digits), abs_tol=1e-9)


def test_long_losses_are_averaged_and_held_out_points_are_kept(report):
    (curve,) = curves(report)
    losses = [point["loss"] for point in report["training"][0]["curve"]]
    assert curve["averaged"] == 3
    assert len(curve["loss"][0]["y"]) == 500 <= MAX_POINTS
    assert curve["loss"][0]["y"][7] == pytest.approx(sum(losses[21:24]) / 3)
    assert curve["loss"][0]["x"]["bytes"][-1] == 1500 * 266_000
    assert [series["stream"] for series in curve["held_out"]] == ["target", "replay"]
    assert len(curve["held_out"][0]["y"]) == len(report["training"][0]["held_out_curve"])


@pytest.mark.parametrize(("seconds", "unit", "last"), [(90, "seconds", 90), (600, "minutes", 10), (7200, "hours", 2)])
def test_time_is_told_in_a_fitting_unit(report, seconds, unit, last):
    point = {"step": 1, "tokens": 1, "bytes": 4, "seconds": seconds, "loss": 1.0, "lr": 0.1}
    report["training"] = [{"name": "pretrain", "kind": "pretrain", "curve": [point], "held_out_curve": []}]
    (curve,) = curves(report)
    assert (curve["time_unit"], curve["loss"][0]["x"]["time"]) == (unit, [last])


def test_a_diverged_loss_is_a_gap_and_valid_json(report):
    report["training"][0]["curve"][3]["loss"] = math.nan
    text = json.dumps(curves(report), allow_nan=False)
    assert json.loads(text)[0]["loss"][0]["y"][1] is None


def test_plotly_takes_the_series(report):
    for series in (*curves(report)[0]["held_out"], *curves(report)[0]["loss"]):
        for x in series["x"].values():
            assert len(go.Scatter(x=x, y=series["y"], name=series["label"]).x) == len(series["y"])


def test_a_step_without_curves_draws_nothing(report):
    report["training"][0].update(curve=[], held_out_curve=[])
    assert curves(report) == []

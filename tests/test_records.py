"""What is recorded of whole runs, and how it is told beside a paper."""

import runpy
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from lingraft.core.study.measure import Measure, Value

ROOT = Path(__file__).parents[1]
NOTHING = Value(0.0)


def script(monkeypatch: pytest.MonkeyPatch, folder: str, name: str) -> dict[str, Any]:
    monkeypatch.syspath_prepend(ROOT / folder)
    return runpy.run_path(str(ROOT / folder / f"{name}.py"))


def event(second: int, kind: str, step: str, **values: str) -> dict[str, str]:
    return {"time": f"2026-01-01T00:00:{second:02}.000+00:00", "event": kind, "step": step, **values}


def test_stopped_attempts_count_until_the_last_that_they_said(monkeypatch: pytest.MonkeyPatch) -> None:
    events = [
        {"event": "run"},
        event(0, "start", "pack", fingerprint="a"),
        event(4, "done", "pack"),
        event(4, "start", "pretrain", fingerprint="of another setting"),
        event(9, "loss", "pretrain"),
        {"event": "run"},
        event(10, "start", "pretrain", fingerprint="b"),
        event(17, "loss", "pretrain"),  # killed after it
        {"event": "run"},
        event(30, "start", "pretrain", fingerprint="b"),
        event(32, "failed", "pretrain"),
        {"event": "run"},
        event(40, "start", "pretrain", fingerprint="b"),
        event(50, "done", "pretrain"),
    ]
    before_stops = script(monkeypatch, "benchmarks", "systems")["before_stops"]
    assert before_stops("pretrain", "b", events) == [7, 2]
    assert before_stops("pack", "a", events) == []


def test_what_is_kept_of_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    pick, whole = (script(monkeypatch, "benchmarks", "systems")[name] for name in ("pick", "ALL"))
    figures = {"streams": {"target": {"train": 1, "examples": []}, "replay": {"train": 2}}, "rows": [{"a": 1, "b": 2}]}
    wanted = {"streams": {"*": {"train": whole}}, "rows": {"a": whole}, "not there": whole}
    assert pick(figures, wanted) == {"streams": {"target": {"train": 1}, "replay": {"train": 2}}, "rows": [{"a": 1}]}


def test_two_runs_differ_in_what_is_no_time(monkeypatch: pytest.MonkeyPatch) -> None:
    compare = script(monkeypatch, "benchmarks", "repeat")["compare"]
    made = {"files": [{"path": "model", "sha256": "1"}], "seconds": 3.0, "figures": {"loss": [1.0, 2.0], "hours": 1}}
    cheaper = {"at_equal_cost": [{"cost": "hours", "amount": 1.0}, {"cost": "bytes", "amount": 5}]}
    other = {"files": [{"path": "model", "sha256": "2"}], "seconds": 4.0, "figures": {"loss": [1.0, 2.5], "hours": 2}}
    again = {"at_equal_cost": [{"cost": "hours", "amount": 2.0}, {"cost": "bytes", "amount": 5}]}
    same = compare(
        {"pretrain": made, "analyze": {"files": [], **cheaper}}, {"pretrain": made, "analyze": {"files": [], **again}}
    )
    assert (same["figures_differ"], same["files_differ"]) == ([], [])
    found = compare({"pretrain": made}, {"pretrain": other})
    assert (found["figures_differ"], found["files_differ"]) == (["pretrain.figures.loss[1]"], ["pretrain/model"])


@pytest.mark.parametrize(
    ("found", "way"),
    [
        ({"change": Value(-1.0, -1.5, -0.5)}, -1),
        ({"before": NOTHING, "after": NOTHING, "change": Value(1.0, -0.5, 2.5)}, 0),
        ({"before": Value(1.0, 0.5, 1.5), "after": Value(2.0, 1.4, 2.6)}, 0),
        ({"before": Value(1.0, 0.5, 1.5), "after": Value(2.0, 1.6, 2.4)}, 1),
        ({"before": Value(2.5), "after": Value(2.0)}, -1),
        ({"after": Value(2.0)}, None),
    ],
)
def test_the_direction_of_a_change(found: dict[str, Value], way: int | None, monkeypatch: pytest.MonkeyPatch) -> None:
    assert script(monkeypatch, "docs", "systems_page")["direction"](found) == way


@pytest.mark.parametrize(
    ("expected", "way", "told"),
    [(1, 1, "yes"), (1, 0, "not shown"), (1, -1, "**no**"), (0, 0, "yes: no difference shown"), (0, 1, "**no**")],
)
def test_agreement_with_a_paper(expected: int, way: int, told: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert script(monkeypatch, "docs", "systems_page")["agreement"](expected, way) == told


def test_figures_held_against_papers_are_of_steps_of_their_recipes() -> None:
    papers = YAML(typ="safe").load(ROOT / "docs" / "systems" / "papers.yaml")
    assert len(papers) == 5
    for paper in papers.values():
        recipe = YAML(typ="safe").load(ROOT / "recipes" / "lab" / f"{paper['recipe']}.yaml")
        steps = {"base", *recipe["stages"]}
        ways = [claim[key] for claim in paper["claims"] for key in ("before", "after", "change") if key in claim]
        assert {Measure(figure=way).step for way in ways} <= steps


def test_a_cell_made_again_is_held_against_both_intervals(monkeypatch: pytest.MonkeyPatch) -> None:
    def results(value: float, seed: str = "3") -> dict[str, Any]:
        values = {seed: {"value": value, "low": 1.69, "high": 1.72}}
        return {"rows": [{"axes": {"a": "x"}, "figures": {"bits": {"low": None, "high": None, "values": values}}}]}

    held_against = script(monkeypatch, "benchmarks", "studies")["held_against"]
    recorded = results(1.7)
    (found,) = held_against(recorded, results(1.73))
    assert (found["cell"], found["recorded"], found["again"]) == ({"a": "x", "seed": 3}, 1.7, 1.73)
    assert (found["items"], found["seeds"]) == ({"low": 1.69, "high": 1.72, "within": False}, None)
    recorded["rows"][0]["figures"]["bits"] |= {"mean": 1.7, "low": 1.68, "high": 1.72, "seeds": 3}
    (found,) = held_against(recorded, results(1.73))
    # One more training may be further from the mean than the mean of three from that of all.
    assert found["seeds"] == {"low": pytest.approx(1.66), "high": pytest.approx(1.74), "within": True}
    assert held_against(recorded, results(1.73, seed="2")) == []

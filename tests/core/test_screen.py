"""What people see: numbers, times, plain lines where there is no terminal, tables."""

from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console
from rich.table import Table
from rich.text import Text
from stages_for_tests import TABLE, write_recipe

from lingraft.core import screen
from lingraft.core.artifact import Store
from lingraft.core.plan import plan
from lingraft.core.recipe import load
from lingraft.core.screen import Screen, amount, duration
from lingraft.core.stage import Input
from lingraft.core.tables import plan_table, run_table


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0, "", "0"),
        (999, "tokens", "999 tokens"),
        (12500, "tokens", "12.5k tokens"),
        (1500, "", "1.5k"),
        (3.2e6, "B", "3.2 MB"),
        (7e9, "", "7.0G"),
        (2.5e12, "B", "2.5 TB"),
        (12, "B", "12 B"),
    ],
)
def test_amounts(value: float, unit: str, text: str) -> None:
    assert amount(value, unit) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(4.1, "4.1 s"), (200, "3 min 20 s"), (3599.6, "1 h 0 min"), (7500, "2 h 5 min"), (360000, "100 h 0 min")],
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_plain_lines_at_long_intervals(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(range(0, 1000, 10))
    monkeypatch.setattr(screen.time, "monotonic", lambda: next(clock))
    written = StringIO()
    with Screen(Console(file=written, width=100)) as shown:
        shown.event("step", step="pack", state="resume")
        shown.start("tokenizing", total=4000, unit="B")  # 0 s
        shown.advance(1000)  # 10 s: too early to speak
        shown.advance(1000)  # 20 s, spoken at 30 s, rate taken at 40 s
        shown.start("counting", unit="tokens")  # 50 s
        shown.advance(500)  # 60 s
        shown.advance(500)  # 70 s, spoken at 80 s, rate taken at 90 s
        shown.event("done", step="pack", seconds=90)
        shown.advance(1)  # belongs to no bar any more
        shown.advance(1)
        shown.event("reused", step="graft")
        shown.event("loss", step="pretrain")
    assert [line.rstrip() for line in written.getvalue().splitlines()] == [
        "> pack goes on",
        "    tokenizing: 2.0 kB of 4.0 kB (50%), 50 B/s, 40.0 s left",
        "    counting: 1.0k tokens",
        "✓ pack 1 min 30 s",
        "✓ graft done before",
    ]


def test_bars_on_a_terminal() -> None:
    written = StringIO()
    with Screen(Console(file=written, width=100, force_terminal=True)) as shown:
        shown.start("tokenizing", total=4000, unit="B")
        shown.advance(3000)
    assert "tokenizing" in written.getvalue()
    assert "3.0 kB" in written.getvalue()


def drawn(table: Table | Text) -> str:
    """What is printed, with single spaces."""
    written = StringIO()
    Console(file=written, width=200).print(table)
    return "\n".join(" ".join(line.split()) for line in written.getvalue().splitlines())


def test_the_plan_and_the_run_as_tables(tmp_path: Path) -> None:
    store, recipe = Store(tmp_path / "store"), load(write_recipe(tmp_path), TABLE)
    steps = plan(recipe, TABLE, store)
    told = drawn(plan_table(steps))
    assert [f"{name} new" in told for name in recipe.stages] == [True] * 4
    assert "words new - - - ~10 B ~1.0 s" in told
    assert "words -> " in told
    assert "still to do: about 1.0 s" in told
    for step in steps:
        store.open_work(step.stage.kind, step.fingerprint)
        store.finish(step.stage.kind, step.fingerprint, {"figures": {"tokens": 5}, "seconds": 2})
    told = drawn(plan_table(plan(recipe, TABLE, store)))
    assert [f"{name} done 5 - - 0 B 2.0 s" in told for name in recipe.stages] == [True] * 4
    assert "~" not in told
    assert "all done" in told
    artifact = Input("words", "aa", tmp_path, {"loss": 0.123456, "n": 3, "deep": {}}, {"seconds": 61})
    told = drawn(run_table("mine", {"words": artifact, "count": None}))
    assert told.startswith("mine\n")
    assert "words 1 min 1 s loss 0.1235, n 3" in told
    assert "count not done" in told

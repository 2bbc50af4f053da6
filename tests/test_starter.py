"""The embedded default end to end through the command line: killed, gone on with, and found done."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

SMALL = [
    *("pretrain.epochs=0.5", "pretrain.curve_points=2", "evaluate.documents=6", "evaluate.samples=1"),
    *("evaluate.suites=[bits, samples, writing, {suite: starter, items: 6, shots: 1}]", "evaluate.written=4"),
    *(
        "analyze.documents=6",
        "analyze.analyses=[forgetting, {analysis: alignment, options: {sentences: 20}}, efficiency]",
    ),
]
COMMAND = [sys.executable, "-m", "lingraft"]
OVERRIDES = [part for value in SMALL for part in ("-s", value)]
STEPS = ["base", "corpus", "tokenizer", "graft", "pack", "pretrain", "evaluate", "analyze", "export", "report"]


def lingraft(*arguments: object) -> str:
    done = subprocess.run([*COMMAND, *map(str, arguments)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store in which the run was killed in its training and then gone on with."""
    store = tmp_path_factory.mktemp("store")
    command = [*COMMAND, "run", "starter", "--store", str(store), *OVERRIDES]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if line.startswith("> pretrain"):
                break
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    return store


def states(store: Path) -> list[str]:
    """The state of every step as the newest run found it."""
    lines = (store / "runs" / "starter" / "events.jsonl").read_text(encoding="utf-8").splitlines()
    runs = [event for event in map(json.loads, lines) if event["event"] == "run"]
    assert list(runs[-1]["steps"]) == STEPS
    return list(runs[-1]["steps"].values())


def test_a_killed_run_goes_on_and_is_then_done(store: Path) -> None:
    output = lingraft("run", "starter", "--store", store, *OVERRIDES)
    assert states(store) == [*["done"] * 5, "resume", *["new"] * 4]
    assert "report.html" in output
    again = lingraft("run", "starter", "--store", store, *OVERRIDES)
    assert states(store) == ["done"] * 10
    assert again.count("done before") == 10
    check_figures(json.loads(lingraft("show", "starter", "--store", store, "--json"))["steps"])
    check_page((store / "runs" / "starter" / "report" / "report.html").read_text(encoding="utf-8"))
    assert (store / "runs" / "starter" / "export" / "hf" / "README.md").exists()


def check_figures(steps: dict) -> None:
    figures = {name: step["figures"] for name, step in steps.items()}
    rows = {(row["model"], row["stream"]): row for row in figures["evaluate"]["bits"] if row["source"] == "all"}
    assert rows["pretrain", "target"]["high"] < rows["graft", "target"]["low"] < rows["base", "target"]["low"]
    tasks = figures["evaluate"]["tasks"]
    assert {row["task"] for row in tasks} >= {"starter-letters", "starter-options", "starter-story", "starter-pl-en"}
    assert {row["model"] for row in tasks} == {"base", "graft", "pretrain"}
    assert figures["evaluate"]["missing"] == []
    assert figures["evaluate"]["writing"]["prompts"] == 4
    assert [row["stream"] for row in figures["analyze"]["forgetting"]["languages"][::3]] == ["target", "replay"]
    proofs = figures["tokenizer"]["proofs"]
    assert (proofs["unreachable"], proofs["old_ids_moved"]) == (0, 0)
    assert proofs["round_trip"]["exact"] == proofs["round_trip"]["documents"] == 40
    assert figures["export"]["gate"]["logits_identical"]
    for stream in figures["pack"]["streams"].values():
        assert stream["tokens"] == stream["tokens_read_back"]
        assert stream["text_bytes"] == stream["token_text_bytes"]


def check_page(page: str) -> None:
    assert "Polish" in page
    assert "Endings of stories" in page
    assert 'src="http' not in page
    assert 'href="http' not in page

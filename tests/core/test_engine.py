"""Carrying out plans: one process a step, errors told, what was stopped goes on, what is done stays."""

import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from stages_for_tests import TABLE, write_recipe

from lingraft.core import launch
from lingraft.core.artifact import Store
from lingraft.core.engine import execute, follow
from lingraft.core.errors import InputError, StageError, StoreError
from lingraft.core.plan import Step, plan
from lingraft.core.progress import Progress
from lingraft.core.recipe import load
from lingraft.core.run import Run
from lingraft.core.stage import Input

PACKAGES = Path(__file__).parent
RUN = """
import sys
from pathlib import Path
from lingraft.core.errors import LingraftError
from test_engine import carry_out
try:
    carry_out(Path(sys.argv[1]), *sys.argv[3:], name=sys.argv[2])
except LingraftError as error:
    sys.exit(f"{type(error).__name__}: {error}")
"""


class Said(Progress):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def start(self, what: str, total: float | None = None, unit: str = "") -> None:
        self.lines.append(f"start {what} {total} {unit}".strip())

    def advance(self, amount: float = 1) -> None:
        self.lines.append(f"advance {amount}")

    def event(self, kind: str, **values: object) -> None:
        self.lines.append(f"{kind} {values['step']}")


def carry_out(
    folder: Path, *overrides: str, screen: Progress | None = None, store: Path | None = None, name: str = "run"
) -> dict:
    kept = Store(store or folder / "store")
    recipe = load(folder / "recipe.yaml", TABLE, overrides)
    run = Run(kept, name)
    if launch.rank() > 0:
        follow(recipe, plan(recipe, TABLE, kept), kept, run, ())
    else:
        execute(recipe, plan(recipe, TABLE, kept), kept, run, screen or Progress(), ())
    return dict(run.artifacts())


def planned(folder: Path, *overrides: str, store: Path | None = None) -> list[Step]:
    return plan(load(folder / "recipe.yaml", TABLE, overrides), TABLE, Store(store or folder / "store"))


def events(folder: Path) -> list[dict]:
    lines = (folder / "store" / "runs" / "run" / "events.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def elsewhere(folder: Path, *overrides: str, name: str = "run", rank: int = 0) -> subprocess.Popen:
    """The same in a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-c", RUN, str(folder), name, *overrides],
        env={**os.environ, "PYTHONPATH": str(PACKAGES), "RANK": str(rank)},
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,  # a signal to all of its processes is none to the tests
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_recipe(tmp_path)
    return tmp_path


def test_every_step_is_carried_out_and_linked(folder: Path) -> None:
    said = Said()
    artifacts = carry_out(folder, "count.act=nothing", screen=said)
    words: Input = artifacts["words"]
    assert words.figures["words"] == 3
    assert words.figures["seed"] == 17
    assert words.figures["process"] != os.getpid()
    assert artifacts["summary"].figures["parts"] == ["base", "count", "words"]
    assert artifacts["summary"].figures["recipe"] == (folder / "store/runs/run/recipe.yaml").read_text(encoding="utf-8")
    manifest = artifacts["count"].manifest
    assert manifest["inputs"] == {"words": words.fingerprint}
    assert manifest["config"] == {"kind": "count", "words": "words", "act": "nothing", "shares": {"left": 1.0}}
    assert (manifest["stage_version"], manifest["settings"]) == (1, {})
    assert words.manifest["settings"] == {"seed": 17}
    assert set(words.manifest["outside"]) == {"files.0.path"}
    assert manifest["peak_memory_bytes"] > 1e6
    assert manifest["cpu_seconds"] > 0
    assert manifest["seconds"] > 0
    assert (folder / "store/runs/run/count/half.txt").read_text(encoding="utf-8") == "half"
    assert (folder / "store/runs/run/count/log.txt").read_text(encoding="utf-8") == "about to nothing\n"
    told = [(event["event"], event.get("step")) for event in events(folder)]
    assert told[0] == ("run", None)
    assert told.count(("word", "words")) == 3
    assert told[-1] == ("finished", None)
    at = said.lines.index("start reading 2 words")
    assert said.lines[at + 1 : at + 3] == ["advance 2.0", "start words None"]
    assert [line for line in said.lines if line.split()[0] in ("step", "done")] == [
        f"{what} {step}" for step in ("base", "words", "count", "summary") for what in ("step", "done")
    ]


def test_what_is_done_is_not_done_again(folder: Path) -> None:
    before, said = carry_out(folder), Said()
    assert carry_out(folder, "words.workers=4", screen=said) == before
    assert said.lines == [f"reused {step}" for step in ("base", "words", "count", "summary")]
    said = Said()
    carry_out(folder, "count.act=other", screen=said)
    assert said.lines[:3] == ["reused base", "reused words", "step count"]
    said = Said()
    assert carry_out(folder, screen=said) == before
    assert len(said.lines) == 4


def test_an_error_of_the_user_comes_through_whole(folder: Path) -> None:
    with pytest.raises(InputError) as error:
        carry_out(folder, "count.act=refuse")
    assert str(error.value) == "words.txt:3: the words are no words.\n  Write words."


def test_our_own_mistake_shows_the_log(folder: Path) -> None:
    with pytest.raises(RuntimeError, match=r"step count failed; its log .*log\.txt ends with:") as error:
        carry_out(folder, "count.act=crash")
    assert "ZeroDivisionError: a mistake of ours" in str(error.value)
    assert "about to crash" in str(error.value)


def test_a_full_disk_is_told_as_such(folder: Path) -> None:
    with pytest.raises(
        StoreError, match=r"no space is left on the disk\.\n  Free space and run the same command again"
    ):
        carry_out(folder, "count.act=full")


@pytest.mark.parametrize("act", ["die", "leave"])
def test_a_killed_step_goes_on_from_its_folder(folder: Path, act: str) -> None:
    """`leave` also leaves a child behind, which holds the pipe to the command open."""
    with pytest.raises(StageError, match=r"count: the step was ended from outside by SIGKILL\.") as error:
        carry_out(folder, f"count.act={act}")
    if act == "leave":
        os.kill(int((folder / "left").read_text(encoding="utf-8")), signal.SIGKILL)
    assert "Run the same command again: it goes on from where this one stopped." in str(error.value)
    assert [step.state for step in planned(folder, f"count.act={act}")] == ["done", "done", "resume", "new"]
    said = Said()
    artifacts = carry_out(folder, f"count.act={act}", screen=said)
    assert said.lines[:2] == ["reused base", "reused words"]
    assert artifacts["count"].figures == {"words": 3, "resumed": True}
    assert len((artifacts["count"].folder / "log.txt").read_text(encoding="utf-8").splitlines()) == 2


def test_a_step_ends_with_the_command_and_its_lock_is_free(folder: Path) -> None:
    os.mkfifo(folder / "pid")
    command = elsewhere(folder, "count.act=hang")
    step = int((folder / "pid").read_text(encoding="utf-8"))
    _, told = elsewhere(folder, "count.act=hang").communicate(timeout=60)
    assert f'another command is carrying out the run "run" now (process {command.pid} on ' in told
    assert "give this one another --name." in told
    watched = os.pidfd_open(step)
    command.kill()
    command.communicate(timeout=60)
    ended, _, _ = select.select([watched], [], [], 60)
    os.close(watched)
    assert ended
    (folder / "never").unlink()
    (folder / "pid").unlink()
    with Store(folder / "store").lock("count", planned(folder, "count.act=hang")[2].fingerprint, pytest.fail):
        pass


def test_what_another_run_makes_is_waited_for_and_used(folder: Path) -> None:
    class Helpful(Said):
        def event(self, kind: str, **values: object) -> None:
            super().event(kind, **values)
            if (kind, values["step"]) == ("waits", "count"):
                assert str(values["whose"]).startswith(f"process {command.pid} on ")
                (folder / "never").write_text("go on", encoding="utf-8")

    os.mkfifo(folder / "pid")
    command = elsewhere(folder, "count.act=hang")
    (folder / "pid").read_text(encoding="utf-8")
    said = Helpful()
    artifacts = carry_out(folder, "count.act=hang", name="second", screen=said)
    assert said.lines[:4] == ["reused base", "reused words", "waits count", "reused count"]
    _, told = command.communicate(timeout=60)
    assert command.returncode == 0, told
    first = dict(Run(Store(folder / "store"), "run").artifacts())
    assert first["count"].fingerprint == artifacts["count"].fingerprint


def test_what_steps_are_forked_from_outlives_a_sigterm(folder: Path) -> None:
    os.mkfifo(folder / "pid")
    command = elsewhere(folder, "count.act=hang")
    step = int((folder / "pid").read_text(encoding="utf-8"))
    os.kill(psutil.Process(step).ppid(), signal.SIGTERM)
    (folder / "never").write_text("go on", encoding="utf-8")
    _, told = command.communicate(timeout=60)
    assert command.returncode == 0, told


@pytest.mark.parametrize(
    ("sent", "to"), [(signal.SIGTERM, os.kill), (signal.SIGTERM, os.killpg), (signal.SIGINT, os.kill)]
)
def test_a_step_can_save_when_the_command_is_stopped(
    folder: Path, sent: signal.Signals, to: Callable[[int, int], None]
) -> None:
    os.mkfifo(folder / "pid")
    command = elsewhere(folder, "count.act=save")
    (folder / "pid").read_text(encoding="utf-8")
    to(command.pid, sent)
    _, told = command.communicate(timeout=60)
    assert "KeyboardInterrupt" in told
    assert [step.state for step in planned(folder, "count.act=save")] == ["done", "done", "resume", "new"]
    artifacts = carry_out(folder, "count.act=save")
    assert artifacts["count"].figures == {"words": 3, "resumed": True}
    assert (artifacts["count"].folder / "saved.txt").read_text(encoding="utf-8") == "saved"


def test_processes_of_one_launch_carry_out_shared_steps_together(folder: Path) -> None:
    first, second = (elsewhere(folder, "count.act=meet", rank=rank) for rank in (0, 1))
    for process in (second, first):
        _, told = process.communicate(timeout=60)
        assert process.returncode == 0, told
    artifacts = carry_out(folder, "count.act=meet")
    assert artifacts["count"].figures == {"words": 0, "met": "process 1"}
    assert [event["event"] for event in events(folder)].count("start") == 4


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", place]
    mounted = subprocess.run(mount, check=False, capture_output=True, text=True)
    if mounted.returncode:
        pytest.skip(f"no small disk can be mounted here: {mounted.stderr.strip()}")
    yield place
    subprocess.run(["umount", "--lazy", place], check=True)


def test_a_disk_that_runs_full(folder: Path, small_disk: Path) -> None:
    with pytest.raises(StoreError, match=r"no space is left on the disk\.") as error:
        carry_out(folder, "count.act=fill", store=small_disk)
    assert "finished steps are kept, the stopped one goes on" in str(error.value)
    assert [step.state for step in planned(folder, "count.act=fill", store=small_disk)][:3] == [
        "done",
        "done",
        "resume",
    ]

"""Trainings that are killed, told to stop or find what is not theirs: what goes on is as if nothing had been."""

import dataclasses
import pickle
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from trained_for_tests import Recorder, Trained

from lingraft.core.artifact import SCRATCH
from lingraft.core.errors import StageError
from lingraft.train.checkpoints import newest
from lingraft.train.pretrain import pretrain
from lingraft.train.settings import Settings

KILLED_AT = 6

DRIVER = """
import os, pickle, signal, sys
from lingraft.core.progress import Progress
from lingraft.train.pretrain import pretrain

arguments, last, sent = pickle.load(sys.stdin.buffer)

class Killer(Progress):
    tokens = 0
    def advance(self, amount=1):
        self.tokens += amount
        if self.tokens >= last:
            os.kill(os.getpid(), sent)

pretrain(*arguments, progress=Killer())
"""


def sent(what: signal.Signals, *arguments: Any) -> subprocess.CompletedProcess[bytes]:
    """A training in a process of its own that is sent a signal at the end of a step."""
    given = pickle.dumps((arguments, KILLED_AT * arguments[-1].batch_tokens, what))
    return subprocess.run([sys.executable, "-c", DRIVER], input=given, capture_output=True, check=False)


@pytest.fixture(scope="module")
def killed(
    tmp_path_factory: pytest.TempPathFactory, tiny_base: Path, packed: Path, corpus: Path, settings: Settings
) -> Path:
    """What a training leaves that writes a checkpoint every step and is killed at the end of one, unasked."""
    folder = tmp_path_factory.mktemp("killed")
    process = sent(
        signal.SIGKILL, tiny_base, packed, corpus, folder, dataclasses.replace(settings, checkpoint_minutes=0)
    )
    assert process.returncode == -signal.SIGKILL, process.stderr.decode()
    assert not (folder / "model.safetensors").exists()
    return folder


def without_time(points: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{key: value for key, value in point.items() if key != "seconds"} for point in points]


def test_killed_and_resumed_is_as_undisturbed(
    killed: Path, trained: Trained, tiny_base: Path, packed: Path, corpus: Path, settings: Settings, tmp_path: Path
) -> None:
    folder = tmp_path / "work"
    shutil.copytree(killed, folder)
    progress = Recorder()
    figures = pretrain(tiny_base, packed, corpus, folder, settings, progress=progress)
    assert ("resumed", {"checkpoint": f"checkpoint-{KILLED_AT - 1}"}) in progress.events
    assert (folder / "model.safetensors").read_bytes() == (trained.folder / "model.safetensors").read_bytes()
    assert without_time(figures["curve"]) == without_time(trained.figures["curve"])
    assert without_time(figures["held_out_curve"]) == without_time(trained.figures["held_out_curve"])
    seconds = [point["seconds"] for point in figures["curve"]]
    assert seconds == sorted(seconds)


def test_told_to_stop_it_writes_a_checkpoint_first(
    trained: Trained, tiny_base: Path, packed: Path, corpus: Path, settings: Settings, tmp_path: Path
) -> None:
    process = sent(signal.SIGTERM, tiny_base, packed, corpus, tmp_path, settings)
    assert b"the training was stopped after step 6 of 8; a checkpoint is written." in process.stderr
    progress = Recorder()
    pretrain(tiny_base, packed, corpus, tmp_path, settings, progress=progress)
    assert ("resumed", {"checkpoint": "checkpoint-6"}) in progress.events
    assert progress.amount == progress.total == 2 * settings.batch_tokens
    assert (tmp_path / "model.safetensors").read_bytes() == (trained.folder / "model.safetensors").read_bytes()


def test_a_torn_checkpoint_is_passed_over(
    killed: Path, trained: Trained, tiny_base: Path, packed: Path, corpus: Path, settings: Settings, tmp_path: Path
) -> None:
    folder = tmp_path / "work"
    shutil.copytree(killed, folder)
    (torn,) = (folder / SCRATCH / f"checkpoint-{KILLED_AT - 1}" / "state").glob("*.safetensors")
    torn.write_bytes(torn.read_bytes()[:-1])
    progress = Recorder()
    pretrain(tiny_base, packed, corpus, folder, settings, progress=progress)
    assert ("resumed", {"checkpoint": f"checkpoint-{KILLED_AT - 2}"}) in progress.events
    assert (folder / "model.safetensors").read_bytes() == (trained.folder / "model.safetensors").read_bytes()


@pytest.mark.parametrize(
    ("changes", "new_ids", "told"),
    [
        ({"lr": 1e-3, "seed": 8}, (), "lr, seed"),
        ({"mix": {"target": 1.0}}, (), "mix"),
        ({"checkpoint_minutes": 3, "micro_batch_sequences": 2}, (399,), "the new tokens"),
    ],
)
def test_a_checkpoint_of_another_training(
    changes: dict[str, Any],
    new_ids: tuple[int, ...],
    told: str,
    killed: Path,
    tiny_base: Path,
    packed: Path,
    corpus: Path,
    settings: Settings,
    tmp_path: Path,
) -> None:
    shutil.copytree(killed, tmp_path / "work")
    changed = dataclasses.replace(settings, **changes)
    with pytest.raises(StageError, match=f"belongs to another training, different in {told}"):
        pretrain(tiny_base, packed, corpus, tmp_path / "work", changed, new_ids=new_ids)


def test_a_checkpoint_of_another_base(
    killed: Path, tiny_untied_base: Path, packed: Path, corpus: Path, settings: Settings, tmp_path: Path
) -> None:
    shutil.copytree(killed, tmp_path / "work")
    with pytest.raises(StageError, match="belongs to another training, different in the base"):
        pretrain(tiny_untied_base, packed, corpus, tmp_path / "work", settings)


def test_newest_checkpoint(tmp_path: Path, killed: Path) -> None:
    assert newest(tmp_path / "none") is None
    shutil.copytree(killed / SCRATCH, tmp_path / SCRATCH)
    places = [tmp_path / SCRATCH / f"checkpoint-{step}" for step in (KILLED_AT - 2, KILLED_AT - 1)]
    assert sorted((tmp_path / SCRATCH).iterdir()) == places
    assert newest(tmp_path / SCRATCH) == places[1]
    (places[1] / "complete.json").unlink()
    assert newest(tmp_path / SCRATCH) == places[0]
    assert not places[1].exists()
    (places[0] / "schedule.json").unlink()
    assert newest(tmp_path / SCRATCH) is None

import dataclasses
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from lingraft.core.progress import Progress
from lingraft.train.pretrain import pretrain
from lingraft.train.settings import Settings


class Stopped(Exception):
    pass


class Stopper(Progress):
    def __init__(self, tokens: int) -> None:
        self.left = tokens

    def advance(self, amount: float = 1) -> None:
        self.left -= amount
        if self.left < 0:
            raise Stopped


def test_curves_in_tensorboard_go_on_where_the_training_does(
    tiny_base: Path, packed: Path, corpus: Path, settings: Settings, tmp_path: Path
) -> None:
    tracked = dataclasses.replace(settings, track=["tensorboard"], checkpoint_minutes=0)
    with pytest.raises(Stopped):
        pretrain(tiny_base, packed, corpus, tmp_path, tracked, progress=Stopper(5 * settings.batch_tokens))
    figures = pretrain(tiny_base, packed, corpus, tmp_path, tracked)
    board = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    losses = board.Scalars("train/loss")
    assert [point.step for point in losses] == [point["step"] for point in figures["curve"]]
    assert [point.value for point in losses] == pytest.approx([point["loss"] for point in figures["curve"]])
    for stream in ("target", "replay"):
        points = [(point.step, point.value) for point in board.Scalars(f"train/held_out_{stream}")]
        expected = [(point["step"], point["bits_per_byte"][stream]) for point in figures["held_out_curve"]]
        assert points == [(step, pytest.approx(value)) for step, value in expected]


def test_without_a_tracker_there_is_no_folder(
    tiny_base: Path, packed: Path, corpus: Path, settings: Settings, tmp_path: Path
) -> None:
    pretrain(tiny_base, packed, corpus, tmp_path, settings)
    assert not (tmp_path / "tensorboard").exists()

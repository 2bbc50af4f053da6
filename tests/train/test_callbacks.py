from pathlib import Path

import numpy as np
import pytest
from transformers import TrainerControl, TrainerState, TrainingArguments

from lingraft.core.progress import SILENT
from lingraft.train.callbacks import Checkpoints, Meter

BYTES = np.array([10, 20, 30, 40, 50, 60])


@pytest.fixture
def arguments(tmp_path: Path) -> TrainingArguments:
    return TrainingArguments(output_dir=str(tmp_path), use_cpu=True, report_to="none")


def test_bytes_and_tokens_of_a_step() -> None:
    meter = Meter(BYTES, batch_rows=2, row_tokens=16, progress=SILENT)
    assert [meter.position(step)["bytes"] for step in range(4)] == [0, 30, 100, 210]
    assert [meter.position(step)["tokens"] for step in range(4)] == [0, 32, 64, 96]


def test_seconds_go_on_after_a_restart_and_leave_out_what_was_aside(arguments: TrainingArguments) -> None:
    meter = Meter(BYTES, batch_rows=2, row_tokens=16, progress=SILENT)
    state = TrainerState(global_step=2, log_history=[{"seconds": 500.0}, {"train_loss": 1.0}, {"seconds": 1000.0}])
    meter.on_train_begin(arguments, state, TrainerControl())
    assert 1000 <= meter.position(2)["seconds"] < 1100
    meter.aside(400)
    assert 600 <= meter.position(2)["seconds"] < 700


@pytest.mark.parametrize(("minutes", "step", "asked"), [(0, 3, True), (60, 3, False), (0, 9, False)])
def test_asks_for_a_checkpoint_when_it_is_time_and_not_after_the_last_step(
    minutes: float, step: int, asked: bool, arguments: TrainingArguments
) -> None:
    state = TrainerState(global_step=step, max_steps=9)
    control = Checkpoints(minutes).on_step_end(arguments, state, TrainerControl())
    assert control.should_save is asked

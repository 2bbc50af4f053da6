"""What happens beside the training steps: progress, curves, held-out text, checkpoints."""

import signal
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from transformers import (
    Trainer,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
)

from lingraft.core.progress import Progress

from . import checkpoints
from .experts import Load
from .processes import any_of_them, wait
from .trainable import Trainable

HELD_OUT = "held_out_"


class Meter(TrainerCallback):
    """Counts text, tokens and seconds, and keeps the curves in the trainer's own log, which checkpoints carry."""

    trainer: Trainer

    def __init__(
        self, row_bytes: np.ndarray, batch_rows: int, row_tokens: int | np.ndarray, progress: Progress
    ) -> None:
        self._batch_rows, self._row_tokens = batch_rows, row_tokens
        self.set_rows(row_bytes)
        self._progress = progress
        self._began = self._seconds_before = self._aside = 0.0

    def set_rows(self, row_bytes: np.ndarray) -> None:
        """The text bytes of each row that is shown, in order."""
        row_tokens = np.broadcast_to(self._row_tokens, row_bytes.shape)
        self._bytes, self._tokens = (
            np.concatenate([[0], np.cumsum(sizes.reshape(-1, self._batch_rows).sum(axis=1))])
            for sizes in (row_bytes, row_tokens)
        )

    def position(self, step: int) -> dict[str, float]:
        """Where a step stands: text bytes, tokens, and seconds of training without evaluation."""
        return {"bytes": int(self._bytes[step]), "tokens": int(self._tokens[step]), "seconds": self._seconds()}

    def event(self, kind: str, state: TrainerState, values: Mapping[str, Any]) -> None:
        """Tell of an optimizer step."""
        self._progress.event(kind, optimizer_step=state.global_step, **values)

    def aside(self, seconds: float) -> None:
        """Leave this much time out: it was not spent on training."""
        self._aside += seconds

    def on_train_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        earlier = [entry["seconds"] for entry in state.log_history if "seconds" in entry]
        self._seconds_before = max(earlier, default=0.0)
        self._began = time.monotonic()

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        self._progress.advance(int(self._tokens[state.global_step] - self._tokens[state.global_step - 1]))

    def on_log(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, logs: dict, **_: Any
    ) -> None:
        if "loss" not in logs:
            return
        position = self.position(state.global_step)
        logs.update(position)  # for the trackers, which come after
        state.log_history[-1].update(position)
        entry = {key: value for key, value in state.log_history[-1].items() if key not in ("step", "epoch")}
        self.event("loss", state, entry)

    def curve(self) -> list[dict[str, float]]:
        """Step, bytes, tokens, seconds, loss and learning rate along the training."""
        keys = ("step", "bytes", "tokens", "seconds", "loss")
        return [
            {**{key: entry[key] for key in keys}, "lr": entry["learning_rate"]}
            for entry in self.trainer.state.log_history
            if "loss" in entry
        ]

    def held_out_curve(self, measure: str = "bits_per_byte") -> list[dict[str, Any]]:
        """Step, bytes, tokens, seconds and what was measured of every held-out stream along the training."""
        points = []
        for entry in self.trainer.state.log_history:
            streams = {key.removeprefix(HELD_OUT): value for key, value in entry.items() if key.startswith(HELD_OUT)}
            if streams:
                keys = ("step", "bytes", "tokens", "seconds")
                load = {"expert_load": entry["expert_load"]} if "expert_load" in entry else {}
                points.append({**{key: entry[key] for key in keys}, measure: streams, **load})
        return points

    def figures(self) -> dict[str, float]:
        """Seconds of training proper, and tokens a second over them."""
        seconds = self._seconds()
        return {"seconds": seconds, "tokens_per_second": int(self._tokens[self.trainer.state.global_step]) / seconds}

    def _seconds(self) -> float:
        return self._seconds_before + time.monotonic() - self._began - self._aside


class HeldOut(TrainerCallback):
    """What `measure` makes of the model, by stream, at even distances of text and at both ends.

    And at the last step before each of some places in the text, and at the next.
    """

    def __init__(
        self,
        measure: Callable[[Any], Mapping[str, float]],
        points: int,
        meter: Meter,
        load: Load | None = None,
        places: Sequence[float] = (),
    ) -> None:
        self._of_model, self._points, self._meter, self._load = measure, points, meter, load
        self._places = places
        self._steps: set[int] = set()

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, model: Any, **_: Any
    ) -> None:
        ends = np.array([self._meter.position(step)["bytes"] for step in range(state.max_steps + 1)])
        marks = np.linspace(0, ends[-1], self._points)
        after = np.searchsorted(ends, self._places)
        self._steps = {*np.searchsorted(ends, marks).tolist(), *after.tolist(), *(after - 1).tolist()}
        if state.global_step == 0:
            self._measure(state, control, model)

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, model: Any, **_: Any
    ) -> None:
        if state.global_step in self._steps:
            self._measure(state, control, model)

    def _measure(self, state: TrainerState, control: TrainerControl, model: Any) -> None:
        began = time.monotonic()
        position = self._meter.position(state.global_step)
        model.eval()
        results = {HELD_OUT + stream: value for stream, value in self._of_model(model).items()}
        model.train()
        load = {"expert_load": shares} if self._load and (shares := self._load.take()) else {}
        log_loss_too = control.should_log
        self._meter.trainer.log({**position, **results})
        control.should_log = log_loss_too
        state.log_history[-1].update(load)
        self._meter.event("held_out", state, {**position, **results})
        self._meter.aside(time.monotonic() - began)


class Checkpoints(TrainerCallback):
    """Asks for a checkpoint every so many minutes, and marks it as whole once it is written."""

    def __init__(self, minutes: float) -> None:
        self._seconds, self._last = minutes * 60, time.monotonic()

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> TrainerControl:
        due = time.monotonic() - self._last >= self._seconds
        if any_of_them(due) and state.global_step < state.max_steps:
            control.should_save = True
        return control

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        wait()  # each process writes the state of its own random numbers
        if args.should_save:
            checkpoints.seal(Path(args.output_dir) / f"{checkpoints.PREFIX_CHECKPOINT_DIR}-{state.global_step}")
        self._last = time.monotonic()


class Proof(TrainerCallback):
    """Checks, as soon as the learning rate has risen, that what should move moves and nothing else."""

    def __init__(self, trainable: Trainable, after: int) -> None:
        # Of two matrices of an adapter the second is zero at first, so that the first moves a step later.
        self._trainable, self._step = trainable, after + 3

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        if state.global_step == self._step:
            self._trainable.require_proof()


class Stop(TrainerCallback):
    """On SIGTERM writes a checkpoint at the end of the step and stops."""

    def __init__(self) -> None:
        self.told = False

    def _tell(self, *_: object) -> None:
        self.told = True

    def on_train_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        self._before = signal.signal(signal.SIGTERM, self._tell)

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> TrainerControl:
        if any_of_them(self.told) and state.global_step < state.max_steps:
            control.should_save = control.should_training_stop = True
        return control

    def on_train_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        signal.signal(signal.SIGTERM, self._before)

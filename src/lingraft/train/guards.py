"""What watches a training: losses that leap, and a language that is being forgotten."""

import json
import math
import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from lingraft.core.errors import StageError
from lingraft.core.progress import Progress

from . import checkpoints
from .callbacks import HELD_OUT
from .processes import mean
from .settings import Forgetting
from .trainable import Trainable

WITHIN = "within_the_limit"


class LossGuard(TrainerCallback):
    """Leaves out an optimizer step whose loss leaps or is no number; too many in a row end the training.

    A leap is a loss more than `DEVIATIONS` above the median of the last accepted ones, in robust standard deviations
    (1.4826 times the median absolute deviation), and by a `LEAST_SHARE` of it. A step that is left out changes nothing:
    no weight, no moment of the optimizer.
    """

    WINDOW, FEWEST, DEVIATIONS, LEAST_SHARE, MOST_IN_A_ROW = 100, 20, 10.0, 0.15, 3

    def __init__(self, trainable: Trainable, progress: Progress, *, leaps: bool = True) -> None:
        """Without `leaps` only a loss that is no number is left out: that of preferences nears 0, and leaps from it."""
        self._trainable, self._progress, self._watch = trainable, progress, leaps
        self.accepted: list[float] = []
        self.left_out: list[int] = []
        self._loss = torch.zeros(())

    def add(self, loss: torch.Tensor) -> None:
        """A micro-batch's part of the step's loss."""
        self._loss = self._loss.to(loss.device) + loss.detach()

    def on_pre_optimizer_step(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        loss, self._loss = mean(self._loss).item(), torch.zeros(())
        if math.isfinite(loss) and not self._leaps(loss):
            self.accepted = [*self.accepted[1 - self.WINDOW :], loss]
            return
        step = state.global_step + 1
        self.left_out.append(step)
        self._progress.event("step left out", optimizer_step=step, loss=repr(loss))
        if self.left_out[-self.MOST_IN_A_ROW :] == list(range(step + 1 - self.MOST_IN_A_ROW, step + 1)):
            raise StageError(
                f"the training loss is {loss:.4g} at step {step}, and was no better in the steps before.",
                remedy="Lower lr or raise warmup_share. Run again with nothing changed, and it goes "
                "on from the newest checkpoint.",
            )
        for parameter in self._trainable.named().values():
            parameter.grad = None

    def _leaps(self, loss: float) -> bool:
        if not self._watch or len(self.accepted) < self.FEWEST:
            return False
        middle = statistics.median(self.accepted)
        deviation = 1.4826 * statistics.median(abs(value - middle) for value in self.accepted)
        return loss - middle > max(self.DEVIATIONS * deviation, self.LEAST_SHARE * middle)

    def save(self, path: Path) -> None:
        path.write_text(json.dumps({"accepted": self.accepted, "left_out": self.left_out}), encoding="utf-8")

    def load(self, path: Path) -> None:
        found = json.loads(path.read_text(encoding="utf-8"))
        self.accepted, self.left_out = found["accepted"], found["left_out"]


class ForgettingAlarm(TrainerCallback):
    """Acts where held-out replay text costs more than `limit` over what it cost at the start.

    `warn` tells of it, `raise_replay` gives half of what is not replay to replay from there on, `stop` ends the
    training, and `roll_back` does so with the weights of the last measurement within the limit.
    Every action stands in the trainer's log, which checkpoints carry.
    """

    def __init__(
        self,
        settings: Forgetting,
        trainable: Trainable,
        folder: Path,
        change: Callable[[int, float], None],
        share: float,
        progress: Progress,
    ) -> None:
        self._settings, self._trainable, self._change, self._progress = settings, trainable, change, progress
        self._share, self._kept = share, folder / WITHIN
        self.stopped = False

    def on_train_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        for entry in alarms(state):
            if "replay_share" in entry:
                self._share = entry["replay_share"]
                self._change(entry["step"], self._share)
        self._keep(state)

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> TrainerControl:
        latest = state.log_history[-1] if state.log_history else {}
        if latest.get("step") != state.global_step or REPLAY not in latest:
            return control
        increase = latest[REPLAY] / _start(state) - 1
        if increase <= self._settings.limit:
            self._keep(state)
            return control
        action = self._settings.action
        entry = {"step": state.global_step, "bytes": latest["bytes"], "forgetting": increase, "action": action}
        if action == "raise_replay":
            self._share = entry["replay_share"] = (1 + self._share) / 2
            self._change(state.global_step, self._share)
        elif action in ("stop", "roll_back"):
            control.should_training_stop = self.stopped = True
        if action == "roll_back":
            checkpoints.load(self._kept, self._trainable.named())
        state.log_history.append(entry)
        self._progress.event("forgetting", optimizer_step=state.global_step, **entry)
        return control

    def _keep(self, state: TrainerState) -> None:
        if self._settings.action == "roll_back":
            checkpoints.save(self._kept, self._trainable.named())


REPLAY = HELD_OUT + "replay"


def alarms(state: TrainerState) -> list[dict[str, Any]]:
    """What the alarm did, in order."""
    return [entry for entry in state.log_history if "forgetting" in entry]


def _start(state: TrainerState) -> float:
    return next(entry[REPLAY] for entry in state.log_history if REPLAY in entry)

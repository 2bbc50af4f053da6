import dataclasses
import math
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, TrainerControl, TrainerState, TrainingArguments

from lingraft.core.errors import StageError
from lingraft.core.progress import Progress
from lingraft.train.guards import LossGuard
from lingraft.train.pretrain import pretrain
from lingraft.train.reading import training_order
from lingraft.train.settings import Forgetting, Lora, NewRows, Settings
from lingraft.train.trainable import Trainable


class Stopped(Exception):
    pass


class Stopper(Progress):
    """Stops a training as if its process had died at the end of a step."""

    def __init__(self, tokens: float = math.inf) -> None:
        self.left, self.events = tokens, []

    def advance(self, amount: float = 1) -> None:
        self.left -= amount
        if self.left <= 0:
            raise Stopped

    def event(self, kind: str, **values: object) -> None:
        self.events.append((kind, values))


@pytest.fixture
def trainable(tiny_base: Path) -> Trainable:
    model = AutoModelForCausalLM.from_pretrained(tiny_base)
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter)
    return Trainable(model, "full", Lora(), NewRows(), ())


@pytest.fixture
def guard(trainable: Trainable) -> LossGuard:
    guard = LossGuard(trainable, Stopper())
    generator = random.Random(1)
    guard.accepted = [3.0 + generator.uniform(-0.05, 0.05) for _ in range(40)]
    return guard


def take(guard: LossGuard, tmp_path: Path, step: int, *losses: float) -> None:
    for loss in losses:
        guard.add(torch.tensor(loss))
    arguments = TrainingArguments(output_dir=str(tmp_path), use_cpu=True, report_to="none")
    guard.on_pre_optimizer_step(arguments, TrainerState(global_step=step - 1), TrainerControl())


@pytest.mark.parametrize(
    ("losses", "left_out"),
    [((3.2,), False), ((1.0,), False), ((4.0,), True), ((1.5, 2.5), True), ((math.nan,), True), ((math.inf,), True)],
)
def test_a_step_whose_loss_leaps_is_left_out(
    losses: tuple[float, ...], left_out: bool, guard: LossGuard, trainable: Trainable, tmp_path: Path
) -> None:
    take(guard, tmp_path, 41, *losses)
    assert all((p.grad is None) is left_out for p in trainable.named().values())
    assert guard.left_out == [41] * left_out
    assert len(guard.accepted) == 41 - left_out


def test_the_first_losses_may_be_anything_but_no_number(trainable: Trainable, tmp_path: Path) -> None:
    guard = LossGuard(trainable, Stopper())
    for step, loss in enumerate([9.0, 5.0, 12.0], start=1):
        take(guard, tmp_path, step, loss)
    assert guard.left_out == []


def test_three_in_a_row_end_the_training(guard: LossGuard, tmp_path: Path) -> None:
    take(guard, tmp_path, 41, 9.0)
    take(guard, tmp_path, 42, 3.0)
    take(guard, tmp_path, 43, 9.0)
    take(guard, tmp_path, 44, 9.0)
    with pytest.raises(StageError, match=r"the training loss is 9 at step 45, and was no better (.|\n)*Lower lr"):
        take(guard, tmp_path, 45, 9.0)


def test_what_the_guard_has_seen_is_kept(guard: LossGuard, trainable: Trainable, tmp_path: Path) -> None:
    take(guard, tmp_path, 41, 9.0)
    guard.save(tmp_path / "guard.json")
    again = LossGuard(trainable, Stopper())
    again.load(tmp_path / "guard.json")
    assert (again.accepted, again.left_out) == (guard.accepted, [41])


@pytest.fixture
def forgetful(settings: Settings) -> Settings:
    """Hardly any replay, and rates that forget the rest at once."""
    return dataclasses.replace(
        settings, mix={"target": 0.99, "replay": 0.01}, lr=3e-2, schedule="constant", curve_points=5
    )


def trained(tiny_base: Path, packed: Path, corpus: Path, folder: Path, settings: Settings, **changes: Any) -> dict:
    with_alarm = dataclasses.replace(settings, forgetting=Forgetting(**changes))
    return pretrain(tiny_base, packed, corpus, folder, with_alarm)


def test_no_alarm_within_the_limit(
    tiny_base: Path, packed: Path, corpus: Path, forgetful: Settings, tmp_path: Path
) -> None:
    figures = trained(tiny_base, packed, corpus, tmp_path, forgetful, limit=100.0, action="stop")
    assert figures["forgetting"] == []
    assert figures["steps"] == 8


@pytest.mark.parametrize("action", ["warn", "stop", "roll_back"])
def test_alarm(action: str, tiny_base: Path, packed: Path, corpus: Path, forgetful: Settings, tmp_path: Path) -> None:
    figures = trained(tiny_base, packed, corpus, tmp_path, forgetful, limit=-0.9, action=action)
    curve = figures["held_out_curve"]
    first, start = figures["forgetting"][0], curve[0]["bits_per_byte"]["replay"]
    assert first["step"] == curve[1]["step"] == 2
    assert first["forgetting"] == curve[1]["bits_per_byte"]["replay"] / start - 1
    assert [entry["action"] for entry in figures["forgetting"]] == [action] * (4 if action == "warn" else 1)
    assert figures["steps"] == (8 if action == "warn" else 2)
    assert figures["bytes"] == curve[-1]["bytes"]
    before, after = (load_file(folder / "model.safetensors") for folder in (tiny_base, tmp_path))
    assert all(torch.equal(before[name], after[name]) for name in before) is (action == "roll_back")


def test_replay_is_raised_and_stays_raised_after_a_restart(
    tiny_base: Path, packed: Path, corpus: Path, forgetful: Settings, tmp_path: Path
) -> None:
    alarm = {"limit": -0.9, "action": "raise_replay"}
    figures = trained(tiny_base, packed, corpus, tmp_path / "whole", forgetful, **alarm)
    assert [entry["replay_share"] for entry in figures["forgetting"]] == pytest.approx(
        [0.505, 0.7525, 0.87625, 0.938125]
    )
    assert 0.3 < figures["realized_mix"]["replay"] < 0.9
    often = dataclasses.replace(forgetful, forgetting=Forgetting(**alarm), checkpoint_minutes=0)
    with pytest.raises(Stopped):
        pretrain(tiny_base, packed, corpus, tmp_path / "part", often, progress=Stopper(6 * forgetful.batch_tokens))
    again = pretrain(tiny_base, packed, corpus, tmp_path / "part", often)
    assert again["realized_mix"] == figures["realized_mix"]
    whole, part = ((tmp_path / name / "model.safetensors").read_bytes() for name in ("whole", "part"))
    assert whole == part


def test_shares_change_from_a_row_on(packed: Path, settings: Settings) -> None:
    before, _, _ = training_order(packed, settings)
    after, _, _ = training_order(packed, settings, [(40, {"target": 0.25, "replay": 0.75})], len(before))
    np.testing.assert_array_equal(before[:40], after[:40])
    assert (before[40:, 0] == 1).mean() == pytest.approx(0.25, abs=0.05)
    assert (after[40:, 0] == 1).mean() == pytest.approx(0.75, abs=0.05)

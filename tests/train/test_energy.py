import dataclasses
from pathlib import Path

import pytest
from transformers import TrainerControl, TrainerState, TrainingArguments

from lingraft.core.errors import InputError
from lingraft.train.energy import EnergyMeter
from lingraft.train.pretrain import pretrain
from lingraft.train.settings import Energy, Settings


def test_energy_of_a_training(tiny_base: Path, packed: Path, corpus: Path, settings: Settings, tmp_path: Path) -> None:
    counted = dataclasses.replace(settings, energy=Energy("POL", cpu_watts=100.0, price_per_kwh=0.5))
    energy = pretrain(tiny_base, packed, corpus, tmp_path, counted)["energy"]
    assert energy["kwh"] == pytest.approx(sum(energy["kwh_by_part"].values()))
    assert energy["kwh_by_part"]["cpu"] > 0
    assert energy["kwh_by_part"]["gpu"] == 0
    assert energy["cost"] == pytest.approx(energy["kwh"] * 0.5)
    assert energy["kg_co2"] == pytest.approx(energy["kwh"] * energy["grid_g_per_kwh"] / 1000)
    assert 400 < energy["grid_g_per_kwh"] < 1000  # Poland burns coal
    assert energy["grid"] == "POL"
    assert energy["counted_by"].startswith("codecarbon ")
    assert energy["processor"] in ("counted", "estimated from its load")


def test_energy_goes_on_after_a_restart_and_is_saved_with_every_checkpoint(tmp_path: Path) -> None:
    arguments = TrainingArguments(output_dir=str(tmp_path), use_cpu=True, report_to="none")
    meter = EnergyMeter(Energy(cpu_watts=100.0))
    earlier = {"cpu": 1.0, "gpu": 2.0, "ram": 3.0}
    state = TrainerState(global_step=2, log_history=[{"loss": 1.0}, {"step": 2, "kwh": earlier}, {"loss": 0.5}])
    control = TrainerControl(should_save=True)
    meter.on_train_begin(arguments, state, control)
    meter.on_step_end(arguments, state, control)
    meter.on_train_end(arguments, state, control)
    saved, energy = state.log_history[-1], meter.figures()
    assert saved["step"] == 2
    for part, kwh in earlier.items():
        assert kwh <= saved["kwh"][part] <= energy["kwh_by_part"][part] < kwh + 1e-3
    assert energy["kwh"] >= 6
    assert energy["cost"] is None
    assert energy["grid"] == "the world's mean"


def test_a_country_that_is_not_known() -> None:
    with pytest.raises(InputError, match=r'codecarbon knows no grid of "QQQ"\.\n  Name the country by its three'):
        EnergyMeter(Energy("QQQ"))

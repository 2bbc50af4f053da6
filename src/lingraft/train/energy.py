"""What a training takes from the grid, counted by codecarbon without asking anybody on the network."""

import os
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from lingraft.core.errors import InputError

from .processes import device, total
from .settings import Energy

COUNTERS = Path("/sys/class/powercap/intel-rapl")
PARTS = ("cpu", "gpu", "ram")


def installed() -> bool:
    return find_spec("codecarbon") is not None


class EnergyMeter(TrainerCallback):
    """Counts the kilowatt hours of all machines of a training, with those before a restart.

    One process of every machine counts for it. NVIDIA GPUs and processors with counters (RAPL) are measured;
    of others codecarbon estimates the power from the load. Memory is always estimated.
    """

    def __init__(self, settings: Energy) -> None:
        from codecarbon import OfflineEmissionsTracker
        from codecarbon.input import DataSource
        from codecarbon.output import BaseOutput

        if settings.country is not None and settings.country not in DataSource().get_global_energy_mix_data():
            raise InputError(
                f'codecarbon knows no grid of "{settings.country}".',
                remedy="Name the country by its three letters of ISO 3166: POL, HUN, USA; or leave it out.",
            )

        class Latest(BaseOutput):
            data: Any

            def out(self, total: Any, delta: Any) -> None:
                self.data = total

        self._settings, self._latest, self._before = settings, Latest(), dict.fromkeys(PARTS, 0.0)
        self._tracker = None
        if int(os.environ.get("LOCAL_RANK", "0")) == 0:
            self._tracker = OfflineEmissionsTracker(
                country_iso_code=settings.country,
                force_cpu_power=settings.cpu_watts,
                output_methods=[],
                output_handlers=[self._latest],
                allow_multiple_runs=True,
                log_level="critical",
            )

    def on_train_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        for entry in state.log_history:
            self._before = entry.get("kwh", self._before)
        if self._tracker is not None:
            self._tracker.start()

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        if control.should_save:
            state.log_history.append({"step": state.global_step, "kwh": self._kwh()})

    def on_train_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        self._kwh_at_end = self._kwh()
        if self._tracker is not None:
            self._tracker.stop()

    def figures(self) -> dict[str, Any]:
        """Kilowatt hours by part, kilograms of CO2 with the grid's factor and where it is from, cost."""
        kwh = sum(self._kwh_at_end.values())
        data = self._latest.data if self._tracker is not None else None
        grams = 1000 * data.emissions / data.energy_consumed if data is not None and data.energy_consumed else None
        price = self._settings.price_per_kwh
        return {
            "kwh": kwh,
            "kwh_by_part": self._kwh_at_end,
            "counted_by": f"codecarbon {metadata.version('codecarbon')}",
            "processor": "counted" if COUNTERS.exists() else "estimated from its load",
            "grid_g_per_kwh": grams,
            "grid": self._settings.country or "the world's mean",
            "kg_co2": None if grams is None else kwh * grams / 1000,
            "cost": None if price is None else price * kwh,
        }

    def _kwh(self) -> dict[str, float]:
        """By part, from the training's start, of all machines; every process calls it."""
        if self._tracker is not None:
            self._tracker.flush()
        data = getattr(self._latest, "data", None)
        here = [getattr(data, f"{part}_energy", 0.0) for part in PARTS]
        everywhere = total(torch.tensor(here, dtype=torch.float64, device=device())).tolist()
        return {part: self._before[part] + kwh for part, kwh in zip(PARTS, everywhere, strict=True)}

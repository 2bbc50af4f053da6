"""What a training asks of its devices, as text on the terminal."""

from collections.abc import Sequence

from rich.text import Text

from .plan import Step
from .screen import amount, duration
from .stage import Demand


def training_text(
    steps: Sequence[Step], price_per_device_hour: float | None = None, grid_g_per_kwh: float | None = None
) -> Text:
    """Memory, speed, time, energy and cost of every training that is still to be done."""
    text = Text()
    for step in steps:
        if (training := step.forecast.training) is not None and step.state != "done":
            text.append(f"\n{step.name} on {devices(training)}\n", style="bold")
            for what, value in _lines(training, step.forecast.seconds, price_per_device_hour, grid_g_per_kwh):
                text.append(f"  {what:10}", style="not bold cyan")
                text.append(f"{value}\n", style="not bold")
    return text


def devices(training: Demand) -> str:
    """How many of which, and how the model stands on them."""
    if training.num_devices == 1:
        return training.device
    how = "the model divided among them" if training.sharded else "the whole model on each"
    return f"{training.num_devices} x {training.device}, {how}"


def kilowatt_hours(training: Demand, seconds: float | None) -> float | None:
    """Of all devices at their greatest power, as far as that is known."""
    if training.watts is None or seconds is None:
        return None
    return training.num_devices * training.watts * seconds / 3.6e6


def _lines(training: Demand, seconds: float | None, price: float | None, grid: float | None) -> list[tuple[str, str]]:
    there = amount(training.device_memory_bytes, "B")
    verdict = "" if training.fits else ": does not fit"
    lines = [
        ("memory", f"{amount(training.device_bytes, 'B')} of {there}{' each' * (training.num_devices > 1)}{verdict}")
    ]
    lines += [("", f"{amount(value, 'B'):>9} {name}") for name, value in training.parts.items()]
    if not training.fits:
        heads = ["would fit"] + [""] * len(training.alternatives)
        lines += list(zip(heads, training.alternatives or ("nothing that was tried",), strict=False))
    speed = training.tokens_per_second
    lines.append(("speed", "unknown" if speed is None else f"{amount(speed, 'tokens')}/s"))
    lines.append(("", f"({training.speed_from})"))
    if seconds is None:
        return lines
    lines.append(("time", duration(seconds)))
    energy = kilowatt_hours(training, seconds)
    if energy is None:
        lines.append(("energy", "unknown: what this machine draws is not"))
    else:
        carbon = "" if grid is None else f", {energy * grid / 1e3:.3g} kg CO2 at {grid:g} g/kWh"
        lines.append(("energy", f"at most {energy:.3g} kWh, at {training.watts:g} W each{carbon}"))
    if price is not None:
        hours = training.num_devices * seconds / 3600
        lines.append(("cost", f"{hours * price:.2f}, for {hours:.1f} device hours at {price:g}"))
    return lines

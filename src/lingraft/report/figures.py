"""What the page draws: axes and positions of dots with intervals, and the training curves."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .headline import language

GUARDS = ("proof", "steps_left_out", "forgetting")
MAX_POINTS = 600
"""Points of a drawn curve; a longer one is thinned."""


@dataclass(frozen=True)
class Axis:
    """A linear scale whose ends lie a little outside the values that it shows."""

    low: float
    high: float
    ticks: tuple[float, ...]
    digits: int

    def percent(self, value: float) -> float:
        """Where a value stands between the ends of the axis, in percent."""
        return round(100 * (value - self.low) / (self.high - self.low), 2)


def axis(values: Sequence[float], num_ticks: int = 4) -> Axis:
    """An axis over the values with at most about `num_ticks` round ticks."""
    low, high = min(values), max(values)
    margin = 0.06 * (high - low) or 0.05 * abs(high) or 1.0
    low, high = low - margin, high + margin
    rough = (high - low) / num_ticks
    power = math.floor(math.log10(rough))
    step = next(f * 10.0**power for f in (1, 2, 5, 10) if f * 10.0**power >= rough)
    first, last = math.ceil(low / step), math.floor(high / step)
    ticks = tuple(n * step for n in range(first, last + 1))
    return Axis(low, high, ticks, digits=max(0, -math.floor(math.log10(step))))


def curves(report: Mapping[str, Any]) -> list[dict[str, Any]]:
    """For each pretraining with a curve: its x axes and the series of its two charts, as plain JSON.

    A loss curve of more than MAX_POINTS points is drawn as means of `averaged` neighbors. What is not finite
    becomes None, a gap in the drawn line.
    """
    drawn = []
    for training in report.get("training", []):
        if training["kind"] != "pretrain":
            continue
        held_out, losses = training.get("held_out_curve") or [], training.get("curve") or []
        if not held_out and not losses:
            continue
        unit, seconds = _time_unit([*held_out, *losses])
        streams = [s for s in ("target", "replay") if any(s in point["bits_per_byte"] for point in held_out)]
        thinned, averaged = thin(losses, "loss", MAX_POINTS)
        drawn.append(
            {
                "name": training["name"],
                "guards": {name: training.get("figures", {}).get(name) for name in GUARDS},
                "time_unit": unit,
                "averaged": averaged,
                "held_out": [
                    {
                        "stream": stream,
                        "label": language(report, stream)["name"],
                        "x": _x(held_out, seconds),
                        "y": [finite(point["bits_per_byte"].get(stream)) for point in held_out],
                    }
                    for stream in streams
                ],
                "loss": [
                    {
                        "stream": "loss",
                        "label": "training loss",
                        "x": _x(thinned, seconds),
                        "y": [finite(point["loss"]) for point in thinned],
                    }
                ]
                if losses
                else [],
            }
        )
    return drawn


def thin(points: Sequence[Mapping[str, float]], name: str, most: int) -> tuple[Sequence[Mapping[str, float]], int]:
    """Means of so many neighbors that at most `most` points are left, each standing where its last point stood."""
    width = math.ceil(len(points) / most)
    if width <= 1:
        return points, 1
    chunks = [points[start : start + width] for start in range(0, len(points), width)]
    return [{**chunk[-1], name: math.fsum(point[name] for point in chunk) / len(chunk)} for chunk in chunks], width


def _x(points: Sequence[Mapping[str, float]], seconds_per_unit: float) -> dict[str, list[float]]:
    return {
        "bytes": [point["bytes"] for point in points],
        "tokens": [point["tokens"] for point in points],
        "time": [round(point["seconds"] / seconds_per_unit, 4) for point in points],
    }


def _time_unit(points: Sequence[Mapping[str, float]]) -> tuple[str, float]:
    longest = max(point["seconds"] for point in points)
    if longest >= 2 * 3600:
        return "hours", 3600.0
    return ("minutes", 60.0) if longest >= 120 else ("seconds", 1.0)


def finite(value: float | None) -> float | None:
    """The value, or None where it is not finite."""
    return value if value is not None and math.isfinite(value) else None

"""What quality cost: held-out bits per byte against bytes, FLOPs, hours and watt-hours of every training."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from .subject import Subject

COSTS = ("bytes", "flops", "hours", "watt_hours")
UNITS = {"bytes": ("gigabyte", 1e9), "flops": ("petaflop", 1e15), "hours": ("hour", 1.0), "watt_hours": ("Wh", 1.0)}
FROM = {
    "bytes": "counted at every point",
    "flops": "computed from the tokens: no counter measured them",
    "hours": "measured at every point, without the time for held-out text",
    "watt_hours": "proportional to the hours: only the whole was measured, the time for held-out text included",
}


def efficiency(subject: Subject) -> dict[str, Any]:
    """A curve for every training, what a unit of each cost bought, and all trainings at equal cost.

    The points are the held-out curves that trainings keep: sums over few documents, so that they have no intervals.
    """
    curves = {name: curve(figures) for name, figures in subject.trainings.items() if figures["held_out_curve"]}
    if not curves:
        return {"skipped": "there is no training with a held-out curve."}
    return {
        "costs_from": FROM,
        "curves": curves,
        "trainings": [row(name, subject.trainings[name], points) for name, points in curves.items()],
        "at_equal_cost": at_equal_cost(curves) if len(curves) > 1 else [],
    }


def curve(figures: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The held-out curve with every cost up to each point; watt-hours are None where no energy was counted."""
    energy = figures["energy"]
    return [
        {
            "bytes": point["bytes"],
            "flops": figures["flops"] * point["tokens"] / figures["tokens"],
            "hours": point["seconds"] / 3600,
            "watt_hours": None if energy is None else 1000 * energy["kwh"] * point["seconds"] / figures["seconds"],
            "bits_per_byte": point["bits_per_byte"],
        }
        for point in figures["held_out_curve"]
    ]


def row(name: str, figures: Mapping[str, Any], points: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Totals of a training, and by stream the bits per byte gained, in all and per unit of each cost."""
    first, last = points[0], points[-1]
    streams = {}
    for stream, end in last["bits_per_byte"].items():
        gained = first["bits_per_byte"][stream] - end
        streams[stream] = {
            "start": first["bits_per_byte"][stream],
            "end": end,
            "gained": gained,
            "gained_per": {
                unit: gained / (last[cost] / size) if last[cost] else None for cost, (unit, size) in UNITS.items()
            },
        }
    totals = {cost: last[cost] for cost in COSTS}
    settings = {key: figures[key] for key in ("train", "trainable_share", "parameters", "tokens", "gone_on_from")}
    return {"training": name, **settings, **totals, "streams": streams}


def at_equal_cost(curves: Mapping[str, Sequence[Mapping[str, Any]]]) -> list[dict[str, Any]]:
    """Of every cost, what the cheapest training spent, and the bits per byte that each had by then.

    Between two points of a curve on a straight line. A cost that one of the trainings did not count is left out.
    """
    found = []
    for cost in COSTS:
        if any(points[-1][cost] is None for points in curves.values()):
            continue
        amount = min(points[-1][cost] for points in curves.values())
        trainings = {}
        for name, points in curves.items():
            places = [point[cost] for point in points]
            trainings[name] = {
                stream: float(np.interp(amount, places, [point["bits_per_byte"][stream] for point in points]))
                for stream in points[-1]["bits_per_byte"]
            }
        found.append({"cost": cost, "amount": amount, "bits_per_byte": trainings})
    return found

"""What quality cost: curves over every cost, and what a unit of each bought."""

from collections.abc import Mapping
from typing import Any

from lingraft.report import format as fmt
from lingraft.report.charts import Chart, Series, chart, over_cost
from lingraft.report.headline import language

from .roles import roles

TITLES = {"bytes": "Text", "flops": "FLOPs", "hours": "Hours", "watt_hours": "Watt-hours"}
UNITS = {
    "bytes": ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB")),
    "flops": ((1e21, "ZFLOP"), (1e18, "EFLOP"), (1e15, "PFLOP"), (1e12, "TFLOP"), (1e9, "GFLOP")),
    "hours": ((1.0, "hour"), (1 / 60, "minute"), (1 / 3600, "second")),
    "watt_hours": ((1e6, "MWh"), (1e3, "kWh"), (1.0, "Wh")),
}


def costs(report: Mapping[str, Any]) -> list[str]:
    """Those that some training counted."""
    rows = report["analysis"]["efficiency"]["trainings"]
    return [cost for cost in TITLES if any(row[cost] for row in rows)]


def unit(report: Mapping[str, Any], cost: str) -> tuple[float, str]:
    """The largest unit of which every training spent one: nothing is told of more than was spent."""
    least = min(row[cost] for row in report["analysis"]["efficiency"]["trainings"] if row[cost])
    return next((pair for pair in UNITS[cost] if least >= pair[0]), UNITS[cost][-1])


def charts(report: Mapping[str, Any]) -> list[list[Chart]]:
    """Held-out bits per byte against every cost, a row of small charts for each stream."""
    curves = report["analysis"]["efficiency"]["curves"]
    role = roles(curves)
    streams = list(dict.fromkeys(stream for points in curves.values() for stream in points[-1]["bits_per_byte"]))
    drawn = []
    for stream in streams:
        row = []
        for cost in costs(report):
            series = [
                Series(
                    name,
                    role[name],
                    [
                        (point[cost], point["bits_per_byte"][stream], None, None)
                        for point in points
                        if point[cost] is not None and stream in point["bits_per_byte"]
                    ],
                )
                for name, points in curves.items()
            ]
            if not any(one.points for one in series):
                continue
            size, name = unit(report, cost)
            most = [point[0] for one in series for point in one.points]
            title = f"{language(report, stream)['name']} by {TITLES[cost].lower() if cost != 'flops' else TITLES[cost]}"
            scale = over_cost(most, lambda tick, size=size: f"{tick / size:g}")
            row.append(chart(title, f"in {name}s" if cost == "hours" else f"in {name}", series, stream=stream, **scale))
        drawn.append(row)
    return drawn


def trainings(report: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Totals of every training, and for each stream what was gained, in all and per unit."""
    units = {cost: unit(report, cost) for cost in costs(report)}
    rows = []
    for row in report["analysis"]["efficiency"]["trainings"]:
        streams = {
            stream: {
                **of_stream,
                "per_unit": [
                    of_stream["gained"] * size / row[cost] if row[cost] else None for cost, (size, _) in units.items()
                ],
            }
            for stream, of_stream in row["streams"].items()
        }
        rows.append({**row, "streams": streams, "spent": [spent(cost, row[cost]) for cost in units]})
    return rows


def spent(cost: str, amount: float | None) -> str:
    """An amount of a cost with its unit."""
    if cost == "bytes":
        return fmt.size(amount)
    if cost == "flops":
        return fmt.scientific(amount)
    if cost == "hours":
        return fmt.duration(None if amount is None else 3600 * amount)
    return fmt.energy(None if amount is None else amount / 1000)

"""What a long context is used for: bits per byte by position, and facts found again."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lingraft.report import format as fmt
from lingraft.report.charts import Chart, Series, chart
from lingraft.report.figures import Axis
from lingraft.report.headline import language

from .roles import roles

ENDS = {"every": "all depths", "absent": "no fact"}


@dataclass(frozen=True)
class Share:
    """How often something was found; `strength` of the color in percent."""

    text: str
    told: str
    strength: int
    at_chance: bool


@dataclass(frozen=True)
class Needles:
    """The test of one language: a column a depth, a row a length and model."""

    stream: str
    columns: list[str]
    groups: list[tuple[str, str, list[tuple[str, str, list[Share]]]]]
    """Length, how many texts, and by model its name, role and cells."""


def positions(report: Mapping[str, Any]) -> list[Chart]:
    """Bits per byte by position, one chart a language; bins that too few documents reach have no points."""
    found = report["analysis"]["context"]
    role = roles(report["analysis"]["models"])
    drawn = []
    for stream in found["documents"]:
        rows = [row for row in found["positions"] if row["stream"] == stream]
        series = []
        for model in role:
            figures = [(at, row["models"].get(model, {}).get("bits_per_byte")) for at, row in enumerate(rows)]
            points = [(at, one["value"], one["low"], one["high"]) for at, one in figures if one]
            series.append(Series(model, role[model], points))
        if not any(one.points for one in series):
            continue
        ticks = [
            (at, _bytes(row["to_byte"]), f"{fmt.count(row['documents'])} {'doc' if row['models'] else 'too few'}")
            for at, row in enumerate(rows)
        ]
        x = Axis(-0.5, len(rows) - 0.5, (), 0)
        name = language(report, stream)["name"]
        about = "bits per byte up to each byte of a document; documents that reach so far"
        drawn.append(chart(name, about, series, x=x, x_ticks=ticks, stream=stream))
    return drawn


def needles(report: Mapping[str, Any]) -> list[Needles]:
    """The share of facts found by length and depth, without a fact, and how often another fact was taken for it."""
    found = report["analysis"]["context"]
    role = roles(report["analysis"]["models"])
    tables = []
    for stream in found["documents"]:
        rows = [row for row in found["needles"] if row["stream"] == stream and row["models"]]
        if not rows:
            continue
        depths = list(dict.fromkeys(row["depth"] for row in rows))
        groups = []
        for size in dict.fromkeys(row["bytes"] for row in rows):
            by_depth = {row["depth"]: row for row in rows if row["bytes"] == size}
            lines = []
            for model, part in role.items():
                cells = [_share(by_depth[depth]["models"][model]["found"], found["chance"]) for depth in depths]
                if "every" in by_depth:
                    cells.append(_share(by_depth["every"]["models"][model]["other_fact"], found["chance"]))
                cut = max(row["models"][model]["cut_tokens"] for row in by_depth.values())
                lines.append((model + (f", {fmt.count(cut)} tokens cut" if cut else ""), part, cells))
            haystacks = fmt.count(next(iter(by_depth.values()))["haystacks"])
            groups.append((f"{_bytes(size)} bytes", f"{haystacks} texts", lines))
        titles = [ENDS.get(depth, depth) if isinstance(depth, str) else fmt.percent(depth, 0) for depth in depths]
        tables.append(Needles(stream, [*titles, *(["the other fact"] if "every" in depths else [])], groups))
    return tables


def too_few(report: Mapping[str, Any]) -> list[str]:
    """Lengths of the needle test for which there was too little text."""
    rows = [row for row in report["analysis"]["context"]["needles"] if not row["models"]]
    return [
        f"{language(report, row['stream'])['name']}, facts in {_bytes(row['bytes'])} bytes: there is enough text for "
        f"{row['haystacks']} only, too few."
        for row in rows
    ]


def _share(figure: Mapping[str, float], chance: float) -> Share:
    return Share(
        fmt.percent(figure["value"], 0),
        f"[{fmt.percent(figure['low'], 0)}, {fmt.percent(figure['high'], 0)}]",
        round(70 * figure["value"]),
        figure["low"] <= chance <= figure["high"],
    )


def _bytes(number: float) -> str:
    return fmt.count(number) if number < 10_000 else fmt.amount(number)

"""The figures of a study as SVG files that need nothing around them: curves with bands, points with intervals."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from lingraft.report import format as fmt
from lingraft.report.charts import Chart, Series, chart, over_cost
from lingraft.report.figures import Axis, axis

from .tables import Results, name

COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")
"""Told apart by the color-blind (Okabe and Ito 2008), on white."""
MARKS = ("circle", "square", "diamond", "triangle")
WIDTH, LEFT, RIGHT, TOP = 760, 64, 24, 58
PLANE = 300
LINE = 22
POINTS_TOLD = "mean with its 95 % interval over seeds; ticks are seeds"
LETTER = 6.6
"""The width of a letter of the labels, about."""


def curves(results: Results, label: str) -> str:
    """The mean of every row over what was spent, in a band of its interval over seeds; one point is no curve."""
    measure = results["measures"][label]
    series = [
        Series(
            name(row),
            "base" if row.get("reference") else "between",
            [(point["x"], point["mean"], point["low"], point["high"]) for point in row["curves"][label]["points"]],
        )
        for row in results["rows"]
    ]
    series = [one for one in series if len(one.points) > 1]
    if not series:
        return ""
    written = {"bytes": fmt.size, "tokens": fmt.amount, "seconds": fmt.duration}.get(measure["over"], fmt.amount)
    spent = over_cost([point[0] for one in series for point in one.points], written)
    over = measure["over"].replace("_", " ")
    drawn = chart(label, f"{_unit(measure)}over {over}; bands are over seeds", series, **spent)
    return _lines(drawn)


def points(results: Results, label: str) -> str:
    """The mean of every row as a point with its interval over seeds, and every seed as a tick; empty without any."""
    measure = results["measures"][label]
    rows = [row for row in results["rows"] if row["figures"][label]["seeds"]]
    if not rows:
        return ""
    figures = [row["figures"][label] for row in rows]
    single = [value["value"] for figure in figures for value in figure["values"].values()]
    across = axis([*single, *(end for f in figures for end in (f["low"], f["high"]) if end is not None)], num_ticks=6)
    left = 16 + LETTER * max(len(name(row)) for row in rows)
    bottom = TOP + LINE * len(rows)
    parts = [_text(left - 44, 22, label, "title"), _text(left - 44, 42, f"{_unit(measure)}{POINTS_TOLD}")]

    def place(value: float) -> float:
        return round(left + across.percent(value) / 100 * (WIDTH - left - RIGHT), 1)

    parts += _ticks(across, place, bottom)
    for number, (row, figure) in enumerate(zip(rows, figures, strict=True)):
        color = COLORS[0] if not row.get("reference") else COLORS[1]
        at = TOP + LINE * number + LINE / 2
        parts.append(_text(left - 8, at + 4, name(row), "end"))
        if figure["low"] is not None:
            ends = f'x1="{place(figure["low"])}" x2="{place(figure["high"])}"'
            parts.append(f'<line {ends} y1="{at}" y2="{at}" stroke="{color}" stroke-width="2"/>')
        for value in figure["values"].values():
            x = place(value["value"])
            parts.append(f'<line x1="{x}" x2="{x}" y1="{at - 6}" y2="{at + 6}" stroke="{color}" stroke-opacity="0.5"/>')
        parts.append(f'<circle cx="{place(figure["mean"])}" cy="{at}" r="4.5" fill="{color}"/>')
    told = "; ".join(f"{name(row)} {fmt.decimal(f['mean'])}" for row, f in zip(rows, figures, strict=True))
    return _svg(bottom + 30, f"{label}: {told}", parts)


def _lines(drawn: Chart) -> str:
    across, down = (WIDTH - LEFT - RIGHT) / 100, PLANE / 100
    bottom = TOP + PLANE
    parts = [_text(16, 22, drawn.title, "title"), _text(16, 42, drawn.about)]
    for tick in drawn.y_ticks:
        y = round(TOP + tick.place * down, 1)
        parts.append(f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y}" y2="{y}" stroke="#ddd"/>')
        parts.append(_text(LEFT - 8, y + 4, tick.text, "end"))
    parts += [_text(LEFT + tick.place * across, bottom + 18, tick.text, "middle") for tick in drawn.x_ticks]

    def placed(path: str) -> str:
        pairs = (pair.split(",") for pair in path.split())
        return " ".join(f"{LEFT + float(x) * across:.1f},{TOP + float(y) * down:.1f}" for x, y in pairs)

    for number, line in enumerate(drawn.lines):
        color = COLORS[number % len(COLORS)]
        if line.band:
            parts.append(f'<polygon points="{placed(line.band)}" fill="{color}" fill-opacity="0.12"/>')
        parts.append(_stroke("polyline", f'points="{placed(line.path)}"', color, line.dash))
        for x, y in line.dots:
            parts.append(_mark(number, LEFT + x * across, TOP + y * down, color))
    per_row = max(1, int((WIDTH - 32) / (50 + LETTER * max(len(line.label) for line in drawn.lines))))
    for number, line in enumerate(drawn.lines):
        color = COLORS[number % len(COLORS)]
        x, y = 16 + number % per_row * (WIDTH - 32) / per_row, bottom + 44 + number // per_row * LINE
        parts.append(_stroke("line", f'x1="{x:.1f}" x2="{x + 28:.1f}" y1="{y}" y2="{y}"', color, line.dash))
        parts += [_mark(number, x + 14, y, color), _text(x + 36, y + 4, line.label)]
    height = bottom + 44 + LINE * -(-len(drawn.lines) // per_row)
    return _svg(height, drawn.told, parts)


def _ticks(scale: Axis, place: Any, bottom: float) -> list[str]:
    parts = []
    for tick in scale.ticks:
        x = place(tick)
        parts.append(f'<line x1="{x}" x2="{x}" y1="{TOP}" y2="{bottom}" stroke="#ddd"/>')
        parts.append(_text(x, bottom + 18, fmt.decimal(tick, scale.digits), "middle"))
    return parts


def _mark(number: int, x: float, y: float, color: str) -> str:
    x, y = round(x, 1), round(y, 1)
    corners = {
        "square": f"{x - 3},{y - 3} {x + 3},{y - 3} {x + 3},{y + 3} {x - 3},{y + 3}",
        "diamond": f"{x},{y - 4} {x + 4},{y} {x},{y + 4} {x - 4},{y}",
        "triangle": f"{x},{y - 4} {x + 4},{y + 3} {x - 4},{y + 3}",
    }
    shape = MARKS[number % len(MARKS)]
    if shape == "circle":
        return f'<circle cx="{x}" cy="{y}" r="3.2" fill="{color}"/>'
    return f'<polygon points="{corners[shape]}" fill="{color}"/>'


def _stroke(element: str, place: str, color: str, dash: str) -> str:
    dashes = f' stroke-dasharray="{dash}"' if dash else ""
    return f'<{element} {place} fill="none" stroke="{color}" stroke-width="2"{dashes}/>'


def _unit(measure: Mapping[str, Any]) -> str:
    better = f"{measure['better']} is better" if measure["better"] else ""
    return "".join(f"{part}, " for part in (measure["unit"], better) if part)


def _text(x: float, y: float, text: str, kind: str = "start") -> str:
    look = ' font-weight="bold" font-size="15"' if kind == "title" else f' text-anchor="{kind}"'
    return f'<text x="{x:.1f}" y="{y:.1f}"{look}>{escape(text)}</text>'


def _svg(height: float, told: str, parts: Sequence[str]) -> str:
    size = f'width="{WIDTH}" height="{height:.0f}" viewBox="0 0 {WIDTH} {height:.0f}"'
    font = 'font-family="system-ui, sans-serif" font-size="12" fill="#222"'
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" {font}>',
        f"<title>{escape(told)}</title>",
        '<rect width="100%" height="100%" fill="#fff"/>',
        *parts,
        "</svg>",
    ]
    return "\n".join(lines) + "\n"

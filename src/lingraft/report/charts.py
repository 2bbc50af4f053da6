"""Line charts that need no script: places in percent of the drawing, from its left and from its top."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from . import format as fmt
from .figures import Axis, axis

MOST_DOTS = 40
"""A line of more points is drawn without dots."""
BETWEEN_DASHES = ("6 4", "2 4", "9 3 2 3")
LEVEL_DASHES = ("3 3", "1 4")

Format = Callable[[float, int], str]


@dataclass(frozen=True)
class Series:
    """Values to be drawn as one line; `low` and `high` of a point are None where it has no interval."""

    label: str
    role: str
    """base, between or adapted; or else chance, a line without dots."""
    points: Sequence[tuple[float, float, float | None, float | None]]
    """x, value, low, high"""


@dataclass(frozen=True)
class Line:
    """One line as it is drawn; its dash tells it from others where colors do not."""

    label: str
    role: str
    dash: str
    path: str
    band: str
    dots: tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Tick:
    """A word at a place of an axis, and a smaller one under it."""

    place: float
    text: str
    note: str = ""


@dataclass(frozen=True)
class Level:
    """A horizontal line that figures are held against."""

    label: str
    place: float
    dash: str


@dataclass(frozen=True)
class Chart:
    """Lines over one axis."""

    title: str
    about: str
    stream: str
    lines: tuple[Line, ...]
    levels: tuple[Level, ...]
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    told: str
    """The ends of every line in words, for those who do not see it."""


def chart(
    title: str,
    about: str,
    series: Iterable[Series],
    *,
    x: Axis,
    x_ticks: Sequence[tuple[float, str, str]],
    stream: str = "target",
    levels: Mapping[str, float] | None = None,
    written: Format = fmt.decimal,
) -> Chart:
    """A chart whose vertical axis holds every point, interval and level."""
    series = [one for one in series if one.points]
    levels = levels or {}
    values = [value for one in series for point in one.points for value in point[1:] if value is not None]
    y = axis([*values, *levels.values()])
    dashes = _dashes(series)
    ends = [
        f"{one.label} from {written(one.points[0][1], y.digits + 1)} to {written(one.points[-1][1], y.digits + 1)}"
        for one in series
    ]
    return Chart(
        title,
        about,
        stream,
        tuple(_line(one, dash, x, y) for one, dash in zip(series, dashes, strict=True)),
        tuple(
            Level(label, _from_top(y, value), LEVEL_DASHES[place % len(LEVEL_DASHES)])
            for place, (label, value) in enumerate(levels.items())
        ),
        tuple(Tick(x.percent(place), text, note) for place, text, note in x_ticks),
        tuple(Tick(_from_top(y, value), written(value, y.digits)) for value in y.ticks),
        f"{title}: {'; '.join(ends)}",
    )


def over_layers(layers: Sequence[int]) -> dict[str, Any]:
    """The horizontal axis of what is measured in every layer: at most about a dozen are named."""
    step = -(-len(layers) // 12)
    margin = 0.05 * (layers[-1] - layers[0]) or 0.5
    x = Axis(layers[0] - margin, layers[-1] + margin, (), 0)
    return {"x": x, "x_ticks": [(layer, str(layer), "") for layer in layers[::step]]}


def over_cost(costs: Sequence[float], written: Callable[[float], str]) -> dict[str, Any]:
    """The horizontal axis of what was spent, from nothing."""
    x = axis([0.0, *costs], num_ticks=3)
    return {"x": x, "x_ticks": [(tick, written(tick), "") for tick in x.ticks if tick >= 0]}


def share(value: float, digits: int) -> str:
    """A share as an axis writes it, whose digits are those of the share itself."""
    return fmt.percent(value, max(0, digits - 2))


def change(value: float, digits: int) -> str:
    """A relative change as an axis writes it."""
    return fmt.signed_percent(value, max(0, digits - 2)) if value else fmt.percent(0, 0)


def _dashes(series: Sequence[Series]) -> list[str]:
    found, between = [], 0
    for one in series:
        if one.role == "between":
            found.append(BETWEEN_DASHES[between % len(BETWEEN_DASHES)])
            between += 1
        else:
            found.append("1 3" if one.role == "chance" else "")
    return found


def _line(series: Series, dash: str, x: Axis, y: Axis) -> Line:
    dots = tuple((x.percent(at), _from_top(y, value)) for at, value, _, _ in series.points)
    upper = [(x.percent(at), _from_top(y, high)) for at, _, _, high in series.points if high is not None]
    lower = [(x.percent(at), _from_top(y, low)) for at, _, low, _ in series.points if low is not None]
    shown = dots if len(dots) <= MOST_DOTS and series.role != "chance" else ()
    return Line(series.label, series.role, dash, _path(dots), _path([*upper, *reversed(lower)]), shown)


def _path(places: Iterable[tuple[float, float]]) -> str:
    return " ".join(f"{across:g},{down:g}" for across, down in places)


def _from_top(y: Axis, value: float) -> float:
    return round(100 - y.percent(value), 2)

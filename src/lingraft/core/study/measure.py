"""What a study measures: the way to a figure in the artifacts, `evaluate.bits[model=pretrain].bits_per_byte`."""

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from lingraft.core.registry import did_you_mean

EVERY = "[]"
_PART = re.compile(r"([\w-]+)((?:\[[^\[\]]*\])*)(?:\.(?=.)|$)")
_WRITTEN_SO = (
    "a figure is written step.key[model=name].key: after the name of a step its keys; [key=value, ...] and [-1] choose "
    "from a list, [] takes every entry of it"
)

Part = str | int | tuple[tuple[str, str], ...]


class Absent(LookupError):
    """Figures in which there is no such thing; says what there is."""


class Measure(BaseModel):
    """One figure of every cell, or with `[]` a curve."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    figure: Annotated[str, Field(description="evaluate.bits[model=pretrain, stream=target].bits_per_byte")]
    over: str = Field("bytes", description="Of a curve: what stands on the horizontal axis, beside the figure.")
    at: float | None = Field(
        None,
        ge=0,
        description="Of a curve: the place on that axis at which it is one figure, between points on a straight line.",
    )
    unit: str = ""
    better: Literal["lower", "higher"] | None = None
    items: str = Field(
        "",
        description="What the artifact's own interval is over (`low` and `high` beside the figure): documents, items.",
    )

    @field_validator("figure")
    @classmethod
    def _readable(cls, figure: str) -> str:
        parts = parse(figure)
        if len(parts) < 2 or not isinstance(parts[1], str) or parts.count(EVERY) > 1:
            raise ValueError(_WRITTEN_SO)
        return figure

    @field_validator("over")
    @classmethod
    def _readable_over(cls, over: str) -> str:
        if not all(isinstance(part, str) for part in parse(over)):
            raise ValueError("`over` is a key of a point, or keys: step, costs.flops")
        return over

    @model_validator(mode="after")
    def _read_at_a_place(self) -> "Measure":
        if self.at is not None and EVERY not in parse(self.figure):
            raise ValueError("`at` reads a curve, whose figure has []")
        if self.items and EVERY in parse(self.figure):
            raise ValueError("a curve has no intervals over items: leave `items` out")
        return self

    @property
    def step(self) -> str:
        """The name of the step whose figure it is."""
        return self.figure.partition(".")[0]

    @property
    def is_curve(self) -> bool:
        """Whether it is a list of points, and not one figure."""
        return EVERY in parse(self.figure) and self.at is None


@dataclass(frozen=True)
class Value:
    """A figure with the ends of the interval that the artifact gives it over its items, where it has one."""

    value: float
    low: float | None = None
    high: float | None = None


def parse(figure: str) -> list[Part]:
    """The parts of a way: keys, places in a list, and choices from one. Raises ValueError when it is no way."""
    parts: list[Part] = []
    end = 0
    while end < len(figure):
        found = _PART.match(figure, end)
        if not found:
            raise ValueError(_WRITTEN_SO)
        parts.append(found[1])
        parts += [_choice(inner) for inner in re.findall(r"\[([^\]]*)\]", found[2])]
        end = found.end()
    return parts


def read(measure: Measure, figures: Mapping[str, Any]) -> Value:
    """The figure among the figures of its step. Raises Absent."""
    if measure.at is not None:
        return Value(_between(read_curve(measure, figures), measure))
    holder, found = _follow(figures, parse(measure.figure)[1:], measure.step)
    value = _number(found, measure.figure)
    if not measure.items:
        return Value(value)
    if not isinstance(holder, Mapping) or None in (holder.get("low"), holder.get("high")):
        raise Absent(f"beside {measure.figure} there is no interval over {measure.items}: no low and high")
    return Value(value, holder["low"], holder["high"])


def read_curve(measure: Measure, figures: Mapping[str, Any]) -> list[tuple[float, float]]:
    """The points of a curve, x and y. Raises Absent."""
    parts = parse(measure.figure)[1:]
    at = parts.index(EVERY)
    _, entries = _follow(figures, parts[:at], measure.step)
    if not isinstance(entries, list):
        raise Absent(f"{measure.figure.partition('[]')[0]} is no list")
    return [
        (
            _number(_follow(entry, parse(measure.over), "a point")[1], measure.over),
            _number(_follow(entry, parts[at + 1 :], "a point")[1], measure.figure),
        )
        for entry in entries
    ]


def _between(points: list[tuple[float, float]], measure: Measure) -> float:
    """On the straight line between the points on both sides.

    These may not be further apart than the place is far, unless one of them is near: within a tenth of it.
    """
    place, why = measure.at or 0.0, f"{measure.figure} cannot be read at {measure.at:g} {measure.over}"
    if exact := [value for at, value in points if at == place]:
        return exact[0]
    for (left, low), (right, high) in pairwise(sorted(points)):
        if left < place < right:
            if right - left > place and min(place - left, right - place) > place / 10:
                raise Absent(f"{why}: between {left:g} and {right:g} there is no point of the curve")
            return low + (high - low) * (place - left) / (right - left)
    raise Absent(f"{why}: the curve is {f'from {points[0][0]:g} to {points[-1][0]:g}' if points else 'empty'}")


def _choice(inner: str) -> Part:
    if not inner:
        return EVERY
    if re.fullmatch(r"-?\d+", inner):
        return int(inner)
    pairs = [pair.partition("=") for pair in inner.split(",")]
    if not all(key.strip() and equals and value.strip() for key, equals, value in pairs):
        raise ValueError(_WRITTEN_SO)
    return tuple((key.strip(), value.strip()) for key, _, value in pairs)


def _follow(place: Any, parts: Iterable[Part], way: str) -> tuple[Any, Any]:
    """What is at the end of a way, and before it what that stands in."""
    holder = None
    for part in parts:
        holder = place
        if isinstance(part, str):
            if not isinstance(place, Mapping) or part not in place:
                known = did_you_mean(part, place) if isinstance(place, Mapping) and place else "It has no keys."
                raise Absent(f'there is no "{part}" in {way}. {known}')
            way = f"{way}.{part}"
            place = place[part]
            continue
        if not isinstance(place, list):
            raise Absent(f"{way} is no list")
        if isinstance(part, int):
            if not -len(place) <= part < len(place):
                raise Absent(f"{way} has {len(place)} entries, and no [{part}]")
            place = place[part]
        else:
            place = _only(place, part, way)
    return holder, place


def _only(entries: list[Any], wanted: tuple[tuple[str, str], ...], way: str) -> Any:
    found = [
        entry
        for entry in entries
        if isinstance(entry, Mapping) and all(str(entry.get(key)) == value for key, value in wanted)
    ]
    if len(found) != 1:
        written = ", ".join(f"{key}={value}" for key, value in wanted)
        keys = [key for key, _ in wanted]
        there = dict.fromkeys(
            ", ".join(f"{key}={entry.get(key)}" for key in keys) for entry in entries if isinstance(entry, Mapping)
        )
        known = f" There are: {'; '.join(there)}." if not found else " Add a key that tells them apart."
        raise Absent(f"{len(found) or 'none'} of the {len(entries)} entries of {way} have {written}.{known}")
    return found[0]


def _number(value: Any, figure: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise Absent(f"{figure} is no number (it is {str(value)[:40]})")
    return value

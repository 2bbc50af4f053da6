"""Figures with intervals on one scale, in groups: what the template draws as a forest."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from . import format as fmt
from .figures import Axis, axis

PERCENT = 100.0


@dataclass(frozen=True)
class Row:
    """A figure on the scale; without a value where nothing was measured."""

    name: str
    role: str
    """base, between or adapted"""
    value: float | None
    low: float | None
    high: float | None
    beside: str = ""
    """What stands at its right, in words."""
    verdict: str = ""
    told: str = ""
    """Instead of the verdict, or after it."""


@dataclass(frozen=True)
class Group:
    """Rows that belong together."""

    title: str
    facts: tuple[str, ...]
    stream: str
    rows: tuple[Row, ...]


@dataclass(frozen=True)
class Forest:
    """Groups on one axis."""

    title: str
    about: str
    headers: tuple[str, str, str, str]
    """Of a group, a row, a figure, and what stands beside it."""
    digits: int
    axis: Axis
    chance: float | None
    groups: tuple[Group, ...]


def forest(
    title: str,
    about: str,
    headers: tuple[str, str, str, str],
    groups: Sequence[Group],
    *,
    digits: int,
    chance: float | None = None,
) -> Forest | None:
    """The groups on an axis that holds every interval and the chance; None where nothing has a value."""
    ends = [end for group in groups for row in group.rows for end in (row.low, row.high) if end is not None]
    if not ends:
        return None
    scale = axis([*ends, *([] if chance is None else [chance])])
    return Forest(title, about, headers, digits, scale, chance, tuple(groups))


def row(name: str, role: str, found: Mapping[str, float | None], factor: float = 1.0, **more: str) -> Row:
    """An interval as a row, times `factor`."""
    value, low, high = (None if found[key] is None else factor * found[key] for key in ("value", "low", "high"))
    return Row(name, role, value, low, high, **more)


def before_and_after(
    found: Mapping[str, Any], *, lower_is_better: bool, digits: int, factor: float = 1.0
) -> tuple[Row, Row]:
    """Two rows of what was measured before and after a training, with the difference on the same items."""
    change = {key: factor * value for key, value in found["difference"].items()}
    beside = f"{fmt.signed(change['value'], digits)} {fmt.signed_interval(change['low'], change['high'], digits)}"
    told = verdict(found["difference"], lower_is_better=lower_is_better)
    after = row("after", "adapted", found["after"], factor, beside=beside, verdict=told)
    return row("before", "base", found["before"], factor), after


def verdict(difference: Mapping[str, float], *, lower_is_better: bool) -> str:
    """Better, worse or no difference: the interval of the difference contains 0."""
    if difference["low"] <= 0 <= difference["high"]:
        return "no difference"
    return "better" if (difference["value"] < 0) == lower_is_better else "worse"


def share(found: Mapping[str, float | None], digits: int = 0) -> str:
    """A share with its interval: 75% [55%, 95%]."""
    value, low, high = (fmt.percent(found[key], digits) for key in ("value", "low", "high"))
    return f"{value} [{low}, {high}]"


def with_interval(value: Mapping[str, float | None]) -> str:
    """A coefficient or mean with its interval: 0.61 [0.40, 0.79]."""
    if value["value"] is None:
        return "nothing to agree about"
    return f"{fmt.decimal(value['value'], 2)} {fmt.interval(value['low'], value['high'], 2)}"

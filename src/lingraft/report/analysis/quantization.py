"""What models lose at fewer bits a weight."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .roles import roles

LOWERED = ("16", "8", "4")


@dataclass(frozen=True)
class Scores:
    """One model under one measure, at full and at lower precisions."""

    model: str
    role: str
    score: Mapping[str, Any]
    changes: list[Mapping[str, Any] | None]
    """At each of LOWERED, with `verdict`."""
    more: Mapping[str, Any] | None
    """How much more it loses at the fewest bits than the first model does."""


def measures(report: Mapping[str, Any]) -> list[tuple[Mapping[str, Any], list[Scores]]]:
    """Every measure as it is described, with a row for each model."""
    found = report["analysis"]["quantization"]
    role = roles(found["models"])
    rows = {(row["measure"], row["model"], row["precision"]): row for row in found["rows"]}
    return [
        (
            described,
            [
                Scores(
                    model,
                    role[model],
                    rows[measure, model, "unquantized"]["score"],
                    [_judged(rows.get((measure, model, bits), {}).get("change"), described) for bits in LOWERED],
                    _judged(rows.get((measure, model, LOWERED[-1]), {}).get("more_than_before"), described),
                )
                for model in role
            ],
        )
        for measure, described in found["measures"].items()
    ]


def weights(report: Mapping[str, Any]) -> list[tuple[str, str, list[Mapping[str, float] | None]]]:
    """By model: its name, its role, and how its weights are kept at full and at lower precisions."""
    found = report["analysis"]["quantization"]["models"]
    role = roles(found)
    return [(name, role[name], [kept.get(bits) for bits in ("unquantized", *LOWERED)]) for name, kept in found.items()]


def _judged(change: Mapping[str, Any] | None, described: Mapping[str, Any]) -> Mapping[str, Any] | None:
    if change is None or change["value"] is None:
        return None
    better = (change["value"] < 0) == described["lower_is_better"]
    return {**change, "verdict": ("better" if better else "worse") if change["differs"] else ""}

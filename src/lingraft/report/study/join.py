"""One study whose cells stand in two stores: its results, as if they stood in one."""

from collections.abc import Mapping, Sequence
from typing import Any

from lingraft.core.errors import RecipeError

from .results import mean_curve
from .statistics import over_seeds, paired


def join(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, Any]:
    """What `collect` made of each of them, together; of a cell that both have the first's figures stay.

    Where the two rows of a difference stand in one store each, it is paired by seed and not over items.
    Raises RecipeError for two that are not of the same axes, seeds and measures.
    """
    require_same(first, second)
    seeds = [str(seed) for seed in first["seeds"]]
    rows = [_row(row, other, seeds) for row, other in zip(first["rows"], second["rows"], strict=True)]
    for row, other in zip(rows, second["rows"], strict=True):
        reference = next((one for one in rows if one["axes"] == {**row["axes"], **first["against"]}), None)
        for label, figure in row["figures"].items():
            if reference is not None and "against" in figure:
                ours, theirs = (_by_seed(one["figures"][label]["values"]) for one in (row, reference))
                on_items = [one["figures"][label]["against"].get("on_items", {}) for one in (other, row)]
                told = {"on_items": _in_order(on_items[0] | on_items[1], seeds)} if any(on_items) else {}
                figure["against"] = paired(ours, theirs) | told
    candidates = [*first["unread"], *second["unread"], *_absent_there(first, second), *_absent_there(second, first)]
    unread = [one for one in candidates if one["run"] not in _runs_with(rows, one["measure"])]
    absent = {label: why for label, why in first["absent"].items() if label in second["absent"]}
    conditions = _conditions(first["conditions"], second["conditions"])
    return {**first, "rows": rows, "absent": absent, "unread": unread, "conditions": conditions}


def require_same(first: Mapping[str, Any], second: Mapping[str, Any]) -> None:
    """Raise RecipeError unless both are results of a study with the same axes, seeds and measures."""
    for key in ("study", "axes", "seeds", "against", "measures"):
        if first[key] != second[key]:
            raise RecipeError(
                f"the results are of another study: {key} there are not those here.",
                where=first["study"],
                remedy="Run the whole study anew.",
            )


def _absent_there(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[dict[str, str]]:
    """Of the figures that no finished cell of one has, and some of the other, what to say of each cell."""
    return [
        {"measure": label, "run": run, "why": why}
        for label, why in one["absent"].items()
        if label not in other["absent"]
        for row in one["rows"]
        for seed, run in row["runs"].items()
        if seed not in row["missing"]
    ]


def _row(row: Mapping[str, Any], other: Mapping[str, Any], seeds: Sequence[str]) -> dict[str, Any]:
    def both(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> dict[str, Any]:
        return _in_order({**theirs, **ours}, seeds)

    figures, curves = {}, {}
    for label, figure in row["figures"].items():
        values = both(figure["values"], other["figures"][label]["values"])
        figures[label] = {**figure, **over_seeds(list(_by_seed(values).values())), "values": values}
    for label, curve in row["curves"].items():
        values = both(curve["values"], other["curves"][label]["values"])
        curves[label] = {"points": mean_curve(list(values.values())), "values": values}
    return {
        **row,
        "missing": {seed: why for seed, why in row["missing"].items() if seed in other["missing"]},
        "figures": figures,
        "curves": curves,
        "costs": both(row["costs"], other["costs"]),
    }


def _runs_with(rows: Sequence[Mapping[str, Any]], label: str) -> set[str]:
    """The runs whose cells have a figure."""
    return {row["runs"][seed] for row in rows for seed in (row["figures"] | row["curves"])[label]["values"]}


def _by_seed(values: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    return {seed: value["value"] for seed, value in values.items()}


def _in_order(found: Mapping[str, Any], seeds: Sequence[str]) -> dict[str, Any]:
    return {seed: found[seed] for seed in seeds if seed in found}


def _conditions(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, Any]:
    finished = sorted([*first["finished"], *second["finished"]])
    return {
        **{key: [*values, *(one for one in second[key] if one not in values)] for key, values in first.items()},
        "finished": [finished[0], finished[-1]] if finished else [],
    }

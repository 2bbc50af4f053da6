"""What the page shows of tasks: figures on a scale with chance, and what a reader has to be warned of."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from . import format as fmt
from .figures import Axis, axis
from .tables import role_of

FEW = 3
"""Missing results that are named each with its reason where there is little room."""


@dataclass(frozen=True)
class TaskFigures:
    """One task under every model."""

    title: str
    facts: str
    notes: tuple[str, ...]
    chance: float | None
    rows: list[Mapping[str, Any]]
    """A model each, with its `role`, and whether its interval holds what guessing gives (`at_chance`)."""


@dataclass(frozen=True)
class Scale:
    """The tasks that are measured in one unit, on one axis."""

    title: str
    digits: int
    lower_is_better: bool
    axis: Axis
    tasks: list[TaskFigures]


def scales(report: Mapping[str, Any]) -> list[Scale]:
    """The headline figure of every task, by metric, in the order of the evaluation."""
    by_metric: dict[str, dict[str, list[Mapping[str, Any]]]] = {}
    for row in report.get("evaluation", {}).get("tasks", []):
        if row["headline"] and row["value"] is not None:
            by_metric.setdefault(row["metric_title"], {}).setdefault(row["task"], []).append(row)
    found = []
    for title, by_task in by_metric.items():
        rows = [row for of_task in by_task.values() for row in of_task]
        shown = [row[end] for row in rows for end in ("low", "high")]
        shown += [row["chance"] for row in rows if row["chance"] is not None]
        tasks = [_task(report, of_task) for of_task in by_task.values()]
        found.append(Scale(title, rows[0]["digits"], rows[0]["lower_is_better"], axis(shown), tasks))
    return found


def further(report: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The figures beside the headlines, and those that have no value."""
    return [row for row in report.get("evaluation", {}).get("tasks", []) if not row["headline"] or row["value"] is None]


def warnings(report: Mapping[str, Any]) -> list[str]:
    """What is missing, and which tasks have items in the training text."""
    told = [f"{sentence} {details}".rstrip() for sentence, details in leaks(report)]
    found = report.get("evaluation", {}).get("leaks", [])
    if unsearched := [leak["title"] for leak in found if not leak["searched"]]:
        told.append(f"Not looked for in the training text, as the harness has the items: {', '.join(unsearched)}.")
    return [*told, *missing(report)]


def leaks(report: Mapping[str, Any]) -> list[tuple[str, str]]:
    """For every task that has items in the training text a sentence, and its figures without them."""
    evaluation = report.get("evaluation", {})
    told = []
    digits = {row["task"]: row["digits"] for row in evaluation.get("tasks", []) if row["headline"]}
    for leak in evaluation.get("leaks", []):
        if leak["leaked"]:
            without = ", ".join(
                f"{model} {fmt.decimal(value, digits[leak['task']])}" for model, value in leak["without"].items()
            )
            told.append(
                (
                    f"{leak['title']}: {fmt.count(leak['leaked'])} of {fmt.count(leak['items'])} items stand in the "
                    f"training text ({', '.join(leak['examples'])}).",
                    f"Without them: {without}." if without else "",
                )
            )
    return told


def missing(report: Mapping[str, Any]) -> list[str]:
    """A sentence for every suite or task that has no figures."""
    return [f"{place} is missing: {why}" for place, why in _missing(report)]


def missing_in_short(report: Mapping[str, Any]) -> list[str]:
    """The same, but many in one sentence."""
    places = [place for place, _ in _missing(report)]
    if len(places) <= FEW:
        return missing(report)
    return [f"{len(places)} results are missing: {', '.join(places[:FEW])} and others, see Tasks."]


def _missing(report: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [
        (" · ".join(part for part in (missing["task"] or missing["suite"], missing["model"]) if part), missing["why"])
        for missing in report.get("evaluation", {}).get("missing", [])
    ]


@dataclass(frozen=True)
class Writing:
    """What can be said of the texts that models wrote."""

    models: list[str]
    figures: list[Mapping[str, Any]]
    """Each with its `title`, `lower_is_better` and `rows`, one a model, with a `verdict` against the first."""
    passages: Mapping[str, list[Mapping[str, Any]]]
    """The foreign ones of each model that has any."""


def writing(report: Mapping[str, Any]) -> Writing:
    """The figures of what was written, one a line, models side by side."""
    found = report["evaluation"]["writing"]
    by_metric: dict[str, list[Mapping[str, Any]]] = {}
    for row in found["rows"]:
        by_metric.setdefault(row["metric"], []).append({**row, "verdict": (row["against"] or {}).get("verdict") or ""})
    figures = [
        {"title": rows[0]["metric_title"], "lower_is_better": rows[0]["lower_is_better"], "rows": rows}
        for rows in by_metric.values()
    ]
    models = [row["model"] for row in figures[0]["rows"]]
    return Writing(models, figures, {model: passages for model, passages in found["passages"].items() if passages})


def _task(report: Mapping[str, Any], rows: list[Mapping[str, Any]]) -> TaskFigures:
    first = rows[0]
    facts = [f"{fmt.count(first['items'])} items"]
    if first["groups"] < first["items"]:
        facts.append(f"{fmt.count(first['groups'])} passages")
    if first["prompt_language"] not in ("", first["language"]):
        facts.append(f"asked in {first['prompt_language']}")
    if first["shots"]:
        facts.append(f"{first['shots']} examples before each")
    if first["chance"] is not None:
        facts.append(f"chance {fmt.percent(first['chance'])}")
    if cut := max(row["cut_items"] for row in rows):
        facts.append(f"{fmt.count(cut)} cut to the context")
    if empty := max(row["empty"] for row in rows):
        facts.append(f"up to {fmt.count(empty)} empty answers")
    shown = [
        {
            **row,
            "role": role_of(report, row["model"]),
            "at_chance": row["chance"] is not None and row["low"] <= row["chance"] <= row["high"],
        }
        for row in rows
    ]
    return TaskFigures(first["title"], " · ".join(facts), tuple(first["notes"]), first["chance"], shown)

"""What the page shows of the answers that models gave, counted without a judge; `found` is one of `judgements`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from . import format as fmt
from .forest import share
from .headline import language

PLAIN = ("characters",)
"""Metrics of answers that are no shares."""
IN_LANGUAGE = "outputs_in_target"
ENOUGH = 0.95
"""Of an aligned model's answers that should be in the language."""
MOST_CUT = 0.1
"""Of an aligned model's answers that may end only because no more tokens were allowed."""
ALIGNED = ("sft", "dpo", "chat_vector")
"""The kinds of steps that make a model which answers."""
APART = "score_harmlessness"


@dataclass(frozen=True)
class Figure:
    """One figure of every model, side by side."""

    title: str
    direction: str
    """Which is better, or that neither is."""
    cells: list[tuple[str, str, str]]
    """The figure, its interval and a verdict against the first model."""
    apart: bool = False


def warnings(report: Mapping[str, Any], figures: Mapping[str, Any]) -> list[str]:
    """Models made to answer that do so in another language, or do not stop."""
    aligned = {step["name"] for step in report.get("steps", []) if step["kind"] in ALIGNED}
    name, told = language(report, "target")["name"], []
    for one in figures["answers"]["rows"]:
        if one["model"] not in aligned or one["value"] is None:
            continue
        if one["metric"] == IN_LANGUAGE and one["value"] < ENOUGH:
            told.append(f"{share(one)} of the answers of {one['model']} are in {name}, fewer than {ENOUGH:.0%}.")
        if one["metric"] == "cut" and one["value"] > MOST_CUT:
            told.append(f"{one['model']} often does not stop: {share(one)} of its answers were cut off at the limit.")
    return told


def answers(found: Mapping[str, Any]) -> list[Figure]:
    """What is counted of the answers, one figure a line."""
    return figures(found["figures"]["answers"]["rows"])


def in_language(report: Mapping[str, Any]) -> tuple[Mapping[str, Any], Mapping[str, Any]] | None:
    """The share of answers in the target language, of the first and of the last model that the last judge step asked.

    None where that was not counted, or of one model alone.
    """
    for found in reversed(report.get("judgements", [])):
        rows = [one for one in found["figures"]["answers"]["rows"] if one["metric"] == IN_LANGUAGE]
        if len(rows) > 1 and None not in (rows[0]["value"], rows[-1]["value"]):
            return rows[0], rows[-1]
    return None


def before_and_after(report: Mapping[str, Any], training: Mapping[str, Any]) -> str:
    """The share of answers in the language before and after a training, as far as a judge step asked both models."""
    for found in reversed(report.get("judgements", [])):
        rows = {one["model"]: one for one in found["figures"]["answers"]["rows"] if one["metric"] == IN_LANGUAGE}
        before, after = rows.get(training["from"]), rows.get(training["name"])
        if before and after and None not in (before["value"], after["value"]):
            return f"{share(before)} → {share(after)} of {fmt.count(after['items'])} prompts"
    return ""


def figures(rows: Sequence[Mapping[str, Any]]) -> list[Figure]:
    """A figure for each metric, with a cell for each model."""
    by_metric: dict[str, list[Mapping[str, Any]]] = {}
    for one in rows:
        by_metric.setdefault(one["metric"], []).append(one)
    return [_figure(metric, of_metric) for metric, of_metric in by_metric.items()]


def _figure(metric: str, rows: Sequence[Mapping[str, Any]]) -> Figure:
    is_share = metric not in PLAIN and not metric.startswith("score_")

    def shown(value: float) -> str:
        return fmt.percent(value) if is_share else fmt.decimal(value, rows[0]["digits"])

    cells = [
        ("nothing to count", "", "")
        if one["value"] is None
        else (
            shown(one["value"]),
            f"{shown(one['low'])} to {shown(one['high'])}",
            (one["against"] or {}).get("verdict") or "",
        )
        for one in rows
    ]
    better = "lower is better" if rows[0]["lower_is_better"] else "higher is better"
    return Figure(rows[0]["metric_title"], "" if metric in PLAIN else better, cells, metric == APART)

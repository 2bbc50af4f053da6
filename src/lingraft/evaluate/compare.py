"""Models side by side on the same items: figures with intervals, differences with tests and a verdict in words."""

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from lingraft.core.progress import SILENT, Progress
from lingraft.corpus.language import Language

from . import asking, leaks, statistics
from .asking import Answers
from .labeled import suites as labeled
from .metrics import METRICS, Metric, mean_of
from .statistics import Interval
from .suites.loading import tasks_of
from .task import Answer, Task
from .wanted import Wanted

LEVEL = 0.05
"""Below this corrected p value a difference is called one."""
RIGHT_OR_WRONG = ([0, 1], [1, 1])
"""Counts of an item that is answered once."""


def on_tasks(
    models: Mapping[str, Path],
    suites: Sequence[Wanted],
    language: Language,
    folder: Path,
    *,
    training: Iterable[str],
    context_tokens: int,
    seed: int,
    trusted: Collection[Path] = (),
    progress: Progress = SILENT,
) -> dict[str, Any]:
    """Every model on every task: the `tasks` table, what is `missing`, and items that stand in the training text.

    `folder` keeps every answer as soon as it is there. `trusted` are folders of models whose own code may be run.
    """
    common = {"trusted": trusted, "progress": progress}
    tasks, missing = tasks_of(suites, language)
    answers, unanswered = asking.ask(models, tasks, folder, context_tokens=context_tokens, **common)
    missing += unanswered
    for wanted in suites:
        if wanted.is_labeled:
            more, more_answers, more_missing = labeled.ask(models, wanted, language, folder / wanted.suite, **common)
            tasks += more
            answers |= more_answers
            missing += more_missing
    leaked = leaks.find(tasks, training, progress=progress)
    return {
        "tasks": table(tasks, answers, base=next(iter(models)), seed=seed),
        "missing": [asdict(one) for one in missing],
        "leaks": leaks.figures(leaked, answers),
    }


def table(
    tasks: Sequence[Task], answers: Answers, *, base: str, seed: int, every_metric: bool = False
) -> list[dict[str, Any]]:
    """A row for every task, metric and model that answered, with the difference from `base` where that did.

    Tests are of each task's first metric, or of every one, and corrected for how many of them the table has.
    """
    rows = [row for task in tasks for row in _rows(task, answers[task.name], base, seed, every_metric)]
    tested = [row for row in rows if row["against"] is not None and row["against"]["p"] is not None]
    for row, corrected in zip(tested, statistics.holm([row["against"]["p"] for row in tested]), strict=True):
        row["against"]["p_holm"] = corrected
        row["against"]["verdict"] = _verdict(row["against"]["difference"], corrected, row["lower_is_better"])
    return rows


def _rows(
    task: Task, by_model: Mapping[str, list[Answer]], base: str, seed: int, every_metric: bool
) -> list[dict[str, Any]]:
    rows = []
    if not by_model:
        return rows
    # Items without a group stand for themselves.
    groups = [item.group or f"item {number}" for number, item in enumerate(task.items)]
    # What a task of the harness names may be no number for one of the models.
    given_first = next(iter(by_model.values()))[0].counts
    names = task.metrics or [name for name in given_first if all(name in g[0].counts for g in by_model.values())]
    for metric_name in names:
        metric, headline = _metric(task, metric_name, by_model), metric_name == names[0]
        for model, given in by_model.items():
            counts = [answer.counts[metric_name] for answer in given]
            found = statistics.estimate(counts, metric.of_sums, seed=seed, groups=groups)
            against = None
            if model != base and base in by_model:
                of_base = [answer.counts[metric_name] for answer in by_model[base]]
                against = _against(counts, of_base, metric, groups, seed, tested=headline or every_metric)
            rows.append(
                {
                    "task": task.name,
                    "suite": task.suite,
                    "title": task.title,
                    "language": task.language,
                    "prompt_language": task.prompt_language,
                    "metric": metric_name,
                    "metric_title": metric.title,
                    "digits": metric.digits,
                    "lower_is_better": metric.lower_is_better,
                    "headline": headline,
                    "model": model,
                    "items": len(given),
                    "groups": len(set(groups)) or len(given),
                    "shots": task.most_shots,
                    **_figures(found),
                    "chance": _chance(task, given) if headline or metric_name.startswith("acc") else None,
                    "cut_items": sum(answer.cut_tokens > 0 for answer in given),
                    "empty": sum(not answer.response for answer in given) if task.kind == "write" else 0,
                    "against": against,
                    "notes": list(task.notes),
                    "source": task.source,
                }
            )
    return rows


def _metric(task: Task, name: str, by_model: Mapping[str, list[Answer]]) -> Metric:
    if task.kind != "harness":
        return METRICS[name]
    counts = [answer.counts[name] for given in by_model.values() for answer in given]
    return mean_of(name, counts, lower_is_better=name in task.lower_is_better)


def _chance(task: Task, given: list[Answer]) -> float | None:
    """What guessing gives; of a task that the harness defines, as far as its answers show options."""
    if task.kind == "harness" and all(len(answer.logprobs) > 1 for answer in given):
        return sum(1 / len(answer.logprobs) for answer in given) / len(given)
    return task.chance


def _against(
    counts: list[list[float]],
    base: list[list[float]],
    metric: Metric,
    groups: Sequence[str],
    seed: int,
    *,
    tested: bool,
) -> dict[str, Any]:
    gap = statistics.paired(counts, base, metric.of_sums, seed=seed, groups=groups)
    found: dict[str, Any] = {**_figures(gap), "p": None, "p_holm": None, "test": None, "verdict": None, "effect": None}
    found["difference"] = found.pop("value")
    if math.isnan(gap.value):
        return found
    if metric.is_share:
        shares = [sum(count[0] for count in side) / sum(count[1] for count in side) for side in (counts, base)]
        found["effect"] = statistics.cohens_h(*shares)
    if tested:
        is_alone = len(set(groups)) in (0, len(counts))
        if metric.is_share and is_alone and all(count in RIGHT_OR_WRONG for count in (*counts, *base)):
            found["test"] = "McNemar, exact"
            found["p"] = statistics.mcnemar([c[0] > 0 for c in counts], [c[0] > 0 for c in base])
        else:
            found["test"] = "permutation"
            found["p"] = statistics.permutation_test(counts, base, metric.of_sums, seed=seed, groups=groups)
    return found


def _verdict(difference: float, p_value: float, lower_is_better: bool) -> str:
    if p_value >= LEVEL:
        return "no difference"
    return "better" if (difference < 0) == lower_is_better else "worse"


def _figures(found: Interval) -> dict[str, float | None]:
    """As plain JSON, which has no nan."""
    values = {"value": found.value, "low": found.low, "high": found.high}
    return {name: None if math.isnan(value) else value for name, value in values.items()}

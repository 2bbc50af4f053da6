"""What answers to a labeled task are worth, from counts of its items, and what an answer that never changes is worth.

N items, D counts of an item.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from . import metrics
from .labeled import LabeledItem, LabeledTask, Splits
from .task import Answer, Item, Task

ZERO_BY_CHANCE = ("matthews", "spearman")
"""Metrics that tell a constant answer from nothing at all in no way: chance is 0."""


def counts(task: LabeledTask, golds: Sequence[float], answers: Sequence[float]) -> list[list[float]]:
    """Of every item, what the task's metric is made of (`metrics.METRICS[task.metric].of_sums` of their sums).

    Classes are numbers. Ranks, and how rare a score is, are taken from all the items together, and stay as they are
    when items are resampled.
    """
    if task.metric == "spearman":
        return metrics.rank_counts(golds, answers)
    if task.metric == "weighted_mae":
        # KLEJ: the mean of the mean errors at each score, as a share of the scale.
        low, high = task.scale
        sizes = Counter(golds)
        return [
            [abs(gold - answer) / (high - low) / sizes[gold], 1 / sizes[gold]]
            for gold, answer in zip(golds, answers, strict=True)
        ]
    if task.metric == "accuracy":
        return [metrics.right(gold == answer) for gold, answer in zip(golds, answers, strict=True)]
    size = len(task.classes)
    return [metrics.confusion(int(gold), int(answer), size) for gold, answer in zip(golds, answers, strict=True)]


def score(task: LabeledTask, golds: Sequence[float], answers: Sequence[float]) -> float | None:
    """The task's own metric; None where it is not defined, as where there is one class only."""
    sums_D = np.sum(np.asarray(counts(task, golds, answers)), axis=0)
    value = float(metrics.METRICS[task.metric].of_sums(sums_D[None])[0])
    return None if math.isnan(value) else value


def constant(task: LabeledTask, train: Sequence[LabeledItem]) -> float:
    """The one answer that is worth most on the training items: for accuracy the most frequent class."""
    golds = [item.gold for item in train]
    if task.metric in ZERO_BY_CHANCE:
        return Counter(golds).most_common(1)[0][0] if task.classes else float(np.mean(golds))
    possible = range(len(task.classes)) if task.classes else sorted(set(golds))
    worth = {answer: score(task, golds, [answer] * len(golds)) for answer in possible}
    return float(max(possible, key=lambda answer: -math.inf if worth[answer] is None else worth[answer]))


def chance(task: LabeledTask, train: Sequence[LabeledItem], test: Sequence[LabeledItem]) -> float | None:
    """What the best constant answer is worth on the test items."""
    if task.metric in ZERO_BY_CHANCE:
        return 0.0
    return score(task, [item.gold for item in test], [constant(task, train)] * len(test))


def asked(
    task: LabeledTask, data: Splits, results: Sequence[Mapping[str, Any]]
) -> tuple[Task, dict[str, list[Answer]]]:
    """Results of `finetune.measure` as `compare.table` takes them: those of one method, all models with the same seeds.

    Every seed answers every item; an item's answers are resampled as one.
    """
    method = results[0]["method"]
    seeds = sorted({result["seed"] for result in results})
    label = task.classes.__getitem__ if task.classes else "{:g}".format
    items = tuple(
        Item(item.id, " ".join(item.texts), (label(item.gold),), group=item.id) for _ in seeds for item in data.test
    )
    splits = data.figures()
    notes = [
        f"Fine-tuned ({method}) on {splits['train']:,} items, the best epoch chosen on {splits['dev']:,}; "
        f"seeds {', '.join(map(str, seeds))}."
    ]
    notes += [f"Tested is {splits['test_from']}: test has no labels."] if splits["test_from"] != "test" else []
    notes += [f"Dev is {splits['dev_from']}."] if splits["dev_from"] != "dev" else []
    golds = [item.gold for item in data.test]
    if score(task, golds, golds) is None:
        title = metrics.METRICS[task.metric].title
        notes.append(f"All tested items have the same {task.label}, for which {title} is not defined.")
    answers: dict[str, list[Answer]] = {}
    for result in sorted(results, key=lambda result: result["seed"]):
        given = dict(zip(result["items"], result["answers"], strict=True))
        ordered = [given[item.id] for item in data.test]
        counted = counts(task, golds, ordered)
        answers.setdefault(result["model"], []).extend(
            Answer(item.id, label(answer), {task.metric: of_item})
            for item, answer, of_item in zip(data.test, ordered, counted, strict=True)
        )
    return (
        Task(
            f"{task.name}@{method}",
            "klej",
            task.title,
            task.language,
            task.language,
            "write",
            items,
            metrics=(task.metric,),
            source=task.source,
            notes=tuple(notes),
        ),
        answers,
    )

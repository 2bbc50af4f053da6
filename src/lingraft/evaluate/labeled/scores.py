"""What answers to a labeled task are worth, from counts of its items, and what an answer that never changes is worth.

N items, D counts of an item.
"""

import math
from collections import Counter
from collections.abc import Sequence

import numpy as np

from lingraft.evaluate import metrics

from .data import LabeledItem, LabeledTask

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

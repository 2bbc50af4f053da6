"""Test items that stand in the training text: what was learned by heart is no skill."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lingraft.core.progress import SILENT, Progress

from .asking import Answers
from .metrics import METRICS, normalized
from .task import Item, Task

WORDS = 8
"""Words in a row that are looked for: as few as GPT-3's least (Brown et al. 2020, appendix C), so that a short item is
judged as well."""
CHARACTERS = 20
"""Of a script without spaces, in place of words."""
LEAST_SHARE = 0.5
"""Of an item's runs that stand in the training text."""
EXAMPLES = 5
_LABEL = re.compile(r"^(?:[^\s:]+ ?[^\s:]*: ?|[A-E]\. )", re.MULTILINE)
"""What a prompt puts in front of a line."""

Run = tuple[str, ...]


@dataclass(frozen=True)
class Leak:
    """Of one task."""

    task: str
    items: tuple[str, ...]
    """Ids of items that stand in the training text."""
    too_short: int
    """Items with too few words to be told from chance."""


def find(tasks: Sequence[Task], texts: Iterable[str], *, spaces: bool, progress: Progress = SILENT) -> list[Leak]:
    """For every task, the items of which at least half the runs of eight words stand in one of the texts.

    An item is its context and its right answer, without the labels of the prompt.
    """
    length = WORDS if spaces else CHARACTERS
    runs = {task.name: [list(_runs(normalized(_text(item)), length)) for item in task.items] for task in tasks}
    wanted = {run for of_items in runs.values() for of_item in of_items for run in of_item}
    seen: set[Run] = set()
    if wanted:
        for text in progress.track(texts, "looking for test items in the training text", None, "documents"):
            seen.update(wanted.intersection(_runs(normalized(text), length)))
    return [
        Leak(
            task.name,
            tuple(
                item.id
                for item, of_item in zip(task.items, runs[task.name], strict=True)
                if of_item and sum(run in seen for run in of_item) >= LEAST_SHARE * len(of_item)
            ),
            sum(not of_item for of_item in runs[task.name]),
        )
        for task in tasks
    ]


def figures(leaks: Sequence[Leak], tasks: Sequence[Task], answers: Answers) -> list[dict[str, Any]]:
    """What the report says of every task: how many items leaked, and each model's figure without them."""
    found = []
    for leak, task in zip(leaks, tasks, strict=True):
        leaked = set(leak.items)
        without: Mapping[str, float | None] = {}
        if leaked:
            metric = METRICS[task.metrics[0]]
            without = {
                model: _value(metric, [a.counts[task.metrics[0]] for a in given if a.item not in leaked])
                for model, given in answers[task.name].items()
            }
        found.append(
            {
                "task": task.name,
                "items": len(task.items),
                "leaked": len(leaked),
                "too_short": leak.too_short,
                "examples": list(leak.items[:EXAMPLES]),
                "without": without,
            }
        )
    return found


def _value(metric: Any, counts: list[list[float]]) -> float | None:
    if not counts:
        return None
    value = float(metric.of_sums(np.array(counts).sum(axis=0, keepdims=True))[0])
    return None if np.isnan(value) else value


def _text(item: Item) -> str:
    return _LABEL.sub("", item.solved)


def _runs(words: list[str], length: int) -> Iterator[Run]:
    return (tuple(words[begin : begin + length]) for begin in range(len(words) - length + 1))

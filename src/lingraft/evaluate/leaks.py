"""Test items that stand in the training text: what was learned by heart is no skill."""

import re
from collections import Counter, defaultdict
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
"""Of text without spaces, in place of words."""
LEAST_SHARE = 0.5
"""Of a field's runs that stand in one document."""
EXAMPLES = 5
_LABEL = re.compile(r"^(?:[^\s:]+ ?[^\s:]*: ?|[A-J]\. )")
"""What a prompt puts in front of a line."""

Run = tuple[str, ...]


@dataclass(frozen=True)
class Leak:
    """Of one task."""

    task: Task
    places: tuple[int, ...]
    """Of items that stand in the training text, among the task's."""
    too_short: int
    """Items with too few words to be told from chance."""

    @property
    def items(self) -> list[str]:
        """Their ids."""
        return [self.task.items[place].id for place in self.places]


def find(tasks: Sequence[Task], texts: Iterable[str], *, progress: Progress = SILENT) -> list[Leak]:
    """For every task, the items of which a field stands in one of the texts, at least half its runs of eight words.

    Fields are what a data set may have been copied by: each line of the context and each answer, alone and as the item
    goes on with the right one, without the labels of the prompt. A line that all items have is the prompt's.
    """
    fields: list[tuple[int, int]] = []
    """Task and item of each."""
    runs_of: list[int] = []
    holding: dict[Run, list[int]] = defaultdict(list)
    too_short = [0] * len(tasks)
    for number, task in enumerate(tasks):
        of_items = [_fields(item) for item in task.items]
        is_one_passage = len({item.group or place for place, item in enumerate(task.items)}) == 1
        of_prompt = set.intersection(*of_items) if of_items and not is_one_passage else set()
        for place, of_item in enumerate(of_items):
            found = [runs for field in of_item - of_prompt if (runs := set(_runs(field, _length(field))))]
            too_short[number] += not found
            for runs in found:
                for run in runs:
                    holding[run].append(len(fields))
                fields.append((number, place))
                runs_of.append(len(runs))
    leaked: set[tuple[int, int]] = set()
    lengths = {len(run) for run in holding}
    if holding:
        for text in progress.track(texts, "looking for test items in the training text", None, "documents"):
            words = normalized(text)
            seen = {run for length in lengths for run in _runs(words, length) if run in holding}
            counted = Counter(field for run in seen for field in holding[run])
            leaked.update(fields[field] for field, n in counted.items() if n >= LEAST_SHARE * runs_of[field])
    return [
        Leak(task, tuple(place for place in range(len(task.items)) if (number, place) in leaked), too_short[number])
        for number, task in enumerate(tasks)
    ]


def figures(leaks: Sequence[Leak], answers: Answers) -> list[dict[str, Any]]:
    """What the report says of every task: how many items leaked, and each model's figure without them.

    Where the harness has the items they are not searched for.
    """
    found = []
    for leak in leaks:
        task, leaked = leak.task, set(leak.places)
        without: Mapping[str, float | None] = {}
        if leaked:
            metric = METRICS[task.metrics[0]]
            without = {
                model: _value(
                    metric, [a.counts[task.metrics[0]] for place, a in enumerate(given) if place not in leaked]
                )
                for model, given in answers[task.name].items()
            }
        found.append(
            {
                "task": task.name,
                "title": task.title,
                "searched": task.kind != "harness",
                "items": len(task.items),
                "leaked": len(leaked),
                "too_short": leak.too_short,
                "examples": leak.items[:EXAMPLES],
                "without": without,
            }
        )
    return found


def _value(metric: Any, counts: list[list[float]]) -> float | None:
    if not counts:
        return None
    value = float(metric.of_sums(np.array(counts).sum(axis=0, keepdims=True))[0])
    return None if np.isnan(value) else value


def _fields(item: Item) -> set[Run]:
    texts = [item.context, *item.contexts, *item.answers, item.solved]
    lines = (line for text in texts for line in text.splitlines())
    return {tuple(normalized(_LABEL.sub("", line.strip()))) for line in lines}


def _length(field: Run) -> int:
    """Of a script without spaces `normalized` makes single characters."""
    return CHARACTERS if sum(len(word) == 1 for word in field) > len(field) / 2 else WORDS


def _runs(words: Sequence[str], length: int) -> Iterator[Run]:
    return (tuple(words[begin : begin + length]) for begin in range(len(words) - length + 1))

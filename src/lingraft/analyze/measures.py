"""What a model is scored by where an analysis changes it: bits per byte of every stream, tasks of multiple choice."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lingraft.core.progress import SILENT, Progress
from lingraft.evaluate import bits, harness
from lingraft.evaluate.evaluate import HeldOut
from lingraft.evaluate.generate import Loaded
from lingraft.evaluate.metrics import METRICS, Metric
from lingraft.evaluate.task import Task

Counts = list[list[float]]


@dataclass(frozen=True)
class Measure:
    """A score: a metric of the sums of what is counted in each item.

    It calls a model the same way every time, and without a cache of keys and values.
    """

    title: str
    metric: Metric
    count: Callable[[Loaded], Counts]
    chance: float | None = None

    def described(self) -> dict[str, Any]:
        """What a table says of it."""
        return {
            "title": self.title,
            "metric": self.metric.title,
            "lower_is_better": self.metric.lower_is_better,
            "chance": self.chance,
        }


def measures(
    texts: Sequence[HeldOut], tasks: Sequence[Task], context_tokens: int, progress: Progress = SILENT
) -> dict[str, Measure]:
    """By the name of the stream or task. Texts that a model writes are no score here: they need its cache."""
    found = {text.stream: _bits(text, context_tokens, progress) for text in texts}
    return found | {task.name: _task(task, context_tokens, progress) for task in tasks if task.kind == "choice"}


def count(measured: Mapping[str, Measure], loaded: Loaded) -> dict[str, Counts]:
    """What every measure counts in its items."""
    return {name: measure.count(loaded) for name, measure in measured.items()}


def _bits(text: HeldOut, context_tokens: int, progress: Progress) -> Measure:
    def counts(loaded: Loaded) -> Counts:
        records = bits.measure(
            loaded.model, loaded.tokenizer, text.texts, context_tokens=context_tokens, progress=progress
        )
        return [[record.bits, record.bytes] for record in records]

    return Measure(text.language.name, METRICS["bits_per_byte"], counts)


def _task(task: Task, context_tokens: int, progress: Progress) -> Measure:
    name = task.metrics[0]

    def counts(loaded: Loaded) -> Counts:
        answers = harness.answer(loaded, task, context_tokens=context_tokens, progress=progress)
        return [answer.counts[name] for answer in answers]

    return Measure(task.title, METRICS[name], counts, task.chance)

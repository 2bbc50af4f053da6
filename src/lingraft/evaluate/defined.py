"""Tasks that the harness defines itself, or a YAML file in its form: set up, and their samples as answers of ours."""

import contextlib
import functools
import hashlib
import logging
import math
import numbers
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import datasets
import jinja2
import numpy as np
import yaml
from lm_eval.api.metrics import bits_per_byte, mean
from lm_eval.api.task import Task as HarnessTask
from lm_eval.defaults import DEFAULT_OTHER_SEED
from lm_eval.tasks import TaskManager

from lingraft.core.errors import InputError

from .task import Answer, spread

_SET_UP_ERRORS = (
    ArithmeticError,
    AttributeError,
    ImportError,
    LookupError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
    datasets.exceptions.DatasetsError,
    jinja2.TemplateError,
    yaml.YAMLError,
)
"""What comes of the code, the templates and the data of a task that was written elsewhere."""

_REMEDY = "Leave the task out, or give it such a metric in a YAML file of your own."


@functools.cache
def catalog() -> TaskManager:
    """The tasks that come with the harness; reading its thousands of files takes seconds."""
    return TaskManager()


def defined(name: str, *, own_file: bool, num_shots: int | None = None) -> HarnessTask:
    """A task as the harness defines it, by its name, or as a YAML file of one's own does.

    With as many solved examples as the task has unless `num_shots` says another number. Raises InputError where it
    cannot be set up, would run what a model writes as a program, or asks about pictures or sound.
    """
    try:
        with quiet():
            manager = TaskManager(include_defaults=False) if own_file else catalog()
            (found,) = manager.load([name])["tasks"].values()
            own_shots = found.get_config("num_fewshot") or 0
            found.set_config("num_fewshot", own_shots if num_shots is None else num_shots)
            found.set_fewshot_seed(DEFAULT_OTHER_SEED)
    except _SET_UP_ERRORS as error:
        raise InputError(
            f"the harness cannot set up this task: {type(error).__name__}: {error}",
            where=name,
            remedy="Check its name or file, what it imports, and that its data is here or the hub can be reached.",
        ) from error
    for flag, what in (("UNSAFE_CODE", "runs programs that models write"), ("MULTIMODAL", "is not of text alone")):
        if getattr(found, flag, False):
            raise InputError(f"this task {what}.", where=name, remedy="Leave it out.")
    return found


def content(found: HarnessTask) -> str:
    """A hash of the items, whatever columns they have."""
    digest = hashlib.sha256()
    for row in found.eval_docs:
        digest.update(repr(row).encode())
    return digest.hexdigest()


def lower_is_better(found: HarnessTask) -> tuple[str, ...]:
    """The metrics of a task by which less is better."""
    return tuple(name for name, higher in found.higher_is_better().items() if not higher)


def places(found: HarnessTask, most_items: int | None) -> list[int] | None:
    """The places of the items that are asked, evenly spread; None for all.

    Raises InputError where the task has no metric that could be told of them.
    """
    metrics = found.aggregation()
    if not any(aggregation in (mean, bits_per_byte) for aggregation in metrics.values()):
        raise InputError(
            f"none of its metrics is a mean over items: {', '.join(metrics) or 'it has none'}.",
            where=found.task_name,
            remedy=_REMEDY,
        )
    num_items = len(found.eval_docs)
    return None if most_items is None or most_items >= num_items else spread(num_items, most_items)


def as_it_counts(found: HarnessTask, samples: Sequence[dict[str, Any]]) -> list[Answer]:
    """By those of the task's own metrics that are means over items and give each of these a number.

    As the first of its filters has them. Raises InputError where no metric is left.
    """
    how = found.aggregation()
    # A task with several filters gives each item once for each of them.
    first = [sample for sample in samples if sample["filter"] == samples[0]["filter"]]
    samples = sorted(first, key=lambda sample: sample["doc_id"])
    counts = [{name: _count(how.get(name), sample[name]) for name in sample["metrics"]} for sample in samples]
    kept = [name for name in counts[0] if all(of_sample.get(name) for of_sample in counts)]
    if not kept:
        raise InputError(
            f"no metric gives each item a number: {', '.join(counts[0]) or 'there is none'}.",
            where=found.task_name,
            remedy=_REMEDY,
        )
    answers = []
    for sample, of_sample in zip(samples, counts, strict=True):
        # Of options a likelihood each, and whether it is greedy; of a whole text its likelihood; else what was written.
        responses = sample["filtered_resps"]
        options = tuple(float(response[0]) for response in responses if isinstance(response, tuple))
        written = "" if options or isinstance(responses[0], float) else str(responses[0])
        answers.append(Answer(str(sample["doc_id"]), written, {name: of_sample[name] for name in kept}, options))
    return answers


def _count(aggregation: Any, value: Any) -> list[float] | None:
    """What is summed over items; None where the figure is no ratio of sums."""
    if aggregation is bits_per_byte:
        logprob, size = value
        return [-logprob / math.log(2), float(size)]
    is_number = isinstance(value, numbers.Real | np.bool_) and math.isfinite(value)
    return [float(value), 1.0] if aggregation is mean and is_number else None


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Without the harness's log lines and bars: what it is at is shown by our own."""
    logger = logging.getLogger("lm_eval")
    level = logger.level
    logger.setLevel(logging.ERROR)
    with Path(os.devnull).open("w") as nowhere, contextlib.redirect_stderr(nowhere):
        try:
            yield
        finally:
            logger.setLevel(level)

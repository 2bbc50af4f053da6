"""Several models asked the same items, every answer kept; what cannot be asked is named, and the rest goes on."""

import dataclasses
import functools
from collections.abc import Callable, Collection, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from lingraft.core.artifact import write_json
from lingraft.core.errors import InputError
from lingraft.core.progress import SILENT, Progress

from . import harness, kept
from .evaluate import load
from .generate import Loaded
from .task import Answer, Task
from .wanted import Missing

Answers = Mapping[str, Mapping[str, list[Answer]]]
"""By task and model, in the order of the task's items."""


def ask(
    models: Mapping[str, Path],
    tasks: Sequence[Task],
    folder: Path,
    *,
    context_tokens: int,
    trusted: Collection[Path] = (),
    progress: Progress = SILENT,
) -> tuple[dict[str, dict[str, list[Answer]]], list[Missing]]:
    """Put every task to every model; `folder` keeps the items and each model's answers as soon as they are there.

    Answers of the same model to the same task are read, not asked for again. `trusted` are folders of models whose own
    code may be run.
    """
    answers: dict[str, dict[str, list[Answer]]] = {task.name: {} for task in tasks}
    missing = []
    for task in tasks:
        (folder / task.name).mkdir(parents=True, exist_ok=True)
        write_json(folder / task.name / "items.json", dataclasses.asdict(task))
    for name, path in models.items():
        loaded = functools.cache(functools.partial(load, path, trust_remote_code=path in trusted))
        for task in tasks:
            file, identity = folder / task.name / f"{name}.json", _identity(path, task, context_tokens)
            make = functools.partial(_asked, name, loaded, task, context_tokens, progress)
            try:
                records = kept.result(file, identity, make)
            except InputError as error:
                missing.append(Missing(task.suite, str(error), task.name, name))
            else:
                answers[task.name][name] = [_answer(record) for record in records]
    return answers, missing


def _asked(
    name: str, loaded: Callable[[], Loaded], task: Task, context_tokens: int, progress: Progress
) -> list[dict[str, Any]]:
    progress.event("asking", task=task.name, model=name)
    found = harness.answer(loaded(), task, context_tokens=context_tokens, progress=progress)
    return [dataclasses.asdict(answer) for answer in found]


def _identity(model: Path, task: Task, context_tokens: int) -> dict[str, Any]:
    found = {"model": kept.model_digest(model), "task": task.identity(), "context_tokens": context_tokens}
    if task.kind == "harness":
        found["harness"] = version("lm_eval")  # whose task it is
    return found


def _answer(record: dict[str, Any]) -> Answer:
    return Answer(**{**record, "logprobs": tuple(record["logprobs"])})

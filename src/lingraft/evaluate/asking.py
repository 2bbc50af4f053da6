"""Several models asked the same items, every answer kept; what cannot be asked is named, and the rest goes on."""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lingraft.core.artifact import write_json
from lingraft.core.errors import InputError
from lingraft.core.progress import SILENT, Progress

from . import harness
from .evaluate import load
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
    trust_remote_code: bool = False,
    progress: Progress = SILENT,
) -> tuple[dict[str, dict[str, list[Answer]]], list[Missing]]:
    """Put every task to every model; `folder` keeps the items and each model's answers as soon as they are there.

    Answers that are there already are read, not asked for again.
    """
    answers: dict[str, dict[str, list[Answer]]] = {task.name: {} for task in tasks}
    missing = []
    for task in tasks:
        (folder / task.name).mkdir(parents=True, exist_ok=True)
        write_json(folder / task.name / "items.json", dataclasses.asdict(task))
    for name, path in models.items():
        open_tasks = [task for task in tasks if not _kept(folder, task, name).exists()]
        if open_tasks:
            loaded = load(path, trust_remote_code=trust_remote_code)
        for task in open_tasks:
            progress.event("asking", task=task.name, model=name)
            try:
                found = harness.answer(loaded, task, context_tokens=context_tokens, progress=progress)
            except InputError as error:
                missing.append(Missing(task.suite, str(error), task.name, name))
                continue
            write_json(_kept(folder, task, name), [dataclasses.asdict(answer) for answer in found])
        for task in tasks:
            if (kept := _kept(folder, task, name)).exists():
                answers[task.name][name] = [_answer(record) for record in json.loads(kept.read_text(encoding="utf-8"))]
    return answers, missing


def _kept(folder: Path, task: Task, model: str) -> Path:
    return folder / task.name / f"{model}.json"


def _answer(record: dict[str, Any]) -> Answer:
    return Answer(**{**record, "logprobs": tuple(record["logprobs"])})

"""Any task of EleutherAI's lm-evaluation-harness, by its name, or by a YAML file of one's own."""

import functools
from pathlib import Path

from lm_eval.tasks import TaskManager

from lingraft.core.errors import RecipeError
from lingraft.core.registry import did_you_mean
from lingraft.evaluate.task import Task

from .source import Source
from .words import Words

PAPER = "lm-evaluation-harness: Biderman et al. 2024, https://arxiv.org/abs/2405.14782"


def harness(source: Source, words: Words, *, tasks: list[str]) -> list[Task]:
    """Tasks as the harness defines them, prompts, examples and metrics included (Biderman et al. 2024).

    Languages: those of the tasks
    Metric: the task's own, where it gives each item a number
    Shots: as the task has it
    Files: YAML files of one's own, which start at `data` where they are relative
    Hub: as the task has it
    """
    return [_task(name, source) for name in tasks]


def _task(name: str, source: Source) -> Task:
    file = (source.folder or Path()) / name
    if name.endswith((".yaml", ".yml")):
        if not file.is_file():
            raise RecipeError("there is no such task file.", where=file, remedy="Relative files start at `data`.")
        name, called, definition = file.stem, str(file), file.read_text(encoding="utf-8")
    else:
        known = _known()
        if name not in known:
            raise RecipeError(f'the harness has no task "{name}".', where="harness", remedy=did_you_mean(name, known))
        called, definition = name, ""
    return Task(
        name,
        "harness",
        name,
        source.language.tag,
        "",
        "harness",
        (),
        metrics=(),
        harness=called,
        definition=definition,
        source=PAPER,
    )


@functools.cache
def _known() -> list[str]:
    """Reading the thousands of files of the harness takes seconds."""
    return TaskManager().all_subtasks

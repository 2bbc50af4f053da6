"""Any task of EleutherAI's lm-evaluation-harness, by its name, or by a YAML file of one's own."""

import functools
from pathlib import Path

from lingraft.core.errors import RecipeError
from lingraft.core.registry import did_you_mean
from lingraft.evaluate.defined import catalog, content, defined, lower_is_better
from lingraft.evaluate.task import Task

from .source import Source
from .words import Words

PAPER = "lm-evaluation-harness: Biderman et al. 2024, https://arxiv.org/abs/2405.14782"


def harness(source: Source, words: Words, *, tasks: list[str]) -> list[Task]:
    """Tasks as the harness defines them, prompts, examples and metrics included (Biderman et al. 2024).

    Languages: those of the tasks
    Metric: those of the task that are means over items and give each item a number; bits per byte of whole texts
    Shots: as the task has it by default
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
        known = catalog().all_subtasks
        if name not in known:
            raise RecipeError(f'the harness has no task "{name}".', where="harness", remedy=did_you_mean(name, known))
        called, definition = name, ""
    num_shots, less_is_better, data = _set_up(called, definition)
    return Task(
        name,
        "harness",
        name,
        source.language.tag,
        "",
        "harness",
        (),
        metrics=(),
        num_shots=num_shots,
        lower_is_better=less_is_better,
        harness=called,
        definition=definition,
        data=data,
        source=PAPER,
    )


@functools.cache
def _set_up(called: str, definition: str) -> tuple[int, tuple[str, ...], str]:
    """How many examples the task has, by which metrics less is better, and a hash of the items."""
    found = defined(called, own_file=bool(definition))
    return found.get_config("num_fewshot"), lower_is_better(found), content(found)

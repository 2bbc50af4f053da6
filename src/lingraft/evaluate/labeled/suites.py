"""Suites of labeled tasks, fine-tuned on and answered by several models: as other tasks and their answers look."""

import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import numpy as np
from pydantic import Field

from lingraft.core.errors import InputError, RecipeError
from lingraft.core.progress import SILENT, Progress
from lingraft.core.registry import check_options, did_you_mean
from lingraft.corpus.language import Language, find
from lingraft.evaluate import metrics
from lingraft.evaluate.task import Answer, Item, Task
from lingraft.evaluate.wanted import Missing, Wanted

from .data import LabeledTask, Splits, read
from .finetune import Finetuning, measure
from .scores import chance, counts, score
from .tasks import SUITES

Each = TypeVar("Each")
Some = Annotated[list[Each], Field(min_length=1)]


@dataclass(frozen=True)
class Ways:
    """In what ways, how often and on how many items models are fine-tuned."""

    settings: tuple[Finetuning, ...]
    seeds: tuple[int, ...]
    tasks: tuple[str, ...] | None
    train_items: int | None
    dev_items: int | None


def ways(
    *,
    tasks: Some[str] | None = None,
    methods: Some[Literal["full", "lora"]] = ["full"],  # noqa: B006
    seeds: Some[int] = [1, 2, 3],  # noqa: B006
    lr: float = 2e-5,
    lora_lr: float = 2e-4,
    epochs: int = 10,
    train_items: int | None = None,
    dev_items: int | None = None,
) -> Ways:
    """From the options of a suite; rates are for models of billions of weights, small ones take higher ones."""
    rates = {"full": lr, "lora": lora_lr}
    settings = tuple(Finetuning(method=method, lr=rates[method], epochs=epochs) for method in methods)
    return Ways(settings, tuple(seeds), None if tasks is None else tuple(tasks), train_items, dev_items)


def check(suite: str, options: Mapping[str, Any]) -> None:
    """Raise RecipeError for options that are none, what is named twice, or a task that the suite does not have."""
    check_options(ways, options, f"{suite}.options")
    for name in ("tasks", "methods", "seeds"):
        given = options.get(name) or []
        if len(set(given)) < len(given):
            raise RecipeError("one stands there twice.", where=f"{suite}.options.{name}", remedy="Name each once.")
    known = [task.name for task in SUITES[suite]]
    for name in ways(**options).tasks or ():
        if name not in known:
            raise RecipeError(f'{suite} has no task "{name}".', where="options.tasks", remedy=did_you_mean(name, known))


def check_together(suites: Sequence[Wanted]) -> None:
    """Raise RecipeError where labeled suites have a task twice in one way: one would take the other's place."""
    seen = set()
    for wanted in suites:
        for task, how in product(_tasks(wanted), ways(**wanted.options).settings):
            if (task.name, how.method) in seen:
                raise RecipeError(
                    f"two suites have a task {task.name}@{how.method}.",
                    where=wanted.suite,
                    remedy="Name each once in `suites`, or give them other `tasks` or `methods`.",
                )
            seen.add((task.name, how.method))


def identity(wanted: Wanted) -> str:
    """A hash of all labeled items that are there, task by task."""
    found = []
    for task in _tasks(wanted):
        try:
            found.append([asdict(task), asdict(read(task, wanted.data))])
        except InputError:
            found.append([asdict(task), "missing"])
    return hashlib.sha256(json.dumps(found, ensure_ascii=False).encode()).hexdigest()


def ask(
    models: Mapping[str, Path],
    wanted: Wanted,
    language: Language,
    folder: Path,
    *,
    trusted: Collection[Path] = (),
    progress: Progress = SILENT,
) -> tuple[list[Task], dict[str, dict[str, list[Answer]]], list[Missing]]:
    """Every task of the suite in every way of fine-tuning: tasks, answers by task and model, what is missing.

    The suite's data are the files of one task, or a folder for each (None is the hub). `folder` keeps what is finished.
    A task without data, and a model that cannot have a head, are missing, with the reason; the rest goes on.
    """
    how = ways(**wanted.options)
    tasks, answers, missing = [], {}, []
    tested = find(wanted.language) if wanted.language else language
    for task in _tasks(wanted):
        if task.language != tested.tag.partition("-")[0]:
            why = f"its items are in {find(task.language).name}, not in {tested.name}."
            missing.append(Missing(wanted.suite, why, task.name))
            continue
        try:
            splits = read(task, wanted.data).at_most(train=how.train_items, dev=how.dev_items, test=wanted.items)
        except InputError as error:
            missing.append(Missing(wanted.suite, str(error), task.name))
            continue
        for setting in how.settings:
            results = []
            for name, path in models.items():
                try:
                    results += measure(
                        {name: path},
                        task,
                        splits,
                        folder,
                        [setting],
                        seeds=how.seeds,
                        trusted=trusted,
                        progress=progress,
                    )
                except InputError as error:
                    missing.append(Missing(wanted.suite, str(error), f"{task.name}@{setting.method}", name))
            if results:
                made, by_model = asked(task, splits, results, suite=wanted.suite)
                tasks.append(made)
                answers[made.name] = by_model
    return tasks, answers, missing


def _tasks(wanted: Wanted) -> list[LabeledTask]:
    chosen = ways(**wanted.options).tasks
    return [task for task in SUITES[wanted.suite] if chosen is None or task.name in chosen]


def asked(
    task: LabeledTask, data: Splits, results: Sequence[Mapping[str, Any]], *, suite: str
) -> tuple[Task, dict[str, list[Answer]]]:
    """Results of `finetune.measure` as `compare.table` takes them: those of one method, all models with the same seeds.

    Every seed answers every item; an item's counts are the sums over seeds.
    """
    models = dict.fromkeys(result["model"] for result in results)
    results = sorted(results, key=lambda result: result["seed"])
    method = results[0]["method"]
    seeds = sorted({result["seed"] for result in results})
    label = task.classes.__getitem__ if task.classes else "{:g}".format
    items = tuple(Item(item.id, "\n".join(item.texts), (label(item.gold),)) for item in data.test)
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
    answers = {}
    for model in models:
        by_seed, counted = [], []
        for result in results:
            if result["model"] == model:
                given = dict(zip(result["items"], result["answers"], strict=True))
                by_seed.append([given[item.id] for item in data.test])
                counted.append(counts(task, golds, by_seed[-1]))
        answers[model] = [
            Answer(item.id, ", ".join(map(label, of_seeds)), {task.metric: np.sum(of_item, axis=0).tolist()})
            for item, of_seeds, of_item in zip(
                data.test, zip(*by_seed, strict=True), zip(*counted, strict=True), strict=True
            )
        ]
    if len(seeds) > 1:
        told = (
            f"{model} {', '.join(_short(one['score']) for one in results if one['model'] == model)}"
            for model in answers
        )
        notes.append(f"Intervals and tests are over items, for these very trainings. By seed: {'; '.join(told)}.")
    return (
        Task(
            f"{task.name}@{method}",
            suite,
            task.title,
            task.language,
            task.language,
            "write",
            items,
            metrics=(task.metric,),
            constant=chance(task, data.train, data.test),
            source=task.source,
            notes=tuple(notes),
        ),
        answers,
    )


def _short(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.3f}"

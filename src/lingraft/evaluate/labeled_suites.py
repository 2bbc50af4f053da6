"""Suites of labeled tasks, fine-tuned on and answered by several models: as other tasks and their answers look."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lingraft.core.errors import InputError
from lingraft.core.progress import SILENT, Progress
from lingraft.core.registry import did_you_mean

from . import metrics
from .finetune import Finetuning, measure
from .label_scores import chance, counts, score
from .labeled import LabeledTask, Splits, read
from .labeled_tasks import SUITES
from .suites.loading import Missing
from .task import Answer, Item, Task


def ask(
    models: Mapping[str, Path],
    suite: str,
    data: Path | None,
    folder: Path,
    settings: Sequence[Finetuning],
    *,
    seeds: Sequence[int],
    train_items: int | None = None,
    dev_items: int | None = None,
    test_items: int | None = None,
    trust_remote_code: bool = False,
    progress: Progress = SILENT,
) -> tuple[list[Task], dict[str, dict[str, list[Answer]]], dict[str, float | None], list[Missing]]:
    """Every task of the suite in every way of fine-tuning: tasks, answers by task and model, chance by task, what is
    missing.

    `data` holds the files of one task, or a folder for each (None is the hub). `folder` keeps what is finished. A task
    without data, and a model that cannot have a head, are missing, with the reason; the rest goes on. Chance is what
    the best answer that never changes is worth.
    """
    if suite not in SUITES:
        raise InputError(f'no suite of labeled tasks is called "{suite}".', remedy=did_you_mean(suite, SUITES))
    tasks, answers, by_chance, missing = [], {}, {}, []
    for task in SUITES[suite]:
        try:
            splits = read(task, data).at_most(train=train_items, dev=dev_items, test=test_items)
        except InputError as error:
            missing.append(Missing(suite, str(error), task.name))
            continue
        for how in settings:
            results = []
            for name, path in models.items():
                try:
                    results += measure(
                        {name: path},
                        task,
                        splits,
                        folder,
                        [how],
                        seeds=seeds,
                        trust_remote_code=trust_remote_code,
                        progress=progress,
                    )
                except InputError as error:
                    missing.append(Missing(suite, str(error), f"{task.name}@{how.method}", name))
            if results:
                made, by_model = asked(task, splits, results, suite=suite)
                tasks.append(made)
                answers[made.name] = by_model
                by_chance[made.name] = chance(task, splits.train, splits.test)
    return tasks, answers, by_chance, missing


def asked(
    task: LabeledTask, data: Splits, results: Sequence[Mapping[str, Any]], *, suite: str
) -> tuple[Task, dict[str, list[Answer]]]:
    """Results of `finetune.measure` as `compare.table` takes them: those of one method, all models with the same seeds.

    Every seed answers every item; an item's answers are resampled as one.
    """
    models = dict.fromkeys(result["model"] for result in results)
    results = sorted(results, key=lambda result: result["seed"])
    method = results[0]["method"]
    seeds = sorted({result["seed"] for result in results})
    label = task.classes.__getitem__ if task.classes else "{:g}".format
    items = tuple(
        Item(item.id, " ".join(item.texts), (label(item.gold),), group=item.id) for _ in seeds for item in data.test
    )
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
    answers: dict[str, list[Answer]] = {model: [] for model in models}
    for result in results:
        given = dict(zip(result["items"], result["answers"], strict=True))
        ordered = [given[item.id] for item in data.test]
        counted = counts(task, golds, ordered)
        answers[result["model"]] += (
            Answer(item.id, label(answer), {task.metric: of_item})
            for item, answer, of_item in zip(data.test, ordered, counted, strict=True)
        )
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
            source=task.source,
            notes=tuple(notes),
        ),
        answers,
    )


def _short(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.3f}"

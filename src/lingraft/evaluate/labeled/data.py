"""Labeled data from local files: the texts of an item, and a class or a score that a person gave it."""

import csv
import hashlib
import io
import json
import math
import random
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import datasets
import pyarrow as pa
import pyarrow.parquet as pq

from lingraft.core.errors import InputError
from lingraft.core.progress import SILENT
from lingraft.core.registry import did_you_mean
from lingraft.corpus.records import open_file
from lingraft.evaluate.suites.source import NoDataError

Rows = Sequence[tuple[str, Mapping[str, Any]]]
"""Records, each with where it stands."""

WORDS = {
    "train": ("train",),
    "dev": ("dev", "validation", "valid", "val", "trial"),
    "test": ("test", "test_annotated", "test_features"),
}
"""What files of a split are called."""
DEV_ONE_IN = 10
"""Of the training items, those that are dev where a task has none to spare."""


@dataclass(frozen=True)
class LabeledTask:
    """What is asked of an item, and how answers are scored."""

    name: str
    title: str
    language: str
    fields: tuple[str, ...]
    """Columns that are read, in this order."""
    label: str
    """The column that holds what is to be predicted."""
    metric: str
    """Of `lingraft.evaluate.metrics.METRICS`; `positive_f1` is of the last class."""
    source: str
    classes: tuple[str, ...] = ()
    scale: tuple[float, float] | None = None
    """Of a task that asks for a number: the least and the greatest there can be."""
    id: str | None = None
    folders: tuple[str, ...] = ()
    """What a folder with this task alone can be called, in one with several."""
    prefixes: tuple[str, ...] = ()
    """What may stand before the name of a split in the name of a file."""
    quoted: bool = False
    """Whether fields of .tsv and .txt files can stand in quotes; those of .csv always can."""
    hub: str | None = None


@dataclass(frozen=True)
class LabeledItem:
    """One thing to judge."""

    id: str
    texts: tuple[str, ...]
    gold: float
    """The number of the class, or the score."""

    @property
    def content(self) -> tuple[str, ...]:
        """The texts without what does not count: case and white space."""
        return tuple(" ".join(text.split()).casefold() for text in self.texts)


@dataclass(frozen=True)
class Splits:
    """What is learned from, what the best epoch is chosen by, what is scored."""

    train: Sequence[LabeledItem]
    dev: Sequence[LabeledItem]
    test: Sequence[LabeledItem]
    dev_from: str = "dev"
    test_from: str = "test"
    left_out: Mapping[str, int] | None = None
    """Items of train and dev that stand in test too (of train: in dev as well), by split."""

    def at_most(self, *, train: int | None = None, dev: int | None = None, test: int | None = None) -> "Splits":
        """The same with fewer items, drawn at random, always the same ones."""
        return replace(self, train=_some(self.train, train), dev=_some(self.dev, dev), test=_some(self.test, test))

    def figures(self) -> dict[str, Any]:
        """Sizes, and where dev and test come from."""
        return {
            **{split: len(getattr(self, split)) for split in WORDS},
            "dev_from": self.dev_from,
            "test_from": self.test_from,
            "left_out": dict(self.left_out or {}),
        }


def read(task: LabeledTask, folder: Path | None) -> Splits:
    """The splits of a task from files in `folder`, or in one of the task's own below it; None is the hub.

    A file is named for its split (`train.tsv`, `CDS_trial.txt`, `HuRTE.dev.json`, `test-00000-of-00001.parquet`; plain,
    .gz or .zst). Where test has no labels, dev is test. Where there is no dev to spare, one in ten of the training
    items is dev, all those together that have the same first text. Items that stand in test are taken out of train and
    dev, and those of dev out of train. Raises NoDataError where there are no labeled items, and InputError for a file
    or a label that is not as it should be.
    """
    rows = _from_hub(task) if folder is None else _from_files(task, folder)
    found = {split: _items(task, rows[split]) for split in WORDS}
    train, dev, test = found["train"], found["dev"], found["test"]
    where = task.hub if folder is None else folder
    if not train:
        raise NoDataError(
            f"there is no train split of {task.name} that has labels.",
            where=where,
            remedy=f"Files are looked for by name, such as {task.prefixes[0] if task.prefixes else ''}train.tsv.",
        )
    test_from, dev_from = "test", "dev"
    if not test:
        test, test_from, dev = dev, "dev", None
    if not test:
        raise NoDataError(
            f"{task.name} has neither a test nor a dev split with labels.",
            where=where,
            remedy="Put a file beside train whose items have labels, such as dev.tsv.",
        )
    if not dev:
        dev_from = f"one in {DEV_ONE_IN} of train"
        dev = [item for item in train if _is_dev(item)]
        train = [item for item in train if not _is_dev(item)]
    tested = {item.content for item in test}
    clean_dev = [item for item in dev if item.content not in tested]
    known = tested | {item.content for item in clean_dev}
    clean_train = [item for item in train if item.content not in known]
    if not clean_train or not clean_dev:
        raise InputError(
            f"{task.name} has no {'dev' if clean_train else 'train'} items left that are not tested.",
            where=where,
            remedy="The splits have to hold different items.",
        )
    left_out = {"train": len(train) - len(clean_train), "dev": len(dev) - len(clean_dev)}
    return Splits(clean_train, clean_dev, test, dev_from, test_from, left_out)


def _from_hub(task: LabeledTask) -> dict[str, Rows]:
    if task.hub is None:
        raise NoDataError(f"{task.name} is on no hub.", remedy=f"Give the folder of its files: {task.source}.")
    try:
        found = datasets.load_dataset(task.hub)
    except (OSError, ValueError, RuntimeError, datasets.exceptions.DatasetsError) as error:
        raise NoDataError(
            f"the data set cannot be had: {error}",
            where=task.hub,
            remedy="Check the network and HF_HUB_OFFLINE, or give the folder of its files.",
        ) from error
    names = {split: next((word for word in words if word in found), None) for split, words in WORDS.items()}
    return {
        split: [(f"{task.hub}, {name}, row {number}", row) for number, row in enumerate(found[name], start=1)]
        if name
        else []
        for split, name in names.items()
    }


def _from_files(task: LabeledTask, folder: Path) -> dict[str, Rows]:
    if not folder.is_dir():
        raise NoDataError("there is no such folder.", where=folder, remedy=f"It should hold the files of {task.name}.")
    folder = next((folder / name for name in task.folders if (folder / name).is_dir()), folder)
    return {
        split: [(f"{path}:{line}", row) for path in _files(task, folder, split) for line, row in _records(path, task)]
        for split in WORDS
    }


def _items(task: LabeledTask, rows: Rows) -> list[LabeledItem]:
    """The items of one split; none where none has a label."""
    for where, row in rows:
        for field in task.fields:
            if field not in row:
                raise InputError(
                    f'there is no "{field}"; there are: {", ".join(map(str, row))}.',
                    where=where,
                    remedy=f"{task.name} reads {', '.join(task.fields)} and {task.label}.",
                )
    labels = [_text(row.get(task.label)) for _, row in rows]
    hidden = [not label or (label == "-1" and "-1" not in task.classes) for label in labels]
    if all(hidden):
        return []
    if any(hidden):
        raise InputError(
            f"an item has no {task.label}, others have.",
            where=rows[hidden.index(True)][0],
            remedy="Label it or take it out.",
        )
    items: dict[str, LabeledItem] = {}
    for number, ((where, row), label) in enumerate(zip(rows, labels, strict=True), start=1):
        own = _text(row.get(task.id)) or str(number)
        if own in items:
            raise InputError(f'two items have the {task.id} "{own}".', where=where, remedy="Give each one of its own.")
        items[own] = LabeledItem(own, tuple(_text(row.get(field)) for field in task.fields), _gold(task, label, where))
    return list(items.values())


def _gold(task: LabeledTask, label: str, where: str) -> float:
    if task.scale is None:
        if label not in task.classes:
            raise InputError(
                f'"{label}" is no {task.label} of {task.name}.', where=where, remedy=did_you_mean(label, task.classes)
            )
        return task.classes.index(label)
    low, high = task.scale
    try:
        score = float(label)
    except ValueError:
        score = math.nan
    if not low <= score <= high:
        raise InputError(
            f'"{label}" is no {task.label} of {task.name}.',
            where=where,
            remedy=f"It is a number from {low:g} to {high:g}.",
        )
    return score


def _text(value: object) -> str:
    """As it would be written: a whole number without a point."""
    if value is None:
        return ""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value).strip()


def _files(task: LabeledTask, folder: Path, split: str) -> list[Path]:
    """The file of a split, or the numbered parts of one."""
    before, words = "|".join(map(re.escape, task.prefixes)), "|".join(WORDS[split])
    name = re.compile(rf"({before})?({words})(-\d+-of-\d+)?\.(tsv|txt|csv|jsonl|json|parquet)(\.gz|\.zst)?")
    found = [(name.fullmatch(path.name), path) for path in sorted([*folder.glob("*"), *folder.glob("data/*")])]
    found = [(match, path) for match, path in found if match]
    if len(found) > 1 and not all(match[3] for match, _ in found):
        raise InputError(
            f"several files could be {split} of {task.name}: {', '.join(path.name for _, path in found)}.",
            where=folder,
            remedy="Leave one of them there.",
        )
    return [path for _, path in found]


def _records(path: Path, task: LabeledTask) -> list[tuple[int, Mapping[str, Any]]]:
    """Every record with its line, or its number where the format has no lines."""
    form = next(part for part in path.name.split(".")[::-1] if part not in ("gz", "zst"))
    try:
        if form == "parquet":
            return list(enumerate(pq.read_table(path).to_pylist(), start=1))
        with open_file(path, SILENT) as stream:
            text = stream.read().decode("utf-8-sig")
        found = list(PARSERS[form](text, task))
        if not all(isinstance(row, dict) for _, row in found):
            raise ValueError("a record is no JSON object")
        return found
    except (OSError, ValueError, csv.Error, pa.ArrowException) as error:
        told = f"the file cannot be read: {error}"
        raise InputError(told, where=path, remedy="Get it anew from its source.") from error


def _parse_jsonl(text: str, task: LabeledTask) -> Iterable[tuple[int, Mapping[str, Any]]]:
    return [(number, json.loads(line)) for number, line in enumerate(text.split("\n"), start=1) if line.strip()]


def _parse_json(text: str, task: LabeledTask) -> Iterable[tuple[int, Mapping[str, Any]]]:
    rows = json.loads(text)
    if not isinstance(rows, list):
        raise ValueError("it is no JSON list of items")
    return enumerate(rows, start=1)


def _parse_csv(text: str, task: LabeledTask) -> Iterable[tuple[int, Mapping[str, Any]]]:
    return _table(csv.reader(io.StringIO(text, newline=""), strict=True))


def _parse_tsv(text: str, task: LabeledTask) -> Iterable[tuple[int, Mapping[str, Any]]]:
    quoting = csv.QUOTE_MINIMAL if task.quoted else csv.QUOTE_NONE
    return _table(csv.reader(io.StringIO(text, newline=""), delimiter="\t", quoting=quoting))


def _table(rows: Any) -> Iterable[tuple[int, Mapping[str, Any]]]:
    """Rows under a header; `rows` is a reader of the csv module."""
    names = next(rows, [])
    for row in rows:
        if row and len(row) != len(names):
            raise ValueError(f"line {rows.line_num} has {len(row)} fields under {len(names)} columns")
        if row:
            yield rows.line_num, dict(zip(names, row, strict=True))


PARSERS = {"jsonl": _parse_jsonl, "json": _parse_json, "csv": _parse_csv, "tsv": _parse_tsv, "txt": _parse_tsv}


def _is_dev(item: LabeledItem) -> bool:
    digest = hashlib.sha256(item.content[0].encode()).digest()
    return int.from_bytes(digest[:8]) % DEV_ONE_IN == 0


def _some(items: Sequence[LabeledItem], at_most: int | None) -> Sequence[LabeledItem]:
    if at_most is None or at_most >= len(items):
        return items
    return random.Random(0).sample(list(items), at_most)

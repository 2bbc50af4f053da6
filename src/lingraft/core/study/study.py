"""A study: a recipe, axes to vary and what to measure, read from YAML with every mistake named at once."""

import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from lingraft.core import yaml_source
from lingraft.core.errors import RecipeError
from lingraft.core.recipe import Recipe, validate
from lingraft.core.recipe import load as load_recipe
from lingraft.core.registry import did_you_mean
from lingraft.core.shipped import find
from lingraft.core.stage import Stage
from lingraft.core.yaml_source import Override, Source

from .measure import Measure

SEED = "seed"


class Paper(BaseModel):
    """What a paper says of the question."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    says: str
    source: str


class Compare(BaseModel):
    """What the other rows are held against."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    against: dict[str, Any] = Field(min_length=1)


class _Head(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    question: str
    recipe: Annotated[str, Field(description="Its path, from the folder of the study, or its shipped name.")]
    set: Annotated[dict[str, Any], Field(description="Settings of every cell: {pretrain.lr: 1.0e-4}.")] = {}
    axes: Annotated[dict[str, Any], Field(min_length=1)]
    seeds: Annotated[list[int], Field(min_length=1)] = [1, 2, 3]
    measure: Annotated[dict[str, Measure], Field(min_length=1)]
    skip: list[dict[str, Any]] = []
    compare: Compare | None = None
    papers: list[Paper] = []
    answer: Annotated[str, Field(description="To the question, in a line, once there are results.")] = ""
    saw: Annotated[str, Field(description="What came out, written by hand once there are results.")] = ""
    cannot_say: str = ""


@dataclass(frozen=True)
class Cell:
    """One value of every axis, and a seed."""

    labels: Mapping[str, str]
    seed: int
    run: str
    """The name of its run."""
    recipe: Recipe


@dataclass(frozen=True)
class Study:
    """A question, and the cells whose figures answer it."""

    name: str
    path: Path
    recipe: Path
    question: str
    axes: Mapping[str, Sequence[str]]
    """The labels of every axis."""
    seeds: Sequence[int]
    measures: Mapping[str, Measure]
    against: Mapping[str, str]
    """Axis -> label of the rows that the others are held against; empty when there are none."""
    papers: Sequence[Paper]
    answer: str
    saw: str
    cannot_say: str
    cells: Sequence[Cell]
    """By seed, then by axis: a study that is stopped has whole tables of the seeds that are done."""

    def rows(self) -> list[Mapping[str, str]]:
        """The labels of every row of the table: all cells but for their seeds."""
        there = {tuple(cell.labels.values()) for cell in self.cells}
        rows = (row for row in itertools.product(*self.axes.values()) if row in there)
        return [dict(zip(self.axes, row, strict=True)) for row in rows]


@dataclass
class _Axes:
    """The axes as they are written: the overrides of every label, and those of every cell."""

    source: Source
    of_all: list[Override]
    overrides: dict[str, dict[str, list[Override]]] = field(default_factory=dict)

    def read(self, name: str, values: Any) -> None:
        key = f"axes.{name}"
        labels = self.overrides.setdefault(name, {})
        if name == SEED:
            self.source.mistake(key, "seeds are an axis of their own: write seeds: [1, 2, 3].")
        if not values or not isinstance(values, dict | list):
            self.source.mistake(
                key, f"an axis is a list of values, or {{label: {{dotted.key: value}}}} (got {values!r})."
            )
        elif isinstance(values, dict):
            for label, settings in values.items():
                if not isinstance(settings, dict):
                    self.source.mistake(
                        f"{key}.{label}", f"a label stands for settings, {{dotted.key: value}} (got {settings!r})."
                    )
                    continue
                places = {dotted: self.source.place(f"{key}.{label}.{dotted}") for dotted in settings}
                labels[label] = [Override(dotted, value, places[dotted]) for dotted, value in settings.items()]
        else:
            self._read_list(key, name, values)

    def _read_list(self, key: str, name: str, values: list[Any]) -> None:
        labels = self.overrides[name]
        for place, value in enumerate(values):
            if isinstance(value, list | dict):
                self.source.mistake(f"{key}.{place}", "a value of several parts needs a label: label: {key: value}.")
            elif label_of(value) in labels:
                self.source.mistake(f"{key}.{place}", f"{label_of(value)} stands here twice.")
            else:
                labels[label_of(value)] = [Override(name, value, self.source.place(f"{key}.{place}"))]

    def check(self) -> None:
        """No key is set twice, and labels can be told apart in the names of runs."""
        setters = [("seeds", Override(SEED, 0, ""))]
        for where, key, overrides in self._setters():
            for override in overrides:
                if other := next((setter for setter, one in setters if _overlap(one, override)), None):
                    self.source.mistake(key, f"{override.key} is set by {other} too.")
            setters += [(where, override) for override in overrides]
        for name, labels in self.overrides.items():
            short: dict[str, str] = {}
            for label in labels:
                if short.setdefault(_short(label), label) != label:
                    self.source.mistake(
                        f"axes.{name}.{label}",
                        f'"{label}" and "{short[_short(label)]}" are too much alike: letters and digits are the same.',
                    )

    def _setters(self) -> Iterator[tuple[str, str, list[Override]]]:
        """What sets keys: its name, where that is written, and the overrides."""
        yield "set", "set", self.of_all
        for name, labels in self.overrides.items():
            yield f"the axis {name}", f"axes.{name}", [override for given in labels.values() for override in given]

    def labels(self, key: str, chosen: Mapping[str, Any], seeds: Sequence[int] = ()) -> dict[str, str]:
        """Some of the axes with a label each, as `skip` and `compare` name them."""
        found = {}
        known = {axis: list(labels) for axis, labels in self.overrides.items()}
        if seeds:
            known[SEED] = [str(seed) for seed in seeds]
        for axis, value in chosen.items():
            if axis not in known:
                self.source.mistake(f"{key}.{axis}", f'there is no axis "{axis}". {did_you_mean(axis, known)}')
            elif label_of(value) not in known[axis]:
                hint = did_you_mean(label_of(value), known[axis])
                self.source.mistake(f"{key}.{axis}", f'the axis has no "{label_of(value)}". {hint}')
            found[axis] = label_of(value)
        return found


def load(path: Path, table: Mapping[str, Stage]) -> Study:
    """Read a study against the table of stages; every cell's recipe is read as well.

    Raises RecipeError that lists every mistake as `file:line: dotted.key: what is wrong`.
    """
    source = yaml_source.read(path, "study")
    values = dict(source.data)
    if isinstance(values.get("measure"), dict):
        values["measure"] = {k: {"figure": v} if isinstance(v, str) else v for k, v in values["measure"].items()}
    head: _Head | None = validate(source, "", _Head, values)
    if head is None:
        raise RecipeError("\n".join(source.mistakes))
    axes = _Axes(source, [Override(key, value, source.place(f"set.{key}")) for key, value in head.set.items()])
    for name, written in head.axes.items():
        axes.read(name, written)
    axes.check()
    if len(set(head.seeds)) < len(head.seeds):
        source.mistake("seeds", "a seed stands here twice.")
    skipped = [axes.labels(f"skip.{place}", chosen, head.seeds) for place, chosen in enumerate(head.skip)]
    against = axes.labels("compare.against", head.compare.against) if head.compare else {}
    recipe = _recipe(source, head.recipe)
    cells: list[Cell] = []
    if not source.mistakes:
        cells = list(_cells(source, path.stem, recipe, table, axes, head.seeds, skipped))
    if not source.mistakes:
        _check_cells(source, cells, head, against)
    if source.mistakes:
        raise RecipeError("\n".join(dict.fromkeys(source.mistakes)))
    return Study(
        path.stem,
        path,
        recipe,
        head.question.strip(),
        {name: list(labels) for name, labels in axes.overrides.items()},
        head.seeds,
        head.measure,
        against,
        head.papers,
        head.answer.strip(),
        head.saw.strip(),
        head.cannot_say.strip(),
        cells,
    )


def slug(label: str) -> str:
    """The name of a measure as that of a file."""
    return re.sub(r"\W+", "-", label.lower()).strip("-")


def label_of(value: Any) -> str:
    """A value as the label that it has in tables: 0.25, true, subwords."""
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    return f"{value:g}" if isinstance(value, float) else str(value)


def chosen(study: Study, selection: Sequence[str]) -> list[Cell]:
    """The cells that are meant by `axis=label` (or `seed=2`): of several of one axis, any; of several axes, all.

    Raises RecipeError for an axis or label that the study does not have.
    """
    known = {**study.axes, SEED: [str(seed) for seed in study.seeds]}
    wanted: dict[str, list[str]] = {}
    for text in selection:
        axis, equals, label = text.partition("=")
        if not equals:
            raise RecipeError(f'"{text}" is not of the form axis=label.', where="--cells")
        for name, names, what in ((axis, known, "axis"), (label, known.get(axis, [label]), f"value of {axis}")):
            if name not in names:
                raise RecipeError(f'there is no {what} "{name}".', where="--cells", remedy=did_you_mean(name, names))
        wanted.setdefault(axis, []).append(label)
    cells = [cell for cell in study.cells if _is_among(cell, wanted)]
    if not cells:
        raise RecipeError("the study has no such cell: it skips them.", where="--cells")
    return cells


def _is_among(cell: Cell, wanted: Mapping[str, Sequence[str]]) -> bool:
    labels = {**cell.labels, SEED: str(cell.seed)}
    return all(labels[axis] in names for axis, names in wanted.items())


def _recipe(source: Source, name: str) -> Path:
    beside = source.path.parent / name
    try:
        return beside if beside.suffix in (".yaml", ".yml") else find(name)
    except RecipeError as error:
        source.mistake("recipe", f"{error.what} {error.remedy}")
        return beside


def _cells(
    source: Source,
    name: str,
    recipe: Path,
    table: Mapping[str, Stage],
    axes: _Axes,
    seeds: Sequence[int],
    skipped: Sequence[Mapping[str, str]],
) -> Iterator[Cell]:
    for seed, labels in itertools.product(seeds, itertools.product(*axes.overrides.values())):
        named = dict(zip(axes.overrides, labels, strict=True))
        here = {**named, SEED: str(seed)}
        if any(all(here.get(axis) == label for axis, label in combination.items()) for combination in skipped):
            continue
        varied = [override for axis, label in named.items() for override in axes.overrides[axis][label]]
        overrides = [*axes.of_all, *varied, Override(SEED, seed, source.place("seeds"))]
        run = ".".join([name, *(_short(label) for label in labels), str(seed)])
        try:
            yield Cell(named, seed, run, load_recipe(recipe, table, overrides))
        except RecipeError as error:
            source.mistakes += str(error).splitlines()


def _check_cells(source: Source, cells: Sequence[Cell], head: _Head, against: Mapping[str, str]) -> None:
    if not cells:
        source.mistake("skip", "every cell is skipped.")
        return
    steps = dict.fromkeys(step for cell in cells for step in cell.recipe.stages)
    for label, measure in head.measure.items():
        if measure.step not in steps:
            hint = did_you_mean(measure.step, steps)
            source.mistake(f"measure.{label}", f'no cell has a step "{measure.step}". {hint}')
    slugs: dict[str, str] = {}
    for label in head.measure:
        if slugs.setdefault(slug(label), label) != label or not slug(label):
            source.mistake(
                f"measure.{label}",
                "its name has no letters or digits, or the same as another measure's: call it otherwise.",
            )
    if not any(against.items() <= cell.labels.items() for cell in cells):
        source.mistake("compare.against", "there is no such cell: it is skipped.")


def _overlap(one: Override, other: Override) -> bool:
    """Whether two keys are the same, or one is a part of the other's value; a stage may be left out (null) in spite."""
    both = [(override.key.removeprefix("stages."), override.value) for override in (one, other)]
    (shorter, value), (longer, _) = sorted(both, key=lambda key_and_value: len(key_and_value[0]))
    return longer == shorter or (longer.startswith(f"{shorter}.") and value is not None)


def _short(label: str) -> str:
    """A label as a part of a file's name."""
    return re.sub(r"[^\w-]+", "_", label).strip("_")

"""What the artifacts of a study say, as plain JSON: the one source of its tables, figures and page."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lingraft.core.artifact import Store
from lingraft.core.errors import RecipeError
from lingraft.core.stage import Input
from lingraft.core.study.measure import Absent, Measure, read, read_curve
from lingraft.core.study.plan import Planned
from lingraft.core.study.run import Failure
from lingraft.core.study.study import Study

from .statistics import over_seeds, paired

Between = Callable[[Mapping[str, Input], Mapping[str, Input], Measure], tuple[float, float, float] | None]
"""The difference of two cells' figures on the same items, with its interval; None where items are not kept.

A cell is the artifacts of its steps, by name.
"""

COSTS = ("bytes", "tokens", "flops")
"""What every training says that it took."""


@dataclass(frozen=True)
class _Cell:
    planned: Planned
    artifacts: Mapping[str, Input]
    """Of its finished steps."""
    why: str

    @property
    def seed(self) -> str:
        return str(self.planned.cell.seed)


def collect(
    study: Study,
    planned: Sequence[Planned],
    store: Store,
    failures: Mapping[str, Failure],
    between: Between | None = None,
) -> dict[str, Any]:
    """The figures of all cells, with means and intervals over seeds and differences paired by seed.

    Raises RecipeError for a measure that is in no cell, once the step of every cell that could have it is finished.
    """
    cells = [_read(one, store, failures) for one in planned]
    by_row = [[cell for cell in cells if cell.planned.cell.labels == labels] for labels in study.rows()]
    found, unread = _figures(study, cells)
    absent = {
        label: next(iter(whys.values()))
        for label, whys in unread.items()
        if whys and not any(measure == label for measure, _ in found)
    }
    mistakes = {label: why for label, why in absent.items() if not _is_awaited(study.measures[label], cells)}
    if mistakes:
        raise RecipeError("\n".join(f"{study.path}: measure.{label}: {why}" for label, why in mistakes.items()))
    rows = [_row(study, labels, of_row, found) for labels, of_row in zip(study.rows(), by_row, strict=True)]
    for row, of_row in zip(rows, by_row, strict=True):
        _compare(study, row, of_row, rows, by_row, between)
    return {
        "study": study.name,
        "question": study.question,
        "axes": {axis: list(labels) for axis, labels in study.axes.items()},
        "seeds": list(study.seeds),
        "against": dict(study.against),
        "measures": {label: measure.model_dump() for label, measure in study.measures.items()},
        "rows": rows,
        "absent": absent,
        "unread": [
            {"measure": label, "run": run, "why": why}
            for label, whys in unread.items()
            if label not in absent
            for run, why in whys.items()
        ],
        "conditions": _conditions(cells),
    }


def _read(planned: Planned, store: Store, failures: Mapping[str, Failure]) -> _Cell:
    read = {step.name: store.read(step.stage.kind, step.fingerprint) for step in planned.steps}
    finished = {name: artifact for name, artifact in read.items() if artifact}
    failure = failures.get(planned.cell.run)
    why = ""
    if len(finished) < len(read):
        why = "have not run to their end" if finished else "have not run"
        why = f"failed at {failure.step}: {failure.why}" if failure else why
    return _Cell(planned, finished, why)


def _figures(study: Study, cells: Sequence[_Cell]) -> tuple[dict[tuple[str, str], Any], dict[str, dict[str, str]]]:
    """(measure, run) -> value or curve; and by measure and run why there is none, though its step is done."""
    found: dict[tuple[str, str], Any] = {}
    unread: dict[str, dict[str, str]] = {}
    for label, measure in study.measures.items():
        for cell in cells:
            if measure.step in cell.artifacts:
                figures, run = cell.artifacts[measure.step].figures, cell.planned.cell.run
                try:
                    value = read_curve(measure, figures) if measure.is_curve else vars(read(measure, figures))
                    found[label, run] = value
                except Absent as error:
                    unread.setdefault(label, {})[run] = str(error)
    return found, unread


def _is_awaited(measure: Measure, cells: Sequence[_Cell]) -> bool:
    """Whether a cell has its step still before it."""
    unfinished = ([step.name for step in cell.planned.steps if step.name not in cell.artifacts] for cell in cells)
    return any(measure.step in names for names in unfinished)


def _row(
    study: Study, labels: Mapping[str, str], cells: Sequence[_Cell], found: Mapping[tuple[str, str], Any]
) -> dict[str, Any]:
    figures, curves = {}, {}
    for label, measure in study.measures.items():
        values = {cell.seed: v for cell in cells if (v := found.get((label, cell.planned.cell.run))) is not None}
        if measure.is_curve:
            curves[label] = {"points": mean_curve(list(values.values())), "values": values}
        else:
            figures[label] = {**over_seeds([value["value"] for value in values.values()]), "values": values}
    return {
        "axes": dict(labels),
        "runs": {cell.seed: cell.planned.cell.run for cell in cells},
        "missing": {cell.seed: cell.why for cell in cells if cell.why},
        "figures": figures,
        "curves": curves,
        "costs": {cell.seed: _costs(cell) for cell in cells if cell.artifacts and not cell.why},
    }


def mean_curve(curves: Sequence[Sequence[tuple[float, float]]]) -> list[dict[str, Any]]:
    """The first points of all seeds together, the second, and so on as far as all of them go."""
    points = []
    for together in zip(*curves, strict=False):
        x = sum(at for at, _ in together) / len(together)
        points.append({"x": x, **over_seeds([value for _, value in together])})
    return points


def _compare(
    study: Study,
    row: dict[str, Any],
    cells: Sequence[_Cell],
    rows: Sequence[Mapping[str, Any]],
    by_row: Sequence[Sequence[_Cell]],
    between: Between | None,
) -> None:
    """Add to each figure its difference to the row with the labels of `against` in place of this one's."""
    reference = {**row["axes"], **study.against}
    place = next((n for n, other in enumerate(rows) if other["axes"] == reference), None)
    row["reference"] = bool(study.against) and reference == row["axes"]
    if not study.against or row["reference"] or place is None:
        return
    theirs = {cell.seed: cell for cell in by_row[place]}
    for label, figure in row["figures"].items():
        measure = study.measures[label]
        other = rows[place]["figures"][label]["values"]
        ours, against = ({seed: v["value"] for seed, v in each.items()} for each in (figure["values"], other))
        figure["against"] = paired(ours, against)
        if between and measure.items:
            on_items = {}
            both = [cell for cell in cells if cell.seed in ours and cell.seed in against]
            for cell in both:
                if gap := between(cell.artifacts, theirs[cell.seed].artifacts, measure):
                    on_items[cell.seed] = dict(zip(("value", "low", "high"), gap, strict=True))
            figure["against"]["on_items"] = on_items


def _costs(cell: _Cell) -> dict[str, float | None]:
    """Text, tokens and FLOPs of all trainings of a cell, time, energy and memory, and the seconds of all of its steps.

    `kwh` is None where a training did not count them.
    """
    trainings = [one for one in cell.artifacts.values() if all(key in one.figures for key in COSTS)]
    return {
        **{key: sum(one.figures[key] for one in trainings) for key in COSTS},
        "training_seconds": sum(one.manifest["seconds"] for one in trainings),
        "kwh": _kwh([one.figures.get("energy") for one in trainings]),
        "peak_memory_bytes": max((one.manifest["peak_memory_bytes"] for one in trainings), default=None),
        "seconds": sum(one.manifest["seconds"] for one in cell.artifacts.values()),
    }


def _kwh(counted: Sequence[Mapping[str, Any] | None]) -> float | None:
    return None if None in counted else sum(one["kwh"] for one in counted if one)


def _conditions(cells: Sequence[_Cell]) -> dict[str, Any]:
    """Bases, texts, machines and versions, as the artifacts say."""
    artifacts = {one.fingerprint: one for cell in cells for one in cell.artifacts.values()}
    recipes = [cell.planned.cell.recipe for cell in cells]

    def each(values: Any) -> list[Any]:
        kept: list[Any] = []
        for value in values:
            if value not in kept:
                kept.append(value)
        return kept

    streams = [one.figures["streams"] for one in artifacts.values() if one.kind == "corpus"]
    finished = sorted(one.manifest["finished"] for one in artifacts.values())
    return {
        "languages": each({"target": recipe.language, "replay": recipe.replay} for recipe in recipes),
        "bases": each(
            {"model": _without_folder(one.figures["model"]), "parameters": one.figures.get("parameters")}
            for one in artifacts.values()
            if one.kind == "base"
        ),
        "texts": each(
            {
                stream: {
                    part: {key: text[part][key] for key in ("documents", "bytes")} for part in ("train", "held_out")
                }
                for stream, text in found.items()
            }
            for found in streams
        ),
        "precisions": each(one.figures["precision"] for one in artifacts.values() if "precision" in one.figures),
        "machines": each(one.manifest["machine"] for one in artifacts.values()),
        "versions": each(one.manifest["versions"] for one in artifacts.values()),
        "finished": [finished[0], finished[-1]] if finished else [],
    }


def _without_folder(model: str) -> str:
    """The id of a model; of a folder its name alone, which is what another machine has of it."""
    return Path(model).name if Path(model).is_absolute() or model.startswith(("~", ".")) else model

"""From a recipe to its steps: inputs, fingerprint, state and forecast of each."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from . import machine, quiet  # noqa: F401
from .artifact import Store, fingerprint
from .devices import Target
from .errors import LingraftError, RecipeError, StoreError
from .outside import ContentHashes
from .recipe import Recipe, load
from .shipped import find
from .stage import Check, Forecast, Input, Settings, Stage, StageConfig

Room = Literal["disk", "memory"]
ROOMS: tuple[Room, ...] = ("disk", "memory")
"""What the steps of a run must fit into."""


@dataclass(frozen=True)
class Step:
    """One stage of one recipe, ready to be carried out."""

    name: str
    stage: Stage
    config: StageConfig
    settings: Settings
    inputs: Mapping[str, str]
    """Step name -> fingerprint of every step that this one reads."""
    outside: Mapping[str, str]
    fingerprint: str
    state: str
    """done, resume or new"""
    forecast: Forecast


def check(recipe: Recipe, table: Mapping[str, Stage], hashes: ContentHashes, target: Target | None = None) -> None:
    """Run every stage's own check; raises RecipeError that lists every mistake."""
    mistakes = []
    for name, config in recipe.stages.items():
        stage = table[config.kind]
        context = Check(config, recipe.settings(stage, config), recipe, hashes, target=target)
        try:
            stage.check(context)
        except LingraftError as error:
            mistakes.append(f"{name}: {error}")
    if mistakes:
        raise RecipeError("\n".join(mistakes))


def load_and_plan(
    name: str,
    table: Mapping[str, Stage],
    overrides: Sequence[str],
    store: Path,
    *,
    target: Target | None = None,
    measure: bool = False,
) -> tuple[Recipe, list[Step]]:
    """The recipe of a file, or the shipped one of this name, and its steps; see `plan`."""
    recipe = load(find(name), table, overrides)
    return recipe, plan(recipe, table, Store(store), target=target, measure=measure)


def plan(
    recipe: Recipe,
    table: Mapping[str, Stage],
    store: Store,
    *,
    target: Target | None = None,
    measure: bool = False,
    hashes: ContentHashes | None = None,
    must_fit: Collection[Room] = ROOMS,
) -> list[Step]:
    """Check the recipe and lay out its steps.

    With a `target`, trainings are forecast for those devices, and need not fit this machine. `measure` lets forecasts
    take some seconds to time things. `hashes` are those of another plan that reads the same files.
    Raises RecipeError for what a stage's check finds and where the memory is too small for the forecast, StoreError
    where the disk is, as far as the steps `must_fit` there.
    """
    hashes = hashes or ContentHashes(store.hashes)
    check(recipe, table, hashes, target)
    steps: dict[str, Step] = {}
    figures: dict[str, Mapping[str, Any]] = {}
    for name, config in recipe.stages.items():
        step, known = _step(name, config, recipe, table, store, hashes, steps, figures, target, measure)
        steps[name] = step
        figures[name] = known
    if target is None:
        if "disk" in must_fit:
            check_disk(steps.values(), store)
        if "memory" in must_fit:
            _check_memory(steps.values())
    return list(steps.values())


def _step(
    name: str,
    config: StageConfig,
    recipe: Recipe,
    table: Mapping[str, Stage],
    store: Store,
    hashes: ContentHashes,
    steps: Mapping[str, Step],
    figures: Mapping[str, Mapping[str, Any]],
    target: Target | None,
    measure: bool,
) -> tuple[Step, Mapping[str, Any]]:
    stage = table[config.kind]
    settings = recipe.settings(stage, config)
    inputs = {reference: steps[reference].fingerprint for reference in referenced(config)}
    known = {reference: figures[reference] for reference in inputs}
    context = Check(config, settings, recipe, hashes, known, target, measure)
    outside = stage.outside(context)
    mark = fingerprint(
        {
            "kind": stage.kind,
            "version": stage.version,
            "config": _identity(config, stage, outside),
            "settings": {key: getattr(settings, key) for key in stage.used(config)},
            "inputs": inputs,
        }
    )
    finished = store.find(stage.kind, mark)
    state = "done" if finished else "resume" if store.work_folder(stage.kind, mark).exists() else "new"
    forecast = stage.forecast(context)
    if finished and target is None:
        forecast = _measured(forecast, finished)
    known = finished.figures if finished else forecast.figures
    return Step(name, stage, config, settings, inputs, outside, mark, state, forecast), known


def referenced(config: StageConfig) -> list[str]:
    """The names of the steps that a config refers to, each once, in order."""
    names: list[str] = []
    for field in config.references():
        value = getattr(config, field)
        names += value if isinstance(value, list) else [value] if value is not None else []
    return list(dict.fromkeys(names))


def _identity(config: StageConfig, stage: Stage, outside: Mapping[str, str]) -> dict[str, Any]:
    """The config without what has no effect, outside places replaced by what stands there."""
    identity = config.model_dump(mode="json", exclude=set(stage.no_effect))
    for dotted, content in outside.items():
        *path, last = dotted.split(".")
        place: Any = identity
        for key in path:
            place = place[_key(place, key)]
        place[_key(place, last)] = content
    return identity


def _key(place: Any, key: str) -> str | int:
    return int(key) if isinstance(place, list) else key


def _measured(forecast: Forecast, finished: Input) -> Forecast:
    """The forecast with what the finished step really took."""
    figures = finished.figures
    return replace(
        forecast,
        tokens=figures.get("tokens"),
        flops=figures.get("flops"),
        memory_bytes=finished.manifest.get("peak_memory_bytes"),
        disk_bytes=sum(file["bytes"] for file in finished.manifest["files"]),
        seconds=finished.manifest["seconds"],
        figures=figures,
    )


def check_disk(steps: Iterable[Step], store: Store) -> None:
    """Raise StoreError where the store's disk is too small for what is not done yet."""
    needed = sum(step.forecast.disk_bytes or 0 for step in steps if step.state != "done")
    free = store.free_bytes()
    if needed > free:
        raise StoreError(
            f"the run needs about {needed / 1e9:.1f} GB of disk and {free / 1e9:.1f} GB are free.",
            where=store.root,
            remedy="Free space, or give a --store on a larger disk.",
        )


def _check_memory(steps: Iterable[Step]) -> None:
    here = machine.describe()
    for step in steps:
        if step.state == "done":
            continue
        if (training := step.forecast.training) is not None:
            needed, there, what = training.device_bytes, training.device_memory_bytes, training.device
        elif here["gpu"]:
            continue  # the forecasts of other steps are those of a processor's memory
        else:
            needed, there, what = step.forecast.memory_bytes or 0, here["memory_bytes"], "this machine"
        if needed > there:
            raise RecipeError(
                f"the step needs about {needed / 1e9:.0f} GB of memory, {what} has {there / 1e9:.0f} GB.",
                where=step.name,
                remedy=_would_fit(step),
            )


def _would_fit(step: Step) -> str:
    training = step.forecast.training
    if training is None:
        return "Take a smaller base or a larger machine."
    if not training.alternatives:
        return "Nothing that was tried fits: take a smaller base or a larger machine."
    return "\n  ".join([f"It would fit with one of these in {step.name}:", *training.alternatives])

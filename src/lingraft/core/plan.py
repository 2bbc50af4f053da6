"""From a recipe to its steps: inputs, fingerprint, state and forecast of each."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from . import machine
from .artifact import Store, fingerprint
from .errors import LingraftError, RecipeError, StoreError
from .outside import ContentHashes
from .recipe import Recipe
from .stage import Check, Forecast, Input, Settings, Stage, StageConfig


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


def check(recipe: Recipe, table: Mapping[str, Stage], hashes: ContentHashes) -> None:
    """Run every stage's own check; raises RecipeError that lists every mistake."""
    mistakes = []
    for name, config in recipe.stages.items():
        stage = table[config.kind]
        context = Check(config, recipe.settings(stage, config), recipe, hashes)
        try:
            stage.check(context)
        except LingraftError as error:
            mistakes.append(f"{name}: {error}")
    if mistakes:
        raise RecipeError("\n".join(mistakes))


def plan(recipe: Recipe, table: Mapping[str, Stage], store: Store) -> list[Step]:
    """Check the recipe and lay out its steps.

    Raises RecipeError for what a stage's check finds, StoreError when the disk is too small for the forecast.
    """
    hashes = ContentHashes(store.root / "hashes.json")
    check(recipe, table, hashes)
    steps: dict[str, Step] = {}
    figures: dict[str, Mapping[str, Any]] = {}
    for name, config in recipe.stages.items():
        step, known = _step(name, config, recipe, table, store, hashes, steps, figures)
        steps[name] = step
        figures[name] = known
    _check_disk(steps.values(), store)
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
) -> tuple[Step, Mapping[str, Any]]:
    stage = table[config.kind]
    settings = recipe.settings(stage, config)
    inputs = {reference: steps[reference].fingerprint for reference in referenced(config)}
    context = Check(config, settings, recipe, hashes, {reference: figures[reference] for reference in inputs})
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
    if finished:
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
            place = place[int(key)] if isinstance(place, list) else place[key]
        place[last] = content
    return identity


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


def _check_disk(steps: Iterable[Step], store: Store) -> None:
    needed = sum(step.forecast.disk_bytes or 0 for step in steps if step.state != "done")
    free = store.free_bytes()
    if needed > free:
        raise StoreError(
            f"the run needs about {needed / 1e9:.1f} GB of disk and {free / 1e9:.1f} GB are free.",
            where=store.root,
            remedy="Free space, or give a --store on a larger disk.",
        )


def _check_memory(steps: Iterable[Step]) -> None:
    described = machine.describe()
    if described["gpu"]:
        return  # the forecast is one of a processor's memory
    for step in steps:
        needed = step.forecast.memory_bytes or 0
        if step.state != "done" and needed > described["memory_bytes"]:
            raise RecipeError(
                f"the step needs about {needed / 1e9:.0f} GB of memory, this machine has "
                f"{described['memory_bytes'] / 1e9:.0f} GB.",
                where=step.name,
                remedy="Hold fewer sequences at once (micro_batch_sequences), take a smaller base or a larger machine.",
            )

"""analyze: what changed inside the models, and what it cost."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from lingraft.core.errors import RecipeError
from lingraft.core.outside import identity
from lingraft.core.registry import check_options, paths_resolved, resolve
from lingraft.core.stage import Check, Forecast, Job, Needs, Stage, StageConfig

from .streams import held_out_bytes

WITHOUT_TEXT = ("efficiency", "fertility")
"""Analyses in which no model reads held-out text."""


class Analysis(BaseModel):
    """An analysis and its options. A name alone takes the defaults."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    analysis: str = Field(description="Its name; see docs/analysis.md.")
    options: dict[str, Any] = Field({}, description="The analysis' own.")


class Analyze(StageConfig):
    """Which models, and what is looked at."""

    kind: Literal["analyze"] = "analyze"
    models: Annotated[list[str] | None, Needs("model")] = Field(None, description="The first is the one compared with.")
    corpus: Annotated[str | None, Needs("text")] = None
    trainings: Annotated[list[str] | None, Needs("training", optional=True)] = Field(
        None, description="Whose costs are compared."
    )
    analyses: list[str | Analysis] = Field(
        ["forgetting", "efficiency"], min_length=1, description="Names, or {analysis: name, options: {...}}."
    )
    documents: int | None = Field(
        None, ge=2, description="Held-out documents of each stream, evenly spread; all by default."
    )
    context_tokens: int | None = Field(
        None, ge=16, description="Tokens read at once; by default what all models have positions for."
    )


def check(context: Check) -> None:
    """Every analysis is there and takes its options; one stands once."""
    names = [entry.analysis for entry in _wanted(context.config)]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise RecipeError(f"{twice} is named twice.", where="analyses")
    for place, entry in enumerate(_wanted(context.config)):
        function, options = _resolved(entry, context.recipe.folder)
        check_options(function, options, f"analyses[{place}].options")


def outside(context: Check) -> dict[str, str]:
    """The content of files that options name."""
    found = {}
    for place, entry in enumerate(_wanted(context.config)):
        for name, value in _resolved(entry, context.recipe.folder)[1].items():
            if isinstance(value, Path):
                found[f"analyses.{place}.options.{name}"] = identity(value, context.content_hash)
    return found


def forecast(context: Check) -> Forecast:
    """Held-out text is read some times by every model."""
    models = [context.figures[name] for name in context.config.models]
    reads = any(entry.analysis not in WITHOUT_TEXT for entry in _wanted(context.config))
    text = held_out_bytes(context.figures[context.config.corpus], context.config.documents) if reads else 0.0
    tokens = len(models) * text / 2.5
    flops = 2 * tokens * max(model.get("parameters") or 0 for model in models)
    return Forecast(
        reads=f"{len(models)} models, held-out text",
        writes="figures",
        tokens=tokens,
        flops=flops,
        memory_bytes=1e9 + 8 * max(model.get("parameters") or 0 for model in models),
        disk_bytes=1e7,
        seconds=10 + flops / 5e10 if text or not reads else None,
    )


def run(job: Job) -> dict[str, Any]:
    """One analysis after the other; see `lingraft.analyze`."""
    from dataclasses import replace

    from lingraft.analyze.subject import Subject
    from lingraft.corpus import find
    from lingraft.evaluate import evaluate
    from lingraft.evaluate.context import context_tokens

    config = job.config
    languages = {"target": find(job.settings.language)}
    if job.settings.replay:
        languages["replay"] = find(job.settings.replay)
    models = {name: job.inputs[name].folder for name in config.models}
    trusted = [path for name, path in models.items() if job.inputs[name].figures["trust_remote_code"]]
    subject = Subject(
        models,
        evaluate.held_out(job.inputs[config.corpus].folder, languages, config.documents),
        job.folder,
        context_tokens(models, config.context_tokens, trusted=trusted),
        job.settings.seed,
        trusted=trusted,
        progress=job.progress,
        trainings={name: job.inputs[name].figures for name in config.trainings or ()},
    )
    figures: dict[str, Any] = {"models": config.models}
    for entry in _wanted(config):
        folder = job.folder / entry.analysis
        folder.mkdir(exist_ok=True)
        function, options = _resolved(entry, job.recipe_folder)
        figures[entry.analysis] = function(replace(subject, folder=folder), **options)
    return figures


def _wanted(config: Analyze) -> list[Analysis]:
    return [Analysis(analysis=entry) if isinstance(entry, str) else entry for entry in config.analyses]


def _resolved(entry: Analysis, folder: Path) -> tuple[Callable[..., dict[str, Any]], dict[str, Any]]:
    """The function, and its options with paths looked for beside the recipe."""
    from lingraft.analyze import ANALYSES

    function = resolve(ANALYSES, entry.analysis, "analysis")
    return function, paths_resolved(function, entry.options, folder)


STAGE = Stage(
    "analyze",
    1,
    Analyze,
    makes=("analysis",),
    run=run,
    uses=("language", "replay", "seed"),
    check=check,
    outside=outside,
    forecast=forecast,
)

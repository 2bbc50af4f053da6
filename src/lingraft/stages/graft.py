"""graft: give the base rows for the new tokens, and start them well."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from lingraft.core.errors import RecipeError
from lingraft.core.outside import identity
from lingraft.core.stage import Check, Forecast, Job, Needs, Stage, StageConfig

from .base import describe, origin, tokenizer_of

Strategy = Literal[
    "subwords",
    "gaussian",
    "xavier_uniform",
    "mean_all",
    "mean_all_covariance",
    "random_token",
    "align",
    "focus",
    "wechsel",
    "omp",
    "learned",
    "distill",
]
STREAMS = {"text": "target", "replay": "replay"}
RUNS_MODEL = frozenset({"auto", "learned", "distill"})


class Graft(StageConfig):
    """How the new rows start."""

    kind: Literal["graft"] = "graft"
    base: Annotated[str | None, Needs("model")] = None
    tokenizer: Annotated[str | None, Needs("extension")] = None
    corpus: Annotated[str | None, Needs("text")] = Field(
        None, description="Its training text is what some strategies read."
    )
    strategy: Literal[Strategy, "auto"] = Field(
        "subwords",
        description="How new rows start: `subwords` is the mean of the old tokens that spell the new one; "
        "`auto` measures the candidates by bits per byte and takes the best.",
    )
    options: dict[str, Any] = Field({}, description="Options of the strategy.")
    output_strategy: Literal[Strategy, "auto"] | None = Field(
        None, description="Of the LM head, where it is a table of its own; the same by default."
    )
    output_options: dict[str, Any] = Field({}, description="Options of the output strategy.")
    candidates: list[Strategy] = Field(
        ["subwords", "align", "mean_all", "gaussian"], min_length=1, description="What `auto` compares."
    )


def check(context: Check) -> None:
    """The tokenizer extends that of the base, and the strategies take these options."""
    config, stages = context.config, context.recipe.stages
    ours, extended = tokenizer_of(config.base, stages), tokenizer_of(stages[config.tokenizer].base, stages)
    if ours != extended:
        raise RecipeError(
            f'"{config.tokenizer}" extends the tokenizer of "{extended}", and "{config.base}" has that of "{ours}".',
            where="base",
            remedy=f'Set base to "{stages[config.tokenizer].base}", or the base of "{config.tokenizer}" to '
            f'"{config.base}".',
        )
    if config.output_options and config.output_strategy is None:
        raise RecipeError(
            "there are options for an output strategy, and none is named.",
            where="output_options",
            remedy="Set output_strategy.",
        )
    if config.options or config.output_options or config.candidates != Graft.model_fields["candidates"].default:
        _check_options(context)


def _check_options(context: Check) -> None:
    from lingraft.graft.starting import Choice

    config = context.config
    for where, strategy in (("options", config.strategy), ("output_options", config.output_strategy)):
        options = _resolved(getattr(config, where), strategy, context.recipe.folder)
        if strategy == "auto" and options:
            raise RecipeError("the strategy auto takes no options.", where=where, remedy="Name one strategy.")
        if strategy not in (None, "auto"):
            Choice(strategy, options).check(where)
    if "auto" in (config.strategy, config.output_strategy):
        for name in config.candidates:
            Choice(name).check("candidates")


def outside(context: Check) -> dict[str, str]:
    """The content of the files and folders that options name."""
    config = context.config
    identities = {}
    for where, strategy in (("options", config.strategy), ("output_options", config.output_strategy)):
        for name, value in _resolved(getattr(config, where), strategy, context.recipe.folder).items():
            if isinstance(value, Path):
                identities[f"{where}.{name}"] = identity(value, context.content_hash)
    return identities


def forecast(context: Check) -> Forecast:
    """The base's parameters and the new rows; strategies that run the model need it in memory."""
    config = context.config
    base = context.figures[config.base]
    new = context.figures[config.tokenizer]["new_tokens"]
    tables = 1 if base.get("tied") else 2
    grown = tables * new * (base.get("hidden_size") or 0)
    parameters = (base.get("parameters") or 0) + grown
    width = (base.get("weight_bytes") or 0) / max(1, base.get("parameters") or 1)
    runs_model = {config.strategy, config.output_strategy} & RUNS_MODEL
    old = tables * (base.get("vocabulary") or 0) * (base.get("hidden_size") or 0)
    return Forecast(
        reads="base, tokenizer, training text",
        writes="a model folder",
        memory_bytes=7e8 + 2 * width * (old + grown) + (4 * (parameters + 4 * grown) if runs_model else 0),
        disk_bytes=parameters * width,
        seconds=3 + parameters * width / 500e6,
        figures={
            **base,
            "parameters": parameters,
            "weight_bytes": parameters * width,
            "vocabulary": (base.get("vocabulary") or 0) + new,
        },
    )


def run(job: Job) -> dict[str, Any]:
    """Write the grafted model; see `lingraft.graft.surgery`."""
    from lingraft.corpus import StreamTexts
    from lingraft.graft.surgery import initialize

    config, base, corpus = job.config, job.inputs[job.config.base], job.inputs[job.config.corpus].folder
    output_options = _resolved(config.output_options, config.output_strategy, job.recipe_folder)
    figures = initialize(
        base.folder,
        job.inputs[config.tokenizer].folder,
        job.folder,
        strategy=config.strategy,
        options=_resolved(config.options, config.strategy, job.recipe_folder),
        output_strategy=config.output_strategy,
        output_options=output_options or None,
        candidates=config.candidates,
        **{name: StreamTexts(corpus, stream, "train") for name, stream in STREAMS.items()},
        seed=job.settings.seed,
        trust_remote_code=base.figures["trust_remote_code"],
        progress=job.progress,
    )
    return {**origin(base.figures), **describe(job.folder), **figures}


def _resolved(options: Mapping[str, Any], strategy: str | None, folder: Path) -> dict[str, Any]:
    """The options, those that are paths looked for beside the recipe."""
    if not options or strategy in (None, "auto"):
        return dict(options)
    from lingraft.core.registry import paths_resolved, resolve
    from lingraft.graft import STRATEGIES

    return paths_resolved(resolve(STRATEGIES, strategy, "graft strategy"), options, folder)


STAGE = Stage(
    "graft",
    2,
    Graft,
    makes=("model", "tokenizer"),
    run=run,
    uses=("seed",),
    check=check,
    outside=outside,
    forecast=forecast,
)

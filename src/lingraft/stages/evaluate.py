"""evaluate: several models on the same held-out text and the same tasks."""

from collections.abc import Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from lingraft.core.errors import RecipeError
from lingraft.core.stage import Check, Forecast, Job, Needs, Stage, StageConfig

from .streams import held_out_bytes

if TYPE_CHECKING:
    from lingraft.evaluate.wanted import Wanted

INTRINSIC = ("bits", "samples", "writing")
"""What needs no task's data."""


class Suite(BaseModel):
    """A suite of tasks, and how its items are asked. A name alone takes the defaults."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    suite: str = Field(description="Its name; see docs/suites.md.")
    data: str | None = Field(None, description="The folder with its files; left out, they come from the hub.")
    language: str | None = Field(None, description="BCP 47; the recipe's language by default.")
    items: int | None = Field(None, ge=2, description="At most so many items of each task, evenly spread.")
    shots: int | None = Field(
        None, ge=0, description="At most so many solved examples before each item; by default what docs/suites.md says."
    )
    prompts: list[Literal["native", "english"]] = Field(["native"], min_length=1)
    words: dict[str, str] = Field({}, description="Words of the prompt in place of ours: {because: ..., answer: ...}.")
    chat: bool = Field(False, description="Ask in the model's chat template.")
    options: dict[str, Any] = Field({}, description="The suite's own.")


class Evaluate(StageConfig):
    """Which models, on what."""

    kind: Literal["evaluate"] = "evaluate"
    models: Annotated[list[str] | None, Needs("model")] = Field(None, description="The first is the one compared with.")
    corpus: Annotated[str | None, Needs("text")] = None
    suites: list[str | Suite] = Field(
        ["bits", "samples"],
        min_length=1,
        description="bits, samples, writing, and suites of tasks: a name, or {suite: name, data: folder, ...}.",
    )
    documents: int | None = Field(
        None, ge=2, description="Held-out documents of each stream, evenly spread; all by default."
    )
    context_tokens: int | None = Field(
        None, ge=16, description="Tokens read at once; by default what all models have positions for."
    )
    prompts: list[str] = Field([], description="Prompts in the target language; else the first words of held-out text.")
    samples: int = Field(4, ge=1, description="Prompts of each stream taken from held-out text.")
    written: int = Field(40, ge=2, description="Beginnings of held-out target text that `writing` goes on from.")
    max_new_tokens: int = Field(60, ge=1)
    temperature: float = Field(0.8, ge=0, description="0 is greedy.")
    top_p: float = Field(0.95, gt=0, le=1)


def check(context: Check) -> None:
    """One name stands once; suites, their options and their folders are there."""
    from lingraft.core.registry import did_you_mean
    from lingraft.corpus import find
    from lingraft.evaluate.labeled import SUITES as LABELED
    from lingraft.evaluate.suites import SUITES
    from lingraft.evaluate.suites.loading import check as check_suite

    names = context.config.models
    if len(set(names)) != len(names):
        raise RecipeError("a model is named twice.", where="models")
    language = find(context.recipe.language)
    suites = _wanted(context.config, context.recipe.folder)
    for place, wanted in suites:
        if wanted.suite not in SUITES and not wanted.is_labeled:
            known = did_you_mean(wanted.suite, [*INTRINSIC, *SUITES, *LABELED])
            raise RecipeError(f'no suite is called "{wanted.suite}".', where=f"suites[{place}]", remedy=known)
        try:
            check_suite(wanted, language)
        except RecipeError as error:
            where = f"suites[{place}]" + (f": {error.where}" if error.where else "")
            raise RecipeError(error.what, where=where, remedy=error.remedy) from error
    if labeled := [wanted for _, wanted in suites if wanted.is_labeled]:
        from lingraft.evaluate.labeled.suites import check_together

        check_together(labeled)


def outside(context: Check) -> dict[str, str]:
    """What is asked, item by item; of a suite without data, that it is missing."""
    from lingraft.corpus import find
    from lingraft.evaluate.suites.loading import identity

    language = find(context.settings.language)
    return {
        f"suites.{place}": f"{identity(wanted, language)} {wanted.options}"
        for place, wanted in _wanted(context.config, context.recipe.folder)
    }


def forecast(context: Check) -> Forecast:
    """Two FLOPs a token and weight, for the held-out text and for what tasks ask and have written."""
    from lingraft.corpus import find
    from lingraft.evaluate.bits import batch_tokens
    from lingraft.evaluate.suites.loading import tasks_of

    models = [context.figures[name] for name in context.config.models]
    text = held_out_bytes(context.figures[context.config.corpus], context.config.documents)
    suites = [wanted for _, wanted in _wanted(context.config, context.recipe.folder)]
    tasks, missing = tasks_of(suites, find(context.settings.language))
    tokens = len(models) * (text + sum(task.num_bytes() for task in tasks)) / 2.5
    flops = 2 * tokens * max(model.get("parameters") or 0 for model in models)
    vocabulary = max(model.get("vocabulary") or 1 for model in models)
    return Forecast(
        reads=f"{len(models)} models, held-out text, {len(tasks)} tasks",
        writes="figures",
        tokens=tokens,
        flops=flops,
        memory_bytes=5e8
        + 4 * max((m.get("parameters") or 0) for m in models)
        + 4 * batch_tokens(vocabulary) * vocabulary,
        disk_bytes=1e6,
        seconds=10 + flops / 5e10 if text else None,
        warnings=tuple(f"{one.suite} is left out: {one.why}" for one in missing),
    )


def run(job: Job) -> dict[str, Any]:
    """Measure; see `lingraft.evaluate`."""
    from lingraft.corpus import StreamTexts, find
    from lingraft.evaluate import compare, evaluate
    from lingraft.evaluate.context import context_tokens as tokens_of
    from lingraft.evaluate.statistics import COVERAGE

    config = job.config
    models = {name: job.inputs[name].folder for name in config.models}
    common = {
        "trusted": [path for name, path in models.items() if job.inputs[name].figures["trust_remote_code"]],
        "progress": job.progress,
    }
    languages = {"target": find(job.settings.language)}
    if job.settings.replay:
        languages["replay"] = find(job.settings.replay)
    corpus = job.inputs[config.corpus].folder
    texts = evaluate.held_out(corpus, languages, config.documents)
    context_tokens = tokens_of(models, config.context_tokens, trusted=common["trusted"])
    figures: dict[str, Any] = {"models": list(models), "context_tokens": context_tokens, "coverage": COVERAGE}
    if "bits" in config.suites:
        measured = evaluate.measure_bits(models, texts, job.folder, context_tokens=context_tokens, **common)
        figures["bits"] = evaluate.bits_table(measured, texts, seed=job.settings.seed)
        figures["fertility"] = evaluate.fertility_table(measured, texts)
    if suites := [wanted for _, wanted in _wanted(config, job.recipe_folder)]:
        figures |= compare.on_tasks(
            models,
            suites,
            languages["target"],
            job.folder / "answers",
            training=chain.from_iterable(StreamTexts(corpus, stream, "train") for stream in languages),
            context_tokens=context_tokens,
            seed=job.settings.seed,
            **common,
        )
    if "writing" in config.suites:
        figures["writing"] = _writing(job, models, texts, context_tokens, common)
        figures["missing"] = figures.get("missing", []) + figures["writing"].pop("missing")
    if "samples" in config.suites:
        prompts = [("target", prompt) for prompt in config.prompts]
        for held_out in texts:
            if held_out.stream != "target" or not config.prompts:
                beginnings = [evaluate.first_words(text, 60) for text in held_out.texts[: config.samples]]
                prompts += [(held_out.stream, beginning) for beginning in beginnings]
        figures["samples"], figures["speed"] = evaluate.write_samples(
            models,
            prompts,
            texts,
            max_new_tokens=config.max_new_tokens,
            temperature=config.temperature,
            top_p=config.top_p,
            seed=job.settings.seed,
            **common,
        )
    return figures


def _writing(
    job: Job, models: Mapping[str, Path], texts: Sequence[Any], context_tokens: int, common: Mapping[str, Any]
) -> dict[str, Any]:
    from lingraft.corpus import StreamTexts
    from lingraft.evaluate import writing

    by_stream = {text.stream: text for text in texts}
    if len(by_stream) < 2:
        return writing.skipped("there is no replay text, and so no second language to tell the target's words from.")
    config, corpus = job.config, job.inputs[job.config.corpus].folder
    return writing.measure(
        models,
        by_stream["target"],
        by_stream["replay"],
        (StreamTexts(corpus, "target", "train"), StreamTexts(corpus, "replay", "train")),
        job.folder / "answers",
        prompts=config.written,
        max_new_tokens=config.max_new_tokens,
        temperature=config.temperature,
        context_tokens=context_tokens,
        seed=job.settings.seed,
        **common,
    )


def _wanted(config: Evaluate, folder: Path) -> list[tuple[int, "Wanted"]]:
    """The suites of tasks, each with its place in the list."""
    from lingraft.evaluate.wanted import Wanted

    found = []
    for place, entry in enumerate(config.suites):
        if entry in INTRINSIC:
            continue
        suite = Suite(suite=entry) if isinstance(entry, str) else entry
        data = None if suite.data is None else folder / Path(suite.data).expanduser()
        found.append((place, Wanted(**{**dict(suite), "data": data})))
    return found


STAGE = Stage(
    "evaluate",
    3,
    Evaluate,
    makes=("evaluation",),
    run=run,
    uses=("language", "replay", "seed"),
    check=check,
    outside=outside,
    forecast=forecast,
)

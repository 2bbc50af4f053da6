"""evaluate: several models on the same held-out text: bits per byte, samples, speed."""

from typing import Annotated, Any, Literal

from pydantic import Field

from lingraft.core.errors import RecipeError
from lingraft.core.stage import Check, Forecast, Job, Needs, Stage, StageConfig


class Evaluate(StageConfig):
    """Which models, on what."""

    kind: Literal["evaluate"] = "evaluate"
    models: Annotated[list[str] | None, Needs("model")] = Field(None, description="The first is the one compared with.")
    corpus: Annotated[str | None, Needs("text")] = None
    suites: list[Literal["bits", "samples"]] = Field(["bits", "samples"], min_length=1)
    documents: int | None = Field(
        None, ge=2, description="Held-out documents of each stream, evenly spread; all by default."
    )
    context_tokens: int | None = Field(None, ge=16, description="Tokens read at once; the base's positions by default.")
    prompts: list[str] = Field([], description="Prompts in the target language; else the first words of held-out text.")
    samples: int = Field(4, ge=1, description="Prompts of each stream taken from held-out text.")
    max_new_tokens: int = Field(60, ge=1)
    temperature: float = Field(0.8, ge=0, description="0 is greedy.")
    top_p: float = Field(0.95, gt=0, le=1)


def check(context: Check) -> None:
    """One name stands once."""
    names = context.config.models
    if len(set(names)) != len(names):
        raise RecipeError("a model is named twice.", where="models")


def forecast(context: Check) -> Forecast:
    """Two FLOPs a token and weight, for a held-out text of the documents' usual size."""
    models = [context.figures[name] for name in context.config.models]
    streams = context.figures[context.config.corpus]["streams"].values()
    text = sum(stream["held_out"]["bytes"] for stream in streams)
    tokens = len(models) * text / 2.5
    flops = 2 * tokens * max(model.get("parameters") or 0 for model in models)
    return Forecast(
        reads=f"{len(models)} models, held-out text",
        writes="figures",
        tokens=tokens,
        flops=flops,
        memory_bytes=5e8
        + 4 * max((m.get("parameters") or 0) for m in models)
        + 4 * 8192 * (models[-1].get("vocabulary") or 0),
        disk_bytes=1e6,
        seconds=10 + flops / 5e10,
    )


def run(job: Job) -> dict[str, Any]:
    """Measure; see `lingraft.evaluate`."""
    from lingraft.corpus import find
    from lingraft.evaluate import evaluate
    from lingraft.evaluate.statistics import COVERAGE

    config = job.config
    models = {name: job.inputs[name].folder for name in config.models}
    remote = any(job.inputs[name].figures["trust_remote_code"] for name in models)
    languages = {"target": find(job.settings.language)}
    if job.settings.replay:
        languages["replay"] = find(job.settings.replay)
    texts = evaluate.held_out(job.inputs[config.corpus].folder, languages, config.documents)
    context_tokens = config.context_tokens or job.inputs[config.models[0]].figures["max_positions"] or 2048
    figures: dict[str, Any] = {"models": list(models), "context_tokens": context_tokens}
    if "bits" in config.suites:
        measured = evaluate.measure_bits(
            models, texts, job.folder, context_tokens=context_tokens, trust_remote_code=remote, progress=job.progress
        )
        figures["bits"] = evaluate.bits_table(measured, texts, seed=job.settings.seed)
        figures["coverage"] = COVERAGE
        figures["fertility"] = evaluate.fertility_table(measured, texts)
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
            trust_remote_code=remote,
            progress=job.progress,
        )
    return figures


STAGE = Stage(
    "evaluate",
    1,
    Evaluate,
    makes=("evaluation",),
    run=run,
    uses=("language", "replay", "seed"),
    check=check,
    forecast=forecast,
)

"""on_policy: preferences from the model's own answers, as a judge finds them, beside given ones."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from lingraft.core.asked import NO_EFFECT, AskedSettings, LocalSettings
from lingraft.core.errors import InputError, RecipeError
from lingraft.core.outside import RecordSource, identity
from lingraft.core.stage import Check, Forecast, Job, Needs, Stage

from .streams import Records, check_records, forecast_records, outside_of_records, run_records

FOLDER = "sampled"
BYTES_A_TOKEN = 3.5


class OnPolicy(Records):
    """Whose answers, to which prompts, and who judges."""

    kind: Literal["on_policy"] = "on_policy"
    without_sources: ClassVar[bool] = True
    target: list[RecordSource] = Field([], description="Given pairs in the language to graft, beside the model's own.")
    model: Annotated[str | None, Needs("model")] = None
    prompts: Annotated[str | None, Needs("conversations")] = Field(
        None, description="Its training conversations in the target language are asked up to the last user's turn."
    )
    judge: AskedSettings = Field(description="A model behind an endpoint or in a folder.")
    items: int | None = Field(None, ge=1, description="At most so many prompts, evenly spread.")
    temperature: float = Field(1.0, gt=0, description="Of the model; two answers are sampled to each prompt.")
    max_new_tokens: int = Field(256, ge=1, description="Of an answer; one that is longer is left out.")
    context_tokens: int | None = Field(None, ge=32, description="By default what the model has positions for.")
    max_failed_share: float = Field(
        0.05, ge=0, le=1, description="Of the judge's questions, left unanswered, above which the stage stops."
    )


def check(context: Check) -> None:
    """The judge can be asked, and what is given can be read."""
    from lingraft.ask.respondents import respondent

    check_records(context)
    try:
        respondent(context.config.judge, context.recipe.folder)
    except InputError as error:
        raise RecipeError(error.what, where=f"judge: {error.where}", remedy=error.remedy) from error


def outside(context: Check) -> dict[str, str]:
    """The content of what is given and of a judge in a folder; of an endpoint what changes its answers."""
    found, judge = outside_of_records(context), context.config.judge
    if isinstance(judge, LocalSettings):
        folder = context.recipe.folder / Path(judge.model).expanduser()
        return found | {"judge.model": identity(folder, context.content_hash)}
    return found | {f"judge.{name}": "" for name in NO_EFFECT}


def forecast(context: Check) -> Forecast:
    """Two answers and two questions to the judge for each prompt, and what these cost."""
    from lingraft.corpus import find
    from lingraft.judge import cost
    from lingraft.judge.questions import asking

    config = context.config
    given = forecast_records(context)
    stream = context.figures[config.prompts]["streams"].get("target", {})
    prompts = min(config.items or stream.get("train", 0), stream.get("train", 0))
    written = 2 * prompts * config.max_new_tokens
    flops = 2.0 * (context.figures[config.model].get("parameters") or 0) * written
    (costs,) = cost.forecast(
        [config.judge],
        asking(find(context.settings.language)).wording,
        prompts=prompts,
        prompt_bytes=prompts * stream.get("bytes", 0) / max(1, stream.get("train", 0)),
        models=2,
        answer_tokens=config.max_new_tokens,
        mode=[cost.PAIRWISE],
    )
    own = {"train": prompts, "held_out": config.held_out, "language": context.settings.language}
    own["bytes"] = round(written * BYTES_A_TOKEN)
    streams = given.figures["streams"]
    return replace(
        given,
        reads=f"a model, {prompts:,} prompts; {costs}",
        tokens=written,
        flops=flops,
        seconds=30 + flops / 2e10 + prompts,
        figures={"streams": streams | {"target": own | streams.get("target", {})}},
    )


def run(job: Job) -> dict[str, Any]:
    """Sample, judge, then check and split as given preferences are; see `lingraft.judge.on_policy`."""
    from lingraft.ask.kept import Kept
    from lingraft.ask.local import Local
    from lingraft.ask.respondents import respondent
    from lingraft.conversations.record import Preference
    from lingraft.corpus import find
    from lingraft.judge import on_policy, prompts
    from lingraft.judge.questions import asking

    config, language = job.config, find(job.settings.language)
    model, folder = job.inputs[config.model], job.folder / FOLDER
    folder.mkdir(exist_ok=True)
    own = Local(
        model.folder,
        temperature=config.temperature,
        max_tokens=config.max_new_tokens,
        context_tokens=config.context_tokens,
        trust_remote_code=model.figures["trust_remote_code"],
        name=config.model,
    )
    asked = prompts.read(job.inputs[config.prompts].folder / "target.jsonl", config.items)
    judge = Kept(respondent(config.judge, job.recipe_folder, whole=False), folder / "replies.jsonl")
    figures = on_policy.pairs(
        own,
        judge,
        asked,
        folder,
        asking(language),
        language=language.tag,
        seed=job.settings.seed,
        max_failed_share=config.max_failed_share,
        progress=job.progress,
    )
    source = RecordSource(path=str((folder / on_policy.PAIRS).resolve()), form="preference", name="on_policy")
    with_own = config.model_copy(update={"target": [*config.target, source]})
    return {**run_records(replace(job, config=with_own), Preference), "on_policy": figures}


STAGE = Stage(
    "on_policy",
    1,
    OnPolicy,
    makes=("preferences",),
    run=run,
    uses=("language", "replay", "seed"),
    check=check,
    outside=outside,
    forecast=forecast,
    no_effect=frozenset({"max_failed_share"}),
)

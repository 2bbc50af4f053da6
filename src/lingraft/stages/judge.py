"""judge: what several models answer to the same prompts, and what judges say of it."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from lingraft.core.asked import NO_EFFECT, AskedSettings, EndpointSettings, LocalSettings
from lingraft.core.errors import InputError, RecipeError
from lingraft.core.outside import identity
from lingraft.core.stage import Check, Forecast, Job, Needs, Stage, StageConfig

if TYPE_CHECKING:
    from lingraft.ask.respondent import Respondent
    from lingraft.evaluate.language.word_language import WordLanguages
    from lingraft.judge.questions import Wording

PAID_BATCH, LOCAL_BATCH = 16, 64
TEMPLATE, DIALOGUE = "template", "dialogue"
REPLIES = "replies.jsonl"
"""Every reply of models and judges, by what was asked: beside the artifacts of this kind, for all of them."""


class Judge(StageConfig):
    """Which models answer what, and who judges."""

    kind: Literal["judge"] = "judge"
    models: Annotated[list[str] | None, Needs("model")] = Field(None, description="The first is the one compared with.")
    prompts: Annotated[str | None, Needs("conversations", optional=True)] = Field(
        None, description="Its held-out conversations in the target language are asked up to the last user's turn."
    )
    prompts_file: str | None = Field(None, description="A JSONL file of prompts instead; see docs/judging.md.")
    corpus: Annotated[str | None, Needs("text", optional=True)] = Field(
        None, description="Its texts are what the words of both languages are learned from."
    )
    items: int | None = Field(None, ge=2, description="At most so many prompts, evenly spread.")
    max_new_tokens: int = Field(256, ge=1, description="Of an answer.")
    temperature: float = Field(0.0, ge=0, description="Of the models; 0 is greedy.")
    context_tokens: int | None = Field(
        None, ge=32, description="Of the models; by default what each has positions for."
    )
    judges: list[AskedSettings] = Field(
        [], description="Models behind endpoints or in folders; none leaves the answers and their language alone."
    )
    mode: list[Literal["pairwise", "axes"]] = Field(["pairwise", "axes"], min_length=1)
    max_failed_share: float = Field(
        0.05, ge=0, le=1, description="Of a judge's questions, left unanswered, above which the stage stops."
    )
    replies: str | None = Field(
        None,
        description="A file that keeps every reply for later runs; by default one in the store, for all of its runs.",
    )
    votes: str | None = Field(
        None, description="What `lingraft judge export` wrote, to report, and to hold the judges against."
    )


def check(context: Check) -> None:
    """There is something to ask, and every judge can be asked."""
    from lingraft.ask.respondents import respondent
    from lingraft.corpus import find
    from lingraft.judge.human.votes import read as read_votes
    from lingraft.judge.prompts import read

    config, folder = context.config, context.recipe.folder
    find(context.settings.language)
    if len(set(config.models)) != len(config.models):
        raise RecipeError("a model is named twice.", where="models")
    names = [judge.model for judge in config.judges]
    if len(set(names)) != len(names):
        raise RecipeError("a judge is named twice.", where="judges", remedy="Two runs of one judge are no two judges.")
    if config.judges and "pairwise" in config.mode and len(config.models) < 2:
        raise RecipeError(
            "one model alone cannot be compared.", where="mode", remedy="Write mode: [axes], or name two models."
        )
    if config.prompts_file is not None:
        read(_beside(config.prompts_file, folder))
    elif config.prompts is None:
        raise RecipeError(
            "there is nothing to ask.",
            where="prompts",
            remedy="Put a conversations stage before it, or name a file of prompts in prompts_file.",
        )
    if config.votes is not None:
        read_votes(_beside(config.votes, folder))
    for place, judge in enumerate(config.judges):
        try:
            respondent(judge, folder)
        except InputError as error:
            raise RecipeError(error.what, where=f"judges[{place}]: {error.where}", remedy=error.remedy) from error


def outside(context: Check) -> dict[str, str]:
    """The content of files and of judges in folders; of endpoints nothing that leaves their answers as they are."""
    config, folder = context.config, context.recipe.folder
    found = {}
    for name in ("prompts_file", "votes"):
        if getattr(config, name) is not None:
            found[name] = identity(_beside(getattr(config, name), folder), context.content_hash)
    for place, judge in enumerate(config.judges):
        if isinstance(judge, LocalSettings):
            found[f"judges.{place}.model"] = identity(_beside(judge.model, folder), context.content_hash)
        else:
            found |= {f"judges.{place}.{name}": "" for name in NO_EFFECT}
    return found


def forecast(context: Check) -> Forecast:
    """Tokens that the models read and write, and about what each judge is asked."""
    from lingraft.corpus import find
    from lingraft.judge import cost
    from lingraft.judge.questions import asking

    config = context.config
    models = [context.figures[name] for name in config.models]
    prompts, prompt_bytes = _num_prompts(context)
    costs = cost.forecast(
        config.judges,
        asking(find(context.settings.language)).wording,
        prompts=prompts,
        prompt_bytes=prompt_bytes,
        models=len(models),
        answer_tokens=config.max_new_tokens,
        mode=config.mode,
    )
    tokens = len(models) * (prompt_bytes / cost.BYTES_A_TOKEN + prompts * config.max_new_tokens)
    flops = 2 * tokens * max(model.get("parameters") or 0 for model in models)
    return Forecast(
        reads="; ".join([f"{len(models)} models, {prompts:,} prompts", *map(str, costs)]),
        writes="answers, verdicts" if costs else "answers",
        tokens=tokens,
        flops=flops,
        memory_bytes=1e9 + 4 * max(model.get("parameters") or 0 for model in models),
        disk_bytes=1e6 + 8 * prompts * len(models) * config.max_new_tokens,
        seconds=10 + flops / 2e10 + 2 * sum(one.requests for one in costs) / 4,
    )


def run(job: Job) -> dict[str, Any]:
    """Ask the models, then the judges; see `lingraft.judge`."""
    from lingraft.ask.kept import Kept
    from lingraft.ask.local import has_template
    from lingraft.ask.respondents import respondent
    from lingraft.corpus import find
    from lingraft.judge import answers, judging, panel, prompts
    from lingraft.judge.human import figures as people
    from lingraft.judge.human.votes import read as read_votes
    from lingraft.judge.questions import asking

    config, language, seed = job.config, find(job.settings.language), job.settings.seed
    place = (
        _beside(config.prompts_file, job.recipe_folder) if config.prompts_file else job.inputs[config.prompts].folder
    )
    asked = prompts.read(place, config.items)
    forms = {name: TEMPLATE if has_template(job.inputs[name].folder) else DIALOGUE for name in config.models}
    models = _models(job, forms, asking(language).wording)
    items, unanswered = answers.ask(models, asked, language=language.tag, progress=job.progress)
    answers.write(job.folder / answers.ANSWERS, (item.as_json() for item in items))
    answers.write(job.folder / "unanswered.jsonl", map(vars, unanswered))
    if not items:
        last = unanswered[-1]
        raise InputError(
            f"no prompt has an answer of every model. The last, of {last.model}: {last.why}",
            where=place,
            remedy="Lower max_new_tokens, or ask shorter prompts.",
        )
    words, why = _words(job)
    figures: dict[str, Any] = {
        "models": config.models,
        "asked_in": forms,
        "language": language.tag,
        "prompts": len(asked),
        "answered": len(items),
        "answers": answers.figures(items, words, seed=seed),
        "missing": [{"suite": "language of the answers", "why": why, "task": None, "model": None}] if why else [],
        "warnings": _warnings(forms, len(asked) - len(items), len(asked)),
    }
    cast = read_votes(_beside(config.votes, job.recipe_folder)) if config.votes else None
    if cast is not None:
        cast, left_out = panel.of_answers(cast, {item.id for item in items}, config.models)
        figures["warnings"] += left_out
        figures["people"] = people.figures(cast, seed=seed)
    if not config.judges:
        return figures
    judges = (
        Kept(respondent(judge, job.recipe_folder, whole=False), _replies(job), batch=_batch(judge))
        for judge in config.judges
    )
    found = judging.judge(
        items,
        judges,
        job.folder,
        asking(language),
        mode=config.mode,
        seed=seed,
        max_failed_share=config.max_failed_share,
        votes=panel.of_people(cast) if cast is not None else None,
        progress=job.progress,
    )
    for settings in config.judges:
        spent = found["spent"][settings.model]
        spent["price"] = settings.cost(spent["tokens_read"], spent["tokens_written"])
    return {**figures, **found, "warnings": figures["warnings"] + found["warnings"]}


def _models(job: Job, forms: Mapping[str, str], wording: "Wording") -> Iterator[tuple[str, "Respondent"]]:
    """Each model in its own chat template; one that has none, a base, as the other side of a written dialogue."""
    from lingraft.ask.kept import Kept
    from lingraft.ask.local import Local
    from lingraft.ask.transcript import Transcript

    for name, form in forms.items():
        made = job.inputs[name]
        dialogue = {
            "prompt": Transcript(wording.user, wording.assistant),
            "stop": [f"\n{side}:" for side in (wording.user, wording.assistant)],
        }
        local = Local(
            made.folder,
            **({} if form == TEMPLATE else dialogue),
            temperature=job.config.temperature,
            max_tokens=job.config.max_new_tokens,
            context_tokens=job.config.context_tokens,
            trust_remote_code=made.figures["trust_remote_code"],
            whole=False,
            name=name,
        )
        yield name, Kept(local, _replies(job))


def _replies(job: Job) -> Path:
    file = job.config.replies
    return job.folder.with_name(REPLIES) if file is None else _beside(file, job.recipe_folder)


def _batch(judge: EndpointSettings | LocalSettings) -> int:
    """Questions that a kill can cost: few where each is paid for."""
    return max(PAID_BATCH, judge.at_once) if isinstance(judge, EndpointSettings) else LOCAL_BATCH


def _words(job: Job) -> tuple["WordLanguages | None", str | None]:
    """What the words of both languages are, or why that is not known."""
    from lingraft.corpus import StreamTexts, find
    from lingraft.evaluate.language.word_language import WordLanguages

    streams = ("target", "replay")
    folder = job.inputs[job.config.corpus].folder if job.config.corpus else None
    if folder is None or not job.settings.replay or not all((folder / stream).exists() for stream in streams):
        return None, "there is no text of the target and of a second language to tell words by."
    texts = [StreamTexts(folder, stream, "train") for stream in streams]
    try:
        return WordLanguages.learn(*texts, find(job.settings.language), find(job.settings.replay)), None
    except InputError as error:
        return None, str(error)


def _warnings(forms: Mapping[str, str], left_out: int, prompts: int) -> list[str]:
    told = []
    if len(set(forms.values())) > 1:
        bases = ", ".join(name for name, form in forms.items() if form == DIALOGUE)
        told.append(f"Without a chat template and asked as the other side of a written dialogue: {bases}.")
    if left_out:
        told.append(f"{left_out:,} of {prompts:,} prompts are left out: not every model could be asked them.")
    return told


def _num_prompts(context: Check) -> tuple[int, float]:
    """How many, and all their bytes."""
    from lingraft.judge.prompts import read

    config = context.config
    if config.prompts_file is not None:
        found = read(_beside(config.prompts_file, context.recipe.folder), config.items)
        return len(found), sum(len(turn.content.encode()) for prompt in found for turn in prompt.messages)
    stream = context.figures[config.prompts].get("streams", {}).get("target", {})
    held_out = stream.get("held_out", 0)
    count = held_out if config.items is None else min(config.items, held_out)
    return count, count * stream.get("bytes", 0) / max(1, stream.get("train", 0))


def _beside(path: str, folder: Path) -> Path:
    return folder / Path(path).expanduser()


STAGE = Stage(
    "judge",
    1,
    Judge,
    makes=("judgement",),
    run=run,
    uses=("language", "replay", "seed"),
    check=check,
    outside=outside,
    forecast=forecast,
    no_effect=frozenset({"replies", "max_failed_share"}),
)

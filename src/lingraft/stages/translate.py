"""translate, translate_preferences: replay records in the target language too, by a model that translates."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, Tag

from lingraft.core.artifact import SCRATCH
from lingraft.core.asked import NO_EFFECT, EndpointSettings, LocalSettings, by_key
from lingraft.core.errors import RecipeError
from lingraft.core.outside import identity
from lingraft.core.stage import Check, Forecast, Job, Needs, Stage, StageConfig

from .streams import judge_of

if TYPE_CHECKING:
    from lingraft.conversations.translate.translator import Translator
    from lingraft.corpus.language import Language

ANSWERS = "answers.jsonl"
CHARACTERS_PER_TOKEN = 3.5
QUESTION_TOKENS = 120
"""Of the instruction to a chat model, with each line."""
CHARACTERS_PER_LINE = 150


class Seq2SeqSettings(BaseModel):
    """A translation model of Hugging Face: Marian, NLLB, M2M100, T5."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    seq2seq: str = Field(description="Its folder, beside the recipe.")
    source_code: str | None = Field(None, description="Its name of the language it translates from; NLLB: eng_Latn.")
    target_code: str | None = Field(None, description="Its name of the language it translates to.")
    prefix: str | None = Field(None, description="Written before each text; T5: `translate English to Polish: `.")
    beams: int = Field(4, ge=1, le=32, description="Of the beam search.")


class FewShotSettings(BaseModel):
    """A base model that goes on from examples."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    examples: str | list[Annotated[list[str], Field(min_length=2, max_length=2)]] = Field(
        min_length=1,
        description="Pairs of a line and its translation; or a file of them, `line<tab>translation` or .jsonl of "
        "{source, target}.",
    )
    model: str | None = Field(None, description="Its folder, beside the recipe; the step `model` by default.")
    max_tokens: int = Field(256, ge=1, description="Of the translation of a line; one that is longer is a failure.")
    context_tokens: int | None = Field(None, ge=32, description="By default as many as the model has positions for.")


TranslatorSettings = Annotated[
    Annotated[EndpointSettings, Tag("endpoint")]
    | Annotated[Seq2SeqSettings, Tag("seq2seq")]
    | Annotated[FewShotSettings, Tag("examples")]
    | Annotated[LocalSettings, Tag("model")],
    by_key(*((key, key) for key in ("endpoint", "seq2seq", "examples", "model"))),
]


class _Translate(StageConfig):
    by: TranslatorSettings = Field(description="Who translates; see above.")
    back: TranslatorSettings | None = Field(
        None, description="Who translates back, for a comparison with what was translated."
    )
    model: Annotated[str | None, Needs("model", optional=True, nearest=False)] = Field(
        None, description="Goes on from the `examples` of `by` or `back`."
    )
    corpus: Annotated[str | None, Needs("text", optional=True)] = Field(
        None, description="Its texts teach the words that two languages of one script are told apart by."
    )
    share: float = Field(1.0, gt=0, le=1, description="Of the replay records that are translated.")
    least_length: float = Field(0.2, gt=0, description="Characters of a translation for each of its text, at least.")
    most_length: float = Field(5.0, gt=0, description="The same at most; what is usual in the data is a bound too.")
    least_back_chrf: float = Field(30.0, ge=0, le=100, description="chrF++ of the translation back with its text.")
    max_bad_share: float = Field(0.1, ge=0, le=1, description="Share of bad translations above which the stage stops.")


class Translate(_Translate):
    """Replay conversations in the target language, added to those of the target."""

    kind: Literal["translate"] = "translate"
    data: Annotated[str | None, Needs("conversations")] = None


class TranslatePreferences(_Translate):
    """Replay preferences in the target language, added to those of the target."""

    kind: Literal["translate_preferences"] = "translate_preferences"
    data: Annotated[str | None, Needs("preferences")] = None


def check(context: Check) -> None:
    """Two languages, replay records, and translators that can be had: keys, folders, languages, examples."""
    from lingraft.corpus import find

    config, settings = context.config, context.settings
    if not settings.replay:
        raise RecipeError(
            "the recipe does not say from which language.",
            where="replay",
            remedy="Add `replay: en` (or another code) beside `language:`.",
        )
    target, replay = find(settings.language), find(settings.replay)
    if target.tag == replay.tag:
        raise RecipeError(f"{target.name} cannot be translated to itself.", where="replay")
    if getattr(context.recipe.stages[config.data], "replay", None) == []:
        raise RecipeError(
            f"{config.data} has no replay records to translate.",
            where="data",
            remedy=f"Give {config.data} `replay` sources.",
        )
    if config.least_length >= config.most_length:
        raise RecipeError("least_length must be below most_length.", where="least_length")
    asks_model = False
    for key, by in _translators(config):
        if isinstance(by, FewShotSettings) and by.model is None:
            asks_model = True
            if config.model is None:
                raise RecipeError(
                    "the examples are for no model.",
                    where=key,
                    remedy="Name the step that makes it as `model:` of the stage, or its folder beside the examples.",
                )
            _examples(by, context.recipe.folder)
        else:
            _translator(by, (replay, target), context.recipe.folder, None)
    if config.model is not None and not asks_model:
        raise RecipeError(
            f"{config.model} would not be asked: neither `by` nor `back` has examples without a model of their own.",
            where="model",
            remedy="Leave `model` out, or give `by: {examples: ...}`.",
        )


def outside(context: Check) -> dict[str, str]:
    """The content of models and of files with examples; what does not change an endpoint's answers is left out."""
    found = {}
    for key, by in _translators(context.config):
        if isinstance(by, EndpointSettings):
            found |= {f"{key}.{name}": "" for name in NO_EFFECT}
        paths = {name: getattr(by, name, None) for name in ("seq2seq", "examples", "model")}
        for name, path in paths.items():
            if isinstance(path, str) and not isinstance(by, EndpointSettings):
                found[f"{key}.{name}"] = identity(context.recipe.folder / path, context.content_hash)
    return found


def forecast(context: Check) -> Forecast:
    """Characters from the size of replay, tokens and cost from them; how fast a translator is, is not known before."""
    config = context.config
    streams = context.figures[config.data]["streams"]
    replay = streams.get("replay", {"train": 0, "held_out": 0, "bytes": 0})
    share, train = config.share, max(1, replay["train"])
    records = share * (replay["train"] + replay["held_out"])
    characters = records * replay["bytes"] / train
    costs = []
    tokens = 0.0
    for _, by in _translators(config):
        written = characters / CHARACTERS_PER_TOKEN
        asked = isinstance(by, EndpointSettings | LocalSettings)
        read = written + (QUESTION_TOKENS * characters / CHARACTERS_PER_LINE if asked else 0)
        tokens += read + written
        if isinstance(by, EndpointSettings) and (cost := by.cost(read, written)) is not None:
            costs.append(cost)
    target = streams.get("target", {"train": 0, "held_out": 0, "bytes": 0, "answers": 0, "language": None})
    added = {name: round(share * replay[name]) for name in ("train", "held_out", "bytes", "answers") if name in replay}
    grown = {**target, **{name: target.get(name, 0) + count for name, count in added.items()}}
    told = f"{records:,.0f} records, {characters:,.0f} characters"
    return Forecast(
        reads=f"{told}, cost about {sum(costs):,.2f}" if costs else told,
        writes="jsonl",
        tokens=tokens,
        memory_bytes=1e9 + 20 * characters,
        disk_bytes=4 * characters + replay["bytes"] + target["bytes"],
        figures={"streams": {**streams, "target": grown}, "cost": sum(costs) if costs else None},
    )


def run(job: Job) -> dict[str, Any]:
    """Translate what is chosen, keeping every answer; see `lingraft.conversations.translate.build`."""
    from lingraft.conversations.translate.build import build
    from lingraft.conversations.translate.translate import Bounds
    from lingraft.corpus import find

    config = job.config
    data = job.inputs[config.data]
    languages = find(job.settings.replay), find(job.settings.language)
    answers = job.folder / SCRATCH / ANSWERS
    model = job.inputs[config.model] if config.model is not None else None
    step = (model.folder, model.figures["trust_remote_code"]) if model is not None else None
    back = None
    if config.back is not None:
        back = _translator(config.back, languages[::-1], job.recipe_folder, step, answers, turned=True)
    figures = build(
        data.folder,
        data.figures,
        job.folder,
        _translator(config.by, languages, job.recipe_folder, step, answers),
        judge_of(job, "target", "replay"),
        share=config.share,
        back=back,
        bounds=Bounds(config.least_length, config.most_length, config.least_back_chrf, config.max_bad_share),
        seed=job.settings.seed,
        progress=job.progress,
    )
    for key, by in zip(("there", "back"), (config.by, config.back), strict=True):
        told = figures["translation"][key]
        if told is not None:
            known = isinstance(by, EndpointSettings)
            told["cost"] = by.cost(told["tokens_read"], told["tokens_written"]) if known else None
    return figures


def _translators(config: _Translate) -> Iterator[tuple[str, Any]]:
    yield "by", config.by
    if config.back is not None:
        yield "back", config.back


def _examples(by: FewShotSettings, folder: Path) -> list[tuple[str, str]]:
    from lingraft.conversations.translate import examples

    if isinstance(by.examples, str):
        return examples.read(folder / by.examples)
    return examples.checked(by.examples)


def _translator(
    by: Any,
    languages: tuple["Language", "Language"],
    folder: Path,
    step: tuple[Path, bool] | None,
    answers: Path | None = None,
    *,
    turned: bool = False,
) -> "Translator":
    """From the first language to the second; answers are kept in a file. Examples are `turned` to translate back."""
    from lingraft.ask.kept import BATCH, Kept
    from lingraft.ask.respondents import respondent
    from lingraft.conversations.translate import translator

    source, target = languages
    question = translator.plain
    if isinstance(by, Seq2SeqSettings):
        from lingraft.conversations.translate.seq2seq import Seq2Seq

        values = by.model_dump(exclude={"seq2seq"})
        asked = Seq2Seq(folder / by.seq2seq, source, target, **values)
    elif isinstance(by, FewShotSettings):
        from lingraft.ask.local import Local
        from lingraft.ask.transcript import Transcript

        pairs = _examples(by, folder)
        question = translator.few_shot([pair[::-1] for pair in pairs] if turned else pairs)
        place, trusted = (folder / by.model, False) if by.model is not None else step
        asked = Local(
            place,
            prompt=Transcript(source.name, target.name),
            stop=("\n",),
            max_tokens=by.max_tokens,
            context_tokens=by.context_tokens,
            trust_remote_code=trusted,
        )
    else:
        question = translator.instruction(source, target)
        asked = respondent(by, folder)
    if answers is not None:
        # All of a batch are waited for: of many requests at once it holds enough that they are not idle.
        asked = Kept(asked, answers, batch=max(BATCH, 8 * getattr(by, "at_once", 1)))
    return translator.Asking(asked, question)


def _stage(kind: str, config: type[_Translate], makes: str) -> Stage:
    return Stage(
        kind,
        1,
        config,
        makes=(makes,),
        run=run,
        uses=("language", "replay", "seed"),
        check=check,
        outside=outside,
        forecast=forecast,
    )


STAGE = _stage("translate", Translate, "conversations")
PREFERENCES = _stage("translate_preferences", TranslatePreferences, "preferences")

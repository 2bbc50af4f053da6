"""tokenizer: extend the base's tokenizer by tokens of the target language, and prove that nothing broke."""

from itertools import islice
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from lingraft.core.errors import RecipeError
from lingraft.core.recipe import BASE
from lingraft.core.stage import Check, Forecast, Job, Needs, Stage, StageConfig

from . import base

PREVIEWS = 4
UNGUARDED = ("append", "chinese_llama", "swap")


class Tokenizer(StageConfig):
    """How the vocabulary grows."""

    kind: Literal["tokenizer"] = "tokenizer"
    corpus: Annotated[str | None, Needs("text")] = None
    base: Annotated[str | None, Needs("model")] = None
    method: Literal["keep", "continued_bpe", "append", "chinese_llama", "replace", "swap", "prune"] = Field(
        "continued_bpe", description="How the vocabulary changes."
    )
    new_tokens: int = Field(0, ge=0, description="How many tokens to learn; none for `keep` and `prune`.")
    guard: Literal["report", "replay"] = Field(
        "report", description="`replay`: no replay text of the training is segmented differently; `report` only counts."
    )
    options: dict[str, bool | int | float | str] = Field({}, description="What the method can be told.")

    @model_validator(mode="after")
    def _learns_or_not(self) -> "Tokenizer":
        if (self.new_tokens > 0) != (self.method not in ("keep", "prune")):
            needs = "needs new_tokens" if not self.new_tokens else "learns no tokens: leave new_tokens out"
            raise ValueError(f"method {self.method} {needs}")
        return self


def check(context: Check) -> None:
    """The base's tokenizer is of a family that can be extended; one on the hub is looked at when it is there."""
    from tokenizers import Tokenizer as Backend

    from lingraft.core.registry import check_options, resolve
    from lingraft.tokenizer import METHODS, kind

    if context.config.options:
        method = resolve(METHODS, context.config.method, "tokenizer method")
        check_options(method, context.config.options, "options")
    model = context.recipe.stages[BASE].model
    folder = None if model is None else base.local_folder(model, context.recipe.folder)
    if context.config.guard == "replay" and not context.recipe.stages[context.config.corpus].replay:
        raise RecipeError(
            "there are no replay texts to guard.",
            where="guard",
            remedy="Give the corpus stage replay sources, or set guard to report.",
        )
    if context.config.guard == "replay" and context.config.method in UNGUARDED:
        raise RecipeError(
            f"the method {context.config.method} cannot keep replay text segmented as it is.",
            where="guard",
            remedy="Take method continued_bpe, or set guard to report.",
        )
    if folder is not None and (folder / base.TOKENIZER).is_file():
        kind.require_extendable(Backend.from_file(str(folder / base.TOKENIZER)), folder)


def forecast(context: Check) -> Forecast:
    """A quarter of a minute for 50 MB of text."""
    text = context.figures[context.config.corpus]["streams"]["target"]["train"]["bytes"]
    vocabulary = context.figures[context.config.base].get("vocabulary") or 0
    return Forecast(
        reads=f"{text / 1e6:.1f} MB of target text",
        writes="tokenizer.json",
        memory_bytes=6e8 + 20 * text,
        disk_bytes=20e6,
        seconds=5 + text / 4e6 if text else None,
        figures={"new_tokens": context.config.new_tokens, "new_size": vocabulary + context.config.new_tokens},
    )


def run(job: Job) -> dict[str, Any]:
    """Extend on the training text; measure and prove on the held-out text."""
    from lingraft.corpus import StreamTexts
    from lingraft.tokenizer import family
    from lingraft.tokenizer.extension import extend
    from lingraft.tokenizer.fertility import measure, segments
    from lingraft.tokenizer.proofs import prove, prove_guard

    corpus, model = job.inputs[job.config.corpus].folder, job.inputs[job.config.base].folder

    target, replay = (StreamTexts(corpus, stream, "train") for stream in ("target", "replay"))
    held_out = {stream: list(StreamTexts(corpus, stream, "held_out")) for stream in ("target", "replay")}
    guarded = job.config.guard == "replay"
    figures = extend(
        model,
        target,
        job.folder,
        new_tokens=job.config.new_tokens,
        method=job.config.method,
        options=job.config.options,
        replay=replay,
        guard=replay if guarded else (),
        held_out=held_out["target"],
        progress=job.progress,
    )
    figures["proofs"] = prove(
        model,
        job.folder,
        held_out["target"],
        held_out["replay"],
        drops=figures["drops_tokens"],
        renumbers=figures["moves_ids"],
        demand="harmful" not in figures["text"],
        progress=job.progress,
    )
    if guarded:
        figures["proofs"]["guard"] = prove_guard(model, job.folder, replay, progress=job.progress)
    old, new = family.open(model), family.open(job.folder)
    figures["fertility"] = {
        stream: {"old": measure(old, found), "new": measure(new, found)} for stream, found in held_out.items() if found
    }
    figures["preview"] = [
        {"stream": stream, "text": text, "old": segments(old, text), "new": segments(new, text)}
        for stream, found in held_out.items()
        for text in islice((_sentence(document) for document in found), PREVIEWS if stream == "target" else 2)
    ]
    return figures


def _sentence(document: str) -> str:
    """A piece of a document that fits a line or two: its first long line, cut after a word."""
    lines = [line.strip() for line in document.splitlines()]
    line = next((line for line in lines if len(line) >= 60), max(lines, key=len))
    return line if len(line) <= 180 else line[:180].rsplit(None, 1)[0]


STAGE = Stage(
    "tokenizer",
    2,
    Tokenizer,
    makes=("tokenizer", "extension"),
    run=run,
    uses=("language", "replay"),
    check=check,
    forecast=forecast,
)

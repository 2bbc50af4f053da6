"""tokenizer: extend the base's tokenizer by tokens of the target language, and prove that nothing broke."""

from collections.abc import Iterator
from itertools import islice
from typing import Annotated, Any, Literal

from pydantic import Field

from lingraft.core.errors import RecipeError
from lingraft.core.recipe import BASE
from lingraft.core.stage import Check, Forecast, Job, Needs, Stage, StageConfig

from . import base

PREVIEWS = 4


class Tokenizer(StageConfig):
    """How the vocabulary grows."""

    kind: Literal["tokenizer"] = "tokenizer"
    corpus: Annotated[str | None, Needs("text")] = None
    base: Annotated[str | None, Needs("model")] = None
    method: Literal["continued_bpe"] = Field("continued_bpe", description="How new tokens are learned.")
    new_tokens: int = Field(ge=1, description="How many tokens to add.")
    guard: Literal["report", "replay"] = Field(
        "report", description="`replay`: no replay text of the training is segmented differently; `report` only counts."
    )


def check(context: Check) -> None:
    """The base's tokenizer is of a family that can be extended; one on the hub is looked at when it is there."""
    from tokenizers import Tokenizer as Backend

    from lingraft.tokenizer import kind

    folder = base.local_folder(context.recipe.stages[BASE].model, context.recipe.folder)
    if context.config.guard == "replay" and not context.recipe.stages[context.config.corpus].replay:
        raise RecipeError(
            "there are no replay texts to guard.",
            where="guard",
            remedy="Give the corpus stage replay sources, or set guard to report.",
        )
    if folder is not None and (folder / base.TOKENIZER).is_file():
        kind.require_byte_level_bpe(Backend.from_file(str(folder / base.TOKENIZER)), folder)


def forecast(context: Check) -> Forecast:
    """A minute for 50 MB of text."""
    text = context.figures[context.config.corpus]["streams"]["target"]["train"]["bytes"]
    vocabulary = context.figures[context.config.base].get("vocabulary") or 0
    return Forecast(
        reads=f"{text / 1e6:.1f} MB of target text",
        writes="tokenizer.json",
        memory_bytes=3e8 + 10 * text,
        disk_bytes=20e6,
        seconds=3 + text / 1e6,
        figures={"new_tokens": context.config.new_tokens, "new_size": vocabulary + context.config.new_tokens},
    )


def run(job: Job) -> dict[str, Any]:
    """Extend on the training text; measure and prove on the held-out text."""
    from lingraft.corpus import documents
    from lingraft.tokenizer import family
    from lingraft.tokenizer.extension import extend
    from lingraft.tokenizer.fertility import measure, segments
    from lingraft.tokenizer.proofs import prove, prove_guard

    corpus, model = job.inputs[job.config.corpus].folder, job.inputs[job.config.base].folder

    def texts(stream: str, part: str) -> list[str]:
        return [text for text, _, _ in documents(corpus, stream, part)]

    def training(stream: str) -> Iterator[str]:
        return (text for text, _, _ in documents(corpus, stream, "train"))

    guarded = job.config.guard == "replay"
    figures = extend(
        model,
        training("target"),
        job.folder,
        new_tokens=job.config.new_tokens,
        method=job.config.method,
        guard=training("replay") if guarded else (),
        progress=job.progress,
    )
    held_out = {stream: texts(stream, "held_out") for stream in ("target", "replay")}
    figures["proofs"] = prove(model, job.folder, held_out["target"], held_out["replay"], progress=job.progress)
    if guarded:
        figures["proofs"]["guard"] = prove_guard(model, job.folder, training("replay"), progress=job.progress)
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
    1,
    Tokenizer,
    makes=("tokenizer", "extension"),
    run=run,
    uses=("language", "replay"),
    check=check,
    forecast=forecast,
)

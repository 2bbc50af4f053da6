"""Stages small enough to read in one look; a step's own process can import them from here."""

import errno
import os
import signal
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from lingraft.core import launch
from lingraft.core.errors import InputError, StageError
from lingraft.core.stage import ANYTHING, Check, Forecast, Job, Needs, Stage, StageConfig


class Source(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    path: str


class Base(StageConfig):
    kind: Literal["base"] = "base"
    model: str


class Words(StageConfig):
    """Reads words from a file beside the recipe."""

    kind: Literal["words"] = "words"
    files: list[Source] = Field(min_length=1)
    shout: bool = False
    scale: float = Field(1.0, gt=0)
    workers: int = 1


class Count(StageConfig):
    """Counts words, in one of several ways to go wrong."""

    kind: Literal["count"] = "count"
    words: Annotated[str | None, Needs("words")] = None
    act: str = ""
    shares: dict[Literal["left", "right"], float] = Field({"left": 1.0})


class Summary(StageConfig):
    kind: Literal["summary"] = "summary"
    parts: Annotated[list[str] | None, Needs(ANYTHING)] = None
    count: Annotated[str | None, Needs("number", optional=True)] = None


def run_base(job: Job) -> dict[str, Any]:
    (job.folder / "model.txt").write_text(job.config.model, encoding="utf-8")
    return {"model": job.config.model}


def check_words(context: Check) -> None:
    for source in context.config.files:
        if not (context.recipe.folder / source.path).exists():
            raise InputError("there is no such file.", where=source.path)


def outside_words(context: Check) -> dict[str, str]:
    files = context.config.files
    return {f"files.{i}.path": context.content_hash(context.recipe.folder / f.path) for i, f in enumerate(files)}


def forecast_words(context: Check) -> Forecast:
    """A scale above 1e9 is a file that no disk holds."""
    return Forecast(disk_bytes=1e9 * context.config.scale if context.config.scale > 1e9 else 10, seconds=1)


def forecast_count(context: Check) -> Forecast:
    return Forecast(memory_bytes=1e15 if context.config.act == "huge" else None)


def run_words(job: Job) -> dict[str, Any]:
    text = " ".join((job.recipe_folder / f.path).read_text(encoding="utf-8") for f in job.config.files)
    (job.folder / "words.txt").write_text(text.upper() if job.config.shout else text, encoding="utf-8")
    job.progress.start("reading", total=2, unit="words")
    job.progress.advance(2)
    for word in job.progress.track(text.split(), "words"):
        job.progress.event("word", word=word)
    return {"words": len(text.split()), "seed": job.settings.seed, "process": os.getpid()}


def run_count(job: Job) -> dict[str, Any]:
    mark = job.folder / "half.txt"
    resumed, act = mark.exists(), job.config.act
    mark.write_text("half", encoding="utf-8")
    print(f"about to {act}", flush=True)
    if act == "refuse":
        raise InputError("the words are no words.", where="words.txt:3", remedy="Write words.")
    if act == "crash":
        raise ZeroDivisionError("a mistake of ours")
    if act == "full":
        raise OSError(errno.ENOSPC, "No space left on device")
    if act == "fill":
        with (job.folder / "big").open("wb") as file:
            while True:
                file.write(bytes(1 << 20))
    if act == "die" and not resumed:
        os.kill(os.getpid(), signal.SIGKILL)
    if act == "leave" and not resumed:
        child = os.fork()
        if child == 0:
            signal.pause()  # keeps the pipe open after its parent is gone
        (job.recipe_folder / "left").write_text(str(child), encoding="utf-8")
        os.kill(os.getpid(), signal.SIGKILL)
    if act == "hang":
        os.mkfifo(job.recipe_folder / "never")
        (job.recipe_folder / "pid").write_text(str(os.getpid()), encoding="utf-8")
        (job.recipe_folder / "never").read_text(encoding="utf-8")
    if act == "meet":
        if launch.rank() == 0:
            os.mkfifo(job.folder / "meeting")
            return {"words": 0, "met": (job.folder / "meeting").read_text(encoding="utf-8")}
        (job.folder / "meeting").write_text(f"process {launch.rank()}", encoding="utf-8")
        return {}
    if act == "save" and not resumed:
        told, tell = os.pipe()
        signal.signal(signal.SIGTERM, lambda *_: os.write(tell, b"!"))
        (job.recipe_folder / "pid").write_text(str(os.getpid()), encoding="utf-8")
        os.read(told, 1)
        (job.folder / "saved.txt").write_text("saved", encoding="utf-8")
        raise StageError("stopped as asked.", where="count", remedy="Run it again.")
    words = (job.inputs[job.config.words].folder / "words.txt").read_text(encoding="utf-8").split()
    return {"words": len(words), "resumed": resumed}


def run_summary(job: Job) -> dict[str, Any]:
    return {"parts": sorted(job.inputs), "recipe": job.resolved_recipe}


TABLE = {
    "base": Stage("base", 1, Base, makes=("model",), run=run_base),
    "words": Stage(
        "words",
        1,
        Words,
        makes=("words",),
        run=run_words,
        uses=("seed",),
        no_effect=frozenset({"workers"}),
        check=check_words,
        outside=outside_words,
        forecast=forecast_words,
    ),
    "count": Stage("count", 1, Count, makes=("number",), run=run_count, shared=True, forecast=forecast_count),
    "summary": Stage("summary", 1, Summary, makes=(), run=run_summary, uses=("language",)),
}

RECIPE = """# Counts words.
base: {model: none}
language: pl
stages:
  words: {files: [{path: words.txt}]}
  count:
  summary: {}
"""


def write_recipe(folder: Path, text: str = RECIPE) -> Path:
    """A recipe and the file that it reads."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "words.txt").write_text("one two three", encoding="utf-8")
    path = folder / "recipe.yaml"
    path.write_text(text, encoding="utf-8")
    return path

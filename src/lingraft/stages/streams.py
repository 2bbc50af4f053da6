"""What the stages have in common that read a target and a replay stream from outside."""

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar, Self

from pydantic import Field, model_validator

from lingraft.core.errors import InputError, RecipeError
from lingraft.core.hub import commit
from lingraft.core.outside import RecordSource, Source
from lingraft.core.stage import Check, Forecast, Job, Needs, StageConfig

Files = Callable[[Source, Path], Sequence[Path]]


STREAMS = ("target", "replay")
NOT_HERE = "not here"


def files_here(context: Check, source: Source, files: Files) -> list[Path]:
    """The files of a source; none of a data set on the hub.

    To plan for other devices than those here, the texts need not be here either.
    """
    try:
        return list(files(source, context.recipe.folder))
    except InputError:
        if context.target is None:
            raise
        return []


def identities(context: Check, files: Files) -> dict[str, str]:
    """The content of every file of both streams; the revision of a data set on the hub."""
    found = {}
    for stream in STREAMS:
        for index, source in enumerate(getattr(context.config, stream)):
            paths = files_here(context, source, files)
            key = "path" if source.path is not None else "dataset"
            identity = " ".join(f"{path.name}:{context.content_hash(path)}" for path in paths)
            found[f"{stream}.{index}.{key}"] = identity or _identity_elsewhere(context, source)
    return found


def _identity_elsewhere(context: Check, source: Source) -> str:
    if source.dataset is None:
        return NOT_HERE
    try:
        return f"{source.dataset}@{commit(source.dataset, source.revision, 'dataset')}"
    except InputError:
        if context.target is None:
            raise
        return NOT_HERE


def num_bytes(context: Check, files: Files) -> dict[str, float | None]:
    """Of the text of each stream that has sources; None where one of them is not here."""
    sizes: dict[str, float | None] = {}
    for stream in STREAMS:
        found = [files_here(context, source, files) for source in getattr(context.config, stream)]
        size = sum(_uncompressed_bytes(path) for paths in found for path in paths)
        if found:
            sizes[stream] = size if all(found) else None
    return sizes


def _uncompressed_bytes(path: Path) -> float:
    """Exact but for .zst and for .gz of several members or beyond 4 GB, which are taken to shrink to 37 %."""
    size = path.stat().st_size
    if path.suffix == ".gz" and size > 4:
        with path.open("rb") as file:
            file.seek(-4, os.SEEK_END)
            # The length of the last member modulo 2^32 (RFC 1952, section 2.3.1).
            length = int.from_bytes(file.read(4), "little")
        return length if length >= size else size / 0.37
    return size / 0.37 if path.suffix in (".gz", ".zst") else size


def told_sources(context: Check, sizes: Mapping[str, float | None]) -> str:
    """How many sources are read, and which streams' size is not known before."""
    told = f"{sum(len(getattr(context.config, stream)) for stream in STREAMS)} sources"
    unknown = " and ".join(stream for stream, size in sizes.items() if size is None)
    return f"{told}, {unknown} of unknown size" if unknown else told


def held_out_bytes(corpus: Mapping[str, Any], documents: int | None) -> float:
    """Of the held-out text of all streams, where of each no more than so many documents are read."""
    total = 0.0
    for stream in corpus["streams"].values():
        found = stream["held_out"]
        read = found["documents"] if documents is None else min(documents, found["documents"])
        total += found["bytes"] * read / max(1, found["documents"])
    return total


def check_languages(context: Check) -> None:
    """Both languages are known, and the one of replay is named where there is replay."""
    from lingraft.corpus import find

    find(context.settings.language)
    if context.settings.replay:
        find(context.settings.replay)
    elif context.config.replay:
        raise RecipeError(
            "there are replay texts, but the recipe does not say in which language.",
            where="replay",
            remedy="Add `replay: en` (or another code) beside `language:`.",
        )


class Records(StageConfig):
    """Which records, what is checked of them, and how much of them is held out."""

    without_sources: ClassVar[bool] = False
    """Whether the stage has records of its own."""

    target: list[RecordSource] = Field(
        [], description="In the language to graft; none where a later stage translates those of replay."
    )
    replay: list[RecordSource] = Field([], description="In the language to keep.")
    corpus: Annotated[str | None, Needs("text", optional=True)] = Field(
        None, description="Its texts teach the words that two languages of one script are told apart by."
    )
    held_out: int = Field(50, ge=0, description="Records of each stream kept out of training, all with one question.")
    size: int | None = Field(
        None, ge=1, description="At most so many training records of target; fewer are always among more."
    )
    max_record_bytes: int = Field(1_000_000, ge=1, description="A longer record is a bad one.")
    max_bad_share: float = Field(0.1, ge=0, le=1, description="Share of bad records above which the stage stops.")

    @model_validator(mode="after")
    def _something_to_read(self) -> Self:
        if not (self.target or self.replay or self.without_sources):
            raise ValueError("give sources of target, of replay, or of both")
        return self


def check_records(context: Check) -> None:
    """Languages and forms are known and every file or local data set is there."""
    from lingraft.conversations.forms import FORMS
    from lingraft.conversations.read import files_of
    from lingraft.core.registry import did_you_mean
    from lingraft.corpus import find

    check_languages(context)
    for stream in ("target", "replay"):
        for index, source in enumerate(getattr(context.config, stream)):
            files_here(context, source, files_of)
            if source.language is not None:
                find(source.language)
            if source.form not in ("auto", *FORMS):
                raise RecipeError(
                    f'no form is called "{source.form}".',
                    where=f"{stream}[{index}].form",
                    remedy=did_you_mean(source.form, ("auto", *FORMS)),
                )


def outside_of_records(context: Check) -> dict[str, str]:
    """The content of every file; the revision of a data set on the hub."""
    from lingraft.conversations.read import files_of

    return identities(context, files_of)


def forecast_records(context: Check) -> Forecast:
    """Numbers from the sizes of the files: a record is taken to have 1,500 bytes."""
    from lingraft.conversations.read import files_of

    config = context.config
    sizes = num_bytes(context, files_of)
    languages = {"target": context.settings.language, "replay": context.settings.replay}
    streams = {}
    for name, size in sizes.items():
        # A file that is here has something to train on, however short its records may be.
        train = max(1, size / 1500 - config.held_out) if size else 0
        if name == "target" and config.size is not None:
            train = min(train, config.size)
        streams[name] = {
            "train": round(train),
            "held_out": config.held_out,
            "bytes": round(1500 * train),
            "answers": round(train),
            "language": languages[name],
        }
    total = sum(size or 0 for size in sizes.values())
    known = None not in sizes.values()
    return Forecast(
        reads=told_sources(context, sizes),
        writes="jsonl",
        memory_bytes=6e8 + 3 * total if known else None,
        disk_bytes=1.2 * total if known else None,
        seconds=(20 if config.corpus else 2) + total / 5e5 if known else None,
        figures={"streams": streams},
    )


def run_records(job: Job, wanted: Any, **options: Any) -> dict[str, Any]:
    """Build the streams; see `lingraft.conversations.build`."""
    from lingraft.conversations.build import build

    config = job.config
    expected = {"target": job.settings.language, "replay": job.settings.replay}
    return build(
        {"target": config.target, "replay": config.replay},
        job.folder,
        wanted=wanted,
        languages=_languages(job, expected),
        expected=expected,
        base_folder=job.recipe_folder,
        held_out=config.held_out,
        size=config.size,
        max_record_bytes=config.max_record_bytes,
        max_bad_share=config.max_bad_share,
        seed=job.settings.seed,
        progress=job.progress,
        **options,
    )


def _languages(job: Job, expected: dict[str, str | None]) -> dict[str, Any]:
    """What judges each language that an answer may have to be in, by its tag."""
    from lingraft.conversations.languages import Expected
    from lingraft.corpus import find

    streams = {tag: name for name, tag in expected.items() if tag is not None}
    sources = {"target": job.config.target, "replay": job.config.replay}
    wanted = {source.language or expected[name]: None for name, read in sources.items() for source in read}
    found = {}
    for tag in wanted:
        name, rivals = streams.get(tag), [other for other in streams if other != tag]
        if name is None or not rivals:
            found[tag] = Expected(find(tag), None)
        else:
            found[tag] = judge_of(job, name, streams[rivals[0]])
    return found


def judge_of(job: Job, stream: str, other: str) -> Any:
    """What judges the language of one stream beside that of another; the words are those of the step `corpus`."""
    from lingraft.conversations.languages import Expected
    from lingraft.corpus import StreamTexts, find

    tags = {"target": job.settings.language, "replay": job.settings.replay}
    language, rival = find(tags[stream]), find(tags[other]) if tags[other] else None
    if job.config.corpus is None or rival is None:
        return Expected(language, rival)
    folder = job.inputs[job.config.corpus].folder
    training, held_out = (
        (StreamTexts(folder, stream, part), StreamTexts(folder, other, part)) for part in ("train", "held_out")
    )
    job.progress.start(f"learn the words of {language.name}")
    return Expected.learn(language, rival, training, held_out)

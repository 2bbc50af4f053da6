"""Documents from files and data sets, one at a time."""

import glob
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Generic, NamedTuple, TypeVar

import pyarrow as pa

from lingraft.core.errors import InputError
from lingraft.core.outside import Source, TextSource
from lingraft.core.progress import SILENT, Progress

from .document import BadRecord, Document, Unusable, excerpt, printable
from .formats import FORMATS, parse_fields
from .records import COMPRESSIONS

MAX_DOCUMENT_BYTES = 16 << 20


Value = TypeVar("Value")


class Formats(NamedTuple, Generic[Value]):
    """How records are taken from files and data sets; see `formats` for what a reader yields."""

    readers: Mapping[str, Callable[..., Iterator[tuple[str, object, Callable[[], Value]]]]]
    """By the files' suffix."""
    told: str
    """The suffixes, in a sentence."""
    parse_fields: Callable[..., Value]
    """A row of a data set."""


DOCUMENTS = Formats(FORMATS, ".jsonl, .txt and .csv are read, plain, .gz or .zst, and .parquet.", parse_fields)


class Parsed(NamedTuple, Generic[Value]):
    """What was taken from a record, the name of its source, its file as the recipe writes it, its position there."""

    value: Value
    source: str
    file: str
    position: str


def files(source: Source, folder: Path, formats: Formats = DOCUMENTS) -> list[Path]:
    """The files of a source, sorted; none for a data set on the hub. A relative path starts at `folder`.

    Raises InputError when there is no such file or folder and when a file's format is not known.
    """
    if source.dataset is not None:
        local = _local(source.dataset, folder)
        if local is None:
            return []
        found = (file for file in local.rglob("*") if file.is_file())
        return sorted(file for file in found if not any(part[0] == "." for part in file.relative_to(local).parts))
    path = folder / source.path
    if path.is_dir():
        raise InputError(
            "this is a folder.", where=path, remedy=f'Write which files in it, such as "{source.path}/*.jsonl".'
        )
    if path.is_file():
        paths = [path]
    elif glob.escape(source.path) == source.path:
        raise InputError("there is no such file.", where=path, remedy="A relative path starts at the recipe's folder.")
    else:
        # Path.glob takes no absolute pattern.
        matches = sorted(set(glob.glob(source.path, root_dir=folder, recursive=True)))  # noqa: PTH207
        paths = [folder / match for match in matches if (folder / match).is_file()]
    if not paths:
        raise InputError(
            "no file matches this pattern.", where=path, remedy="A relative path starts at the recipe's folder."
        )
    for file in paths:
        _format(file, formats)
    return paths


def read(
    source: TextSource, folder: Path, *, max_document_bytes: int, progress: Progress = SILENT
) -> Iterator[Document | BadRecord]:
    """The documents of a source in the order of its files, and the records that are none.

    Never holds more than about `max_document_bytes` of text, of a parquet file a few hundred rows; a longer record
    is read past. For .jsonl and .csv the limit is on the whole line or row. Blank lines are no records. The place
    of a document reads as the recipe writes the path. Raises InputError, also midway, when a file or data set
    cannot be read on.
    """
    for found in parsed(source, folder, DOCUMENTS, max_bytes=max_document_bytes, unit="documents", progress=progress):
        if isinstance(found, BadRecord):
            yield found
        else:
            yield Document(found.value[0], found.source, found.value[1], found.file + found.position)


def parsed(
    source: Source,
    folder: Path,
    formats: Formats[Value],
    *,
    max_bytes: int,
    unit: str,
    progress: Progress = SILENT,
) -> Iterator[Parsed[Value] | BadRecord]:
    """What `formats` take from the records of a source, as `read` does."""
    if source.dataset is not None:
        from . import hub  # importing datasets takes a second that plain files need not wait for

        progress.start(f"read {source.dataset}", unit=unit)
        path = str(_local(source.dataset, folder) or source.dataset)
        raw = (
            (position, fields, partial(formats.parse_fields, fields, source, path, max_bytes))
            for position, fields in hub.rows(path, source, progress)
        )
        yield from _judge(raw, source.dataset, source.name or source.dataset)
        return
    paths = files(source, folder, formats)
    progress.start(f"read {source.path}", total=sum(path.stat().st_size for path in paths), unit="bytes")
    for path in paths:
        stem, form = _format(path, formats)
        raw = formats.readers[form](path, source, max_bytes, progress)
        written = path.relative_to(folder) if path.is_relative_to(folder) else path
        num_read = 0
        try:
            for found in _judge(raw, str(written), source.name or printable(stem)):
                num_read += not isinstance(found, BadRecord)
                yield found
        except (OSError, pa.ArrowException) as error:
            raise InputError(
                f"the file cannot be read to its end; {num_read:,} {unit} could be read. {error}",
                where=path,
                remedy="Where it is cut off or damaged, fetch it again; `gzip -t` and `zstd -t` test a file.",
            ) from error


def texts_of(file: Path) -> list[str]:
    """The texts of a file's documents; records that are none are left out."""
    found = read(TextSource(path=str(file)), Path.cwd(), max_document_bytes=MAX_DOCUMENT_BYTES)
    return [document.text for document in found if isinstance(document, Document)]


def _judge(
    raw: Iterator[tuple[str, object, Callable[[], Value]]], written: str, name: str
) -> Iterator[Parsed[Value] | BadRecord]:
    file = printable(written)
    for position, record, parse in raw:
        try:
            value = parse()
        except Unusable as bad:
            yield BadRecord(file + position, bad.reason, printable(bad.detail), excerpt(record), name)
        else:
            yield Parsed(value, name, file, position)


def _format(path: Path, formats: Formats) -> tuple[str, str]:
    """The file's name without its suffixes, and its format; raises InputError for an unknown one."""
    plain = Path(path.stem) if path.suffix.lower() in COMPRESSIONS else Path(path.name)
    form = plain.suffix.lower()
    if form not in formats.readers or (form == ".parquet" and plain.name != path.name):
        suffix = "".join(path.suffixes[-2:]) if plain.name != path.name else path.suffix
        raise InputError(
            f'no reader for files that end in "{suffix}".',
            where=path,
            remedy=formats.told,
        )
    return plain.stem, form


def _local(dataset: str, folder: Path) -> Path | None:
    """The folder of a local data set, None for a hub id; raises InputError when a path leads nowhere."""
    path = folder / dataset
    if path.is_dir():
        return path
    if dataset.startswith((".", "/", "~")) or dataset.count("/") > 1 or path.exists():
        raise InputError(
            "there is no such folder.", where=path, remedy="A data set is a folder or a hub id; write a file as `path`."
        )
    return None

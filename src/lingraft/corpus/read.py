"""Documents from files and data sets, one at a time."""

import glob
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa

from lingraft.core.errors import InputError
from lingraft.core.outside import TextSource
from lingraft.core.progress import SILENT, Progress

from .document import BadRecord, Document, Unusable, excerpt, printable
from .formats import FORMATS, Raw
from .records import COMPRESSIONS

MAX_DOCUMENT_BYTES = 16 << 20


def files(source: TextSource, folder: Path) -> list[Path]:
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
        _format(file)
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
    if source.dataset is not None:
        from . import hub  # importing datasets takes a second that plain files need not wait for

        progress.start(f"read {source.dataset}", unit="documents")
        path = str(_local(source.dataset, folder) or source.dataset)
        name = source.name or source.dataset
        yield from _judge(hub.rows(path, source, max_document_bytes, progress), source.dataset, name)
        return
    paths = files(source, folder)
    progress.start(f"read {source.path}", total=sum(path.stat().st_size for path in paths), unit="bytes")
    for path in paths:
        stem, form = _format(path)
        raw = FORMATS[form](path, source, max_document_bytes, progress)
        written = path.relative_to(folder) if path.is_relative_to(folder) else path
        num_documents = 0
        try:
            for found in _judge(raw, str(written), source.name or printable(stem)):
                num_documents += isinstance(found, Document)
                yield found
        except (OSError, pa.ArrowException) as error:
            raise InputError(
                f"the file cannot be read to its end; {num_documents:,} documents could be read. {error}",
                where=path,
                remedy="Where it is cut off or damaged, fetch it again; `gzip -t` and `zstd -t` test a file.",
            ) from error


def texts_of(file: Path) -> list[str]:
    """The texts of a file's documents; records that are none are left out."""
    found = read(TextSource(path=str(file)), Path.cwd(), max_document_bytes=MAX_DOCUMENT_BYTES)
    return [document.text for document in found if isinstance(document, Document)]


def _judge(raw: Iterator[Raw], written: str, name: str) -> Iterator[Document | BadRecord]:
    for position, record, parse in raw:
        place = printable(written) + position
        try:
            text, group = parse()
        except Unusable as bad:
            yield BadRecord(place, bad.reason, printable(bad.detail), excerpt(record), name)
        else:
            yield Document(text, name, group, place)


def _format(path: Path) -> tuple[str, str]:
    """The file's name without its suffixes, and its format; raises InputError for an unknown one."""
    plain = Path(path.stem) if path.suffix.lower() in COMPRESSIONS else Path(path.name)
    form = plain.suffix.lower()
    if form not in FORMATS or (form == ".parquet" and plain.name != path.name):
        suffix = "".join(path.suffixes[-2:]) if plain.name != path.name else path.suffix
        raise InputError(
            f'no reader for files that end in "{suffix}".',
            where=path,
            remedy=".jsonl, .txt and .csv are read, plain, .gz or .zst, and .parquet.",
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

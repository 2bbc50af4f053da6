"""Rows of instructions and preferences from files and data sets, and the records in them."""

import json
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow.parquet as pq

from lingraft.core.errors import InputError
from lingraft.core.outside import RecordSource
from lingraft.core.progress import SILENT, Progress
from lingraft.corpus.document import INVALID_UTF8, NOT_AN_OBJECT, TOO_LONG, BadRecord, Unusable, printable
from lingraft.corpus.formats import PARQUET_BUFFER_BYTES, PARQUET_ROWS, names_of, parse_json
from lingraft.corpus.read import Formats, files, parsed
from lingraft.corpus.records import line_ends, open_file, records

from . import checks, forms
from .record import Record

ROWS_TOLD = 1000
"""That are read before a file without a row of a known form is an error."""
ARRAY_BYTES = 1 << 30

Row = Mapping[str, Any]


class Read(NamedTuple):
    """A record, or why a row holds none; where it stood, and how it begins there."""

    record: Record | None
    source: str
    place: str
    why: str = ""
    detail: str = ""
    row: object = None


def _lines(path: Path, source: RecordSource, max_bytes: int, progress: Progress) -> Iterator[tuple]:
    with open_file(path, progress) as stream:
        for record in records(stream, max_bytes, line_ends):
            yield f":{record.line}", record.data, partial(_row_of_line, record.data, max_bytes)


def _row_of_line(data: bytes, max_bytes: int) -> Row:
    return _row(parse_json(data, max_bytes))


def _json(path: Path, source: RecordSource, max_bytes: int, progress: Progress) -> Iterator[tuple]:
    """An array of rows, read whole; many files of this name hold lines."""
    with open_file(path, progress) as stream:
        begins = stream.peek(64).removeprefix(b"\xef\xbb\xbf").lstrip()[:1]
        data = stream.read(ARRAY_BYTES + 1) if begins == b"[" else b""
    if begins != b"[":
        yield from _lines(path, source, max_bytes, progress)
        return
    if len(data) > ARRAY_BYTES:
        raise InputError(
            f"the array is longer than {ARRAY_BYTES:,} bytes.", where=path, remedy="Write it as .jsonl, a row a line."
        )
    try:
        rows = json.loads(data.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise InputError(
            f"this is not valid JSON: {error}.", where=path, remedy="Mend it, or write a row a line as .jsonl."
        ) from None
    for number, row in enumerate(rows, 1):
        yield f"#{number}", row, partial(_checked, row, source, path, max_bytes)


def _parquet(path: Path, source: RecordSource, max_bytes: int, progress: Progress) -> Iterator[tuple]:
    with pq.ParquetFile(path, buffer_size=PARQUET_BUFFER_BYTES) as file:
        bytes_a_row = path.stat().st_size / max(1, file.metadata.num_rows)
        number = 0
        for batch in file.iter_batches(PARQUET_ROWS):
            for place in range(len(batch)):
                number += 1
                try:
                    row: object = batch.slice(place, 1).to_pylist()[0]
                except UnicodeDecodeError:
                    yield f"#{number}", "", _not_unicode
                else:
                    yield f"#{number}", row, partial(_checked, row, source, path, max_bytes)
            progress.advance(bytes_a_row * len(batch))


def _not_unicode() -> Row:
    raise Unusable(INVALID_UTF8)


def _checked(row: object, source: RecordSource, where: object, max_bytes: int) -> Row:
    """A row that has come without its bytes."""
    found = _row(row)
    if len(json.dumps(found, ensure_ascii=False, default=str)) > max_bytes:
        raise Unusable(TOO_LONG)
    return found


def _row(found: object) -> Row:
    if isinstance(found, list) and found and all(isinstance(turn, dict) for turn in found):
        return {"messages": found}
    if not isinstance(found, dict):
        raise Unusable(NOT_AN_OBJECT, f"but {type(found).__name__}")
    return found


ROWS: Formats[Row] = Formats(
    {".jsonl": _lines, ".json": _json, ".parquet": _parquet},
    ".jsonl and .json are read, plain, .gz or .zst, and .parquet.",
    _checked,
)


def files_of(source: RecordSource, folder: Path) -> list[Path]:
    """The files of a source, as `corpus.read.files` finds them."""
    return files(source, folder, ROWS)


def read(
    source: RecordSource,
    folder: Path,
    wanted: type[Record] | tuple[type[Record], ...],
    *,
    max_record_bytes: int,
    progress: Progress = SILENT,
) -> Iterator[Read]:
    """The records of a source in the order of its files, and the rows that hold none, each with its reason.

    Raises InputError for a file of which no row has a known form, or one of another kind than `wanted`, and as
    `corpus.read.parsed` does.
    """
    found: Iterator = parsed(source, folder, ROWS, max_bytes=max_record_bytes, unit="rows", progress=progress)
    strange = _Strange()
    for entry in found:
        if isinstance(entry, BadRecord):
            why = checks.TOO_LONG if entry.reason == TOO_LONG else entry.reason
            yield Read(None, entry.source, entry.place, why, entry.detail, entry.excerpt)
            continue
        row, place = entry.value, entry.file + entry.position
        strange.enter(entry.file)
        try:
            form = forms.form_of(row) if source.form == "auto" else source.form
            held = forms.records(row, form)
            other = next((record for record in held if not isinstance(record, wanted)), None)
            if other is not None:
                raise Unusable(forms.UNKNOWN_FORM, f"as {form} it holds {KINDS[type(other).__name__]}")
        except Unusable as bad:
            if bad.reason == forms.UNKNOWN_FORM:
                strange.count(row, bad.detail)
            else:
                strange.known = True
            yield Read(None, entry.source, place, bad.reason, printable(bad.detail), row)
        else:
            strange.known = True
            for record in held:
                yield Read(record, entry.source, place, row=row)
    strange.end()


KINDS = {"Conversation": "a conversation", "Preference": "a preference", "Verdict": "an answer with a verdict"}


class _Strange:
    """Finds out that a file has no row of a known form."""

    def __init__(self) -> None:
        self.file, self.known, self.rows = "", False, 0
        self.first = ""
        self.keys: list[str] = []

    def enter(self, file: str) -> None:
        if file != self.file:
            self.end()
            self.file, self.known, self.rows = file, False, 0

    def count(self, row: Row, detail: str) -> None:
        if self.rows == 0:
            self.keys, self.first = list(row), detail
        self.rows += 1
        if self.rows == ROWS_TOLD:
            self.end()

    def end(self) -> None:
        if self.rows == 0 or self.known:
            return
        known = "\n  ".join(f"{name}: {', '.join(form.keys)}" for name, form in forms.FORMS.items())
        raise InputError(
            f"none of {self.rows:,} rows has a form that can be used here; the first has the keys "
            f"{printable(names_of(self.keys))}: {printable(self.first)}.",
            where=self.file,
            remedy=f"Known forms, by their keys (a|b: one of them):\n  {known}",
        )

"""What a record is in each file format, and how its text is taken from it.

Every format yields (position, raw record, parse): parse() gives (text, group) or raises Unusable.
"""

import codecs
import csv
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from lingraft.core.errors import InputError
from lingraft.core.outside import TextSource
from lingraft.core.progress import Progress

from .document import BROKEN_ROW, NO_TEXT_FIELD, NOT_AN_OBJECT, NOT_JSON, Unusable, check, decode
from .records import line_ends, open_file, paragraphs, records, row_ends

Text = tuple[str, str | None]
Raw = tuple[str, object, Callable[[], Text]]
PARQUET_ROWS = 256
PARQUET_BUFFER_BYTES = 1 << 20


def jsonl(path: Path, source: TextSource, max_bytes: int, progress: Progress) -> Iterator[Raw]:
    """One JSON object a line."""
    with open_file(path, progress) as stream:
        for record in records(stream, max_bytes, line_ends):
            yield f":{record.line}", record.data, partial(_parse_line, record.data, source, max_bytes)


def parse_json(data: bytes, max_bytes: int) -> object:
    """The value that a line of JSON holds; raises Unusable when it holds none."""
    line = decode(data, max_bytes)
    try:
        return json.loads(line)
    except json.JSONDecodeError as error:
        raise Unusable(NOT_JSON, f"{error.msg} at character {error.pos}") from None
    except (ValueError, RecursionError) as error:  # a number of thousands of digits, thousands of brackets
        raise Unusable(NOT_JSON, str(error)) from None


def _parse_line(data: bytes, source: TextSource, max_bytes: int) -> Text:
    record = parse_json(data, max_bytes)
    if not isinstance(record, dict):
        raise Unusable(NOT_AN_OBJECT, f"but {type(record).__name__}")
    if source.text not in record:
        raise Unusable(NO_TEXT_FIELD, f'no "{source.text}"; there are: {names_of(list(record))}')
    return check(record[source.text], record.get(source.group), max_bytes)


def txt(path: Path, source: TextSource, max_bytes: int, progress: Progress) -> Iterator[Raw]:
    """A document a line, a paragraph or a file."""
    with open_file(path, progress) as stream:
        if source.document == "file":
            data = stream.read(len(codecs.BOM_UTF8) + max_bytes + 1).removeprefix(codecs.BOM_UTF8)
            yield "", data, partial(_parse_text, data, max_bytes)
            return
        found = (
            paragraphs(stream, max_bytes) if source.document == "paragraph" else records(stream, max_bytes, line_ends)
        )
        for record in found:
            yield f":{record.line}", record.data, partial(_parse_text, record.data, max_bytes)


def _parse_text(data: bytes, max_bytes: int) -> Text:
    return check(decode(data, max_bytes), None, max_bytes)


def csv_rows(path: Path, source: TextSource, max_bytes: int, progress: Progress) -> Iterator[Raw]:
    """A row a document, under a header line, as RFC 4180 has it."""
    # The module's own limit is 128 kB a field; the length of a row is checked before it comes to csv.
    csv.field_size_limit(max(csv.field_size_limit(), max_bytes))
    with open_file(path, progress) as stream:
        columns: list[str] | None = None
        for record in records(stream, max_bytes, row_ends):
            if record.num_quotes % 2:
                raise InputError(
                    'a quote (") is opened here and never closed.',
                    where=f"{path}:{record.line}",
                    remedy="Double the quotes inside a field and close the field.",
                )
            if columns is not None:
                yield f":{record.line}", record.data, partial(_parse_row, record.data, columns, source, max_bytes)
                continue
            try:
                columns = _split_row(record.data, max_bytes)
            except Unusable as bad:
                raise InputError(f"the header cannot be read: {bad.reason} {bad.detail}".strip(), where=path) from None
            require_column(columns, source, path)
        if columns is None:
            require_column([], source, path)


def _split_row(data: bytes, max_bytes: int) -> list[str]:
    try:
        return next(csv.reader([decode(data, max_bytes)], strict=True))
    except csv.Error as error:
        raise Unusable(BROKEN_ROW, str(error)) from None


def _parse_row(data: bytes, columns: list[str], source: TextSource, max_bytes: int) -> Text:
    fields = _split_row(data, max_bytes)
    if len(fields) != len(columns):
        raise Unusable(BROKEN_ROW, f"{len(fields)} fields under {len(columns)} columns")
    row = dict(zip(columns, fields, strict=True))
    return check(row[source.text], row.get(source.group), max_bytes)


def parquet(path: Path, source: TextSource, max_bytes: int, progress: Progress) -> Iterator[Raw]:
    """A row a document."""
    with pq.ParquetFile(path, buffer_size=PARQUET_BUFFER_BYTES) as file:
        names = file.schema_arrow.names
        require_column(names, source, path)
        columns = [name for name in dict.fromkeys((source.text, source.group)) if name in names]
        bytes_a_row = path.stat().st_size / max(1, file.metadata.num_rows)
        row = 0
        for batch in file.iter_batches(PARQUET_ROWS, columns=columns):
            texts = _cells(batch.column(source.text))
            groups = _cells(batch.column(source.group)) if source.group in columns else [None] * len(texts)
            for text, group in zip(texts, groups, strict=True):
                row += 1
                yield f"#{row}", text, partial(_parse_cell, text, group, max_bytes)
            progress.advance(bytes_a_row * len(batch))


def _cells(column: pa.Array) -> list:
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        column = column.cast(pa.large_binary())  # Arrow does not check that a string is UTF-8
    return column.to_pylist()


def _parse_cell(text: object, group: object, max_bytes: int) -> Text:
    text, group = (decode(cell, max_bytes) if isinstance(cell, bytes) else cell for cell in (text, group))
    return check(text, group, max_bytes)


def require_column(columns: Sequence[str], source: TextSource, where: object) -> None:
    """Raises InputError when the text is in no column."""
    if source.text not in columns:
        raise InputError(
            f'there is no column "{source.text}"; there are: {names_of(columns)}.',
            where=where,
            remedy="Name the column that holds the text in `text`.",
        )


def parse_fields(fields: Mapping[str, object], source: TextSource, where: object, max_bytes: int) -> Text:
    """The text and the group of a row of a data set; raises InputError when there is no such column."""
    require_column(list(fields), source, where)
    return check(fields[source.text], fields.get(source.group), max_bytes)


def names_of(names: Sequence[str]) -> str:
    """The first ten, to be told to a person."""
    more = f" and {len(names) - 10} more" if len(names) > 10 else ""
    return ", ".join(name[:40] for name in names[:10]) + more if names else "none"


FORMATS = {".jsonl": jsonl, ".txt": txt, ".csv": csv_rows, ".parquet": parquet}

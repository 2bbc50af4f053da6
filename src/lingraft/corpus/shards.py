"""A corpus on disk: `<stream>/<part>/00000.parquet` and on, zstd, in the order of reading."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import pyarrow as pa
import pyarrow.parquet as pq

from lingraft.core.errors import StoreError

from .document import Document

SCHEMA = pa.schema([(name, pa.string()) for name in Document._fields])
ROW_GROUP_DOCUMENTS = 1000
ROW_GROUP_BYTES = 32 << 20
SHARD_BYTES = 480 << 20


class ShardWriter:
    """Writes documents to numbered files, at least one, and counts them; a context manager."""

    def __init__(self, folder: Path, *, shard_bytes: int = SHARD_BYTES) -> None:
        folder.mkdir(parents=True)
        self.num_documents = 0
        self.num_bytes = 0
        self._folder, self._shard_bytes = folder, shard_bytes
        self._rows: list[Document] = []
        self._rows_bytes = 0
        self._num_shards = 0
        self._open()

    def add(self, document: Document, num_bytes: int) -> None:
        """Append a document of `num_bytes` of text."""
        self.num_documents += 1
        self.num_bytes += num_bytes
        self._rows.append(document)
        self._rows_bytes += num_bytes
        if len(self._rows) >= ROW_GROUP_DOCUMENTS or self._rows_bytes >= ROW_GROUP_BYTES:
            self._flush()

    def _open(self) -> None:
        self._sink = pa.OSFile(str(self._folder / f"{self._num_shards:05}.parquet"), "wb")
        self._writer = pq.ParquetWriter(self._sink, SCHEMA, compression="zstd", use_dictionary=["source", "group"])
        self._num_shards += 1

    def _close(self) -> None:
        self._writer.close()
        self._sink.close()

    def _flush(self) -> None:
        if not self._rows:
            return
        if self._sink.tell() >= self._shard_bytes:
            self._close()
            self._open()
        columns = [pa.array(column, pa.string()) for column in zip(*self._rows, strict=True)]
        self._writer.write_table(pa.table(columns, schema=SCHEMA))
        self._rows, self._rows_bytes = [], 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self._flush()
        self._close()


def documents(folder: Path, stream: str, part: str) -> Iterator[tuple[str, str, str | None]]:
    """(text, source, group) of every document of a corpus in `folder`, in the order of reading.

    `stream` is "target" or "replay" (empty when the corpus was built without), `part` "train" or "held_out".
    Raises StoreError when the folder does not hold them.
    """
    return rows(folder / stream / part, ["text", "source", "group"])


@dataclass(frozen=True)
class StreamTexts:
    """The texts of one part of a stream, which can be gone through any number of times and are read anew each time."""

    folder: Path
    stream: str
    part: str

    def __iter__(self) -> Iterator[str]:
        return (text for text, _, _ in documents(self.folder, self.stream, self.part))


def sample(folder: Path, stream: str, part: str, count: int | None) -> list[tuple[str, str, str | None]]:
    """At most `count` of the `documents`, evenly spread over the order of reading; None is all of them.

    The first ones would often come from a single group: one novel is no sample of a language.
    """
    found = list(documents(folder, stream, part))
    if count is None or count >= len(found):
        return found
    return [found[place * len(found) // count] for place in range(count)]


def rows(folder: Path, columns: Iterable[str] = Document._fields) -> Iterator[tuple]:
    """The rows of the shards of one folder."""
    shards = sorted(folder.glob("*.parquet"))
    if not shards:
        raise StoreError("there is no corpus here.", where=folder, remedy="Run the corpus stage again.")
    return _rows(shards, list(columns))


def _rows(shards: list[Path], columns: list[str]) -> Iterator[tuple]:
    for shard in shards:
        with pq.ParquetFile(shard) as file:
            for batch in file.iter_batches(ROW_GROUP_DOCUMENTS, columns=columns):
                yield from zip(*(batch.column(name).to_pylist() for name in columns), strict=True)

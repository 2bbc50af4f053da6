"""The raw records of a text file, plain or compressed, in bounded memory."""

import codecs
import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa

from lingraft.core.progress import Progress

COMPRESSIONS = {".gz": "gzip", ".zst": "zstd"}
PIECE_BYTES = 1 << 18


class Record(NamedTuple):
    """A record's first line (from 1), its bytes without the last line end, and how many quotes (") it has.

    Of a record longer than the limit the bytes are cut, but still longer than the limit.
    """

    line: int
    data: bytes
    num_quotes: int


class _Watched(io.FileIO):
    """A file that reports to `progress` the bytes read from it."""

    def __init__(self, path: Path, progress: Progress) -> None:
        super().__init__(path)
        self._progress = progress

    def readinto(self, buffer: memoryview) -> int:
        num_bytes = super().readinto(buffer)
        self._progress.advance(num_bytes)
        return num_bytes


def open_file(path: Path, progress: Progress) -> io.BufferedReader:
    """The decompressed bytes of a file; a damaged or cut compressed file raises OSError while it is read."""
    compression = COMPRESSIONS.get(path.suffix.lower())
    if compression is not None and path.stat().st_size == 0:
        raise OSError("it has 0 bytes")
    raw = io.BufferedReader(_Watched(path, progress))
    if compression is None:
        return raw
    # Arrow, because zstandard's own reader takes a cut file for a whole one. The buffer stays small: what is in it
    # when the damage is met is lost.
    return io.BufferedReader(pa.CompressedInputStream(pa.PythonFile(raw, "r"), compression))


def line_ends(piece: bytes, num_quotes: int) -> bool:
    """A record a line."""
    return piece.endswith(b"\n")


def row_ends(piece: bytes, num_quotes: int) -> bool:
    """A record a csv row: a line end inside quotes does not end it."""
    return piece.endswith(b"\n") and num_quotes % 2 == 0


def records(stream: io.BufferedReader, max_bytes: int, ends: Callable[[bytes, int], bool]) -> Iterator[Record]:
    """The records of a stream, blank ones left out; none is held beyond about `max_bytes`."""
    if stream.peek(3).startswith(codecs.BOM_UTF8):
        stream.read(3)
    held, line, num_lines, num_quotes = bytearray(), 1, 0, 0
    while piece := stream.readline(PIECE_BYTES):
        if len(held) <= max_bytes + len(b"\r\n"):
            held += piece
        num_lines += piece.endswith(b"\n")
        num_quotes += piece.count(b'"')
        if ends(piece, num_quotes):
            yield from _record(line, held, num_quotes)
            held, line, num_lines, num_quotes = bytearray(), line + num_lines, 0, 0
    yield from _record(line, held, num_quotes)


def paragraphs(stream: io.BufferedReader, max_bytes: int) -> Iterator[Record]:
    """The paragraphs of a stream, as `records` does; one or more blank lines stand between two."""
    held, first, last = bytearray(), 1, 0
    for line in records(stream, max_bytes, line_ends):
        if line.line > last + 1:
            yield from _record(first, held, 0)
            held, first = bytearray(), line.line
        if len(held) <= max_bytes + len(b"\r\n"):
            held += line.data + b"\n"
        last = line.line
    yield from _record(first, held, 0)


def _record(line: int, held: bytearray, num_quotes: int) -> Iterator[Record]:
    if held and not held.isspace():
        yield Record(line, bytes(held).removesuffix(b"\n").removesuffix(b"\r"), num_quotes)

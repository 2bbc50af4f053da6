"""Pairs of a text and its translation that show a base model what is wanted."""

import json
from collections.abc import Sequence
from pathlib import Path

from lingraft.core.errors import InputError

Pair = tuple[str, str]


def read(file: Path) -> list[Pair]:
    """The pairs of a file: lines of `text<tab>translation`, or of JSON, {"source": ..., "target": ...}, in .jsonl.

    Raises InputError for a line that is no pair, and for a file that cannot be read or holds none.
    """
    try:
        lines = file.read_text(encoding="utf-8").split("\n")  # splitlines would cut at U+2028 too
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"the examples cannot be read: {error}", where=file, remedy="Give a file of UTF-8 text."
        ) from error
    pairs = []
    for number, line in enumerate(lines, 1):
        if line.strip():
            pairs.append(_pair(line, file.suffix == ".jsonl", f"{file}:{number}"))
    if not pairs:
        raise InputError("there are no examples.", where=file, remedy="Three to eight pairs do.")
    return pairs


def checked(rows: Sequence[Sequence[str]]) -> list[Pair]:
    """Pairs that stand in a recipe; raises InputError where one is empty or of several lines."""
    for number, row in enumerate(rows, 1):
        if not all(text.strip() and "\n" not in text for text in row):
            raise InputError("a text of this pair is empty, or more than one line.", where=f"examples: pair {number}")
    return [(row[0].strip(), row[1].strip()) for row in rows]


def _pair(line: str, is_json: bool, where: str) -> Pair:
    try:
        row = json.loads(line) if is_json else None
        found = (row["source"], row["target"]) if is_json else tuple(line.split("\t"))
    except (ValueError, KeyError, TypeError):
        found = ()
    if len(found) == 2 and all(isinstance(text, str) and text.strip() and "\n" not in text for text in found):
        return found[0].strip(), found[1].strip()
    form = 'JSON, {"source": ..., "target": ...}, each one line' if is_json else "text<tab>translation"
    raise InputError("this line is no pair of a text and its translation.", where=where, remedy=f"Write it as {form}.")

"""Votes as they leave the file of ballots: whole or not at all, and safe to look at."""

import os
import re
import tempfile
from collections.abc import Iterable
from pathlib import Path

from lingraft.core.errors import StoreError


def write(rows: Iterable[str], to: Path, *, ballots: Path) -> None:
    """For the owner's eyes alone, as the ballots are. Raises StoreError where `to` is no file or is the ballots'."""
    to = to.resolve()
    ends = ("", "-wal", "-shm", "-journal")
    own = [Path(f"{ballots.resolve()}{end}") for end in ends]
    if any(path.exists() and to.exists() and to.samefile(path) for path in own) or to in own:
        raise StoreError(
            "the votes would be written over the ballots.", where=to, remedy="Name another file with --to."
        )
    if to.exists() and not to.is_file():
        raise StoreError("this is no file that could be written.", where=to, remedy="Name a file with --to.")
    try:
        number, name = tempfile.mkstemp(dir=to.parent, prefix=f".{to.name}.")
        temporary = Path(name)
        try:
            with os.fdopen(number, "w", encoding="utf-8", newline="\n") as file:
                file.writelines(rows)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(to)
        except BaseException:
            temporary.unlink()
            raise
    except OSError as error:
        raise StoreError(f"the votes cannot be written: {error.strerror}.", where=to) from error


def visible(row: str) -> str:
    """The same JSON with what steers or confuses a terminal as escapes."""
    return "".join(char if char.isprintable() else _escaped(char) for char in row.rstrip("\n")) + "\n"


def _escaped(char: str) -> str:
    return re.sub("(.{4})", r"\\u\1", char.encode("utf-16-be").hex())

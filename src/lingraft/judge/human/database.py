"""The SQLite file that holds annotators and votes: what is confirmed survives a crash of process and machine."""

import sqlite3
import threading
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path

from lingraft.core.errors import StoreError

APPLICATION = 0x4C474A42
"""Tells these files from any others in SQLite's form."""
VERSION = 1
_BUSY_SECONDS = 15
_SCHEMA = """
CREATE TABLE setting (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
CREATE TABLE question (
  id TEXT PRIMARY KEY, item TEXT NOT NULL, first TEXT, second TEXT, planted TEXT, num_votes INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE TABLE annotator (
  id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE, token BLOB NOT NULL UNIQUE, since REAL NOT NULL
) STRICT;
CREATE TABLE given (
  annotator INTEGER NOT NULL REFERENCES annotator ON DELETE CASCADE,
  position INTEGER NOT NULL,
  question TEXT NOT NULL REFERENCES question,
  swapped INTEGER NOT NULL,
  at REAL NOT NULL,
  vote INTEGER,
  PRIMARY KEY (annotator, position),
  UNIQUE (annotator, question)
) STRICT;
CREATE INDEX unanswered ON given (question) WHERE vote IS NULL;
CREATE TABLE vote (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  annotator INTEGER NOT NULL,
  question TEXT NOT NULL,
  key TEXT NOT NULL,
  choice TEXT NOT NULL,
  comment TEXT NOT NULL,
  seconds REAL NOT NULL,
  at REAL NOT NULL,
  UNIQUE (annotator, key),
  FOREIGN KEY (annotator, question) REFERENCES given (annotator, question) ON DELETE CASCADE
) STRICT;
CREATE INDEX vote_of ON vote (annotator, question);
"""
"""A vote is never changed: `given.vote` is the one that counts, earlier ones of the same question stay."""


class Database:
    """One connection that threads share, one at a time; other processes may write to the same file."""

    def __init__(self, path: Path) -> None:
        """Open a file that `create` made."""
        if not path.is_file():
            raise StoreError(
                "there are no ballots here.",
                where=path,
                remedy="Begin with lingraft judge serve ANSWERS --ballots FILE.",
            )
        self.path = path
        self._lock = threading.RLock()
        with told(path):
            self._connection = _connect(path)

    def close(self) -> None:
        with self._lock:
            self._connection.close()

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """All of it is on the disk when the block has ended, or nothing is."""
        with self._lock:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            yield self._connection

    def settings(self) -> dict[str, str]:
        """What these ballots were begun with."""
        with self.reading() as connection:
            return dict(connection.execute("SELECT name, value FROM setting"))

    def remember(self, name: str, value: str) -> None:
        """A setting that may change."""
        with self.transaction() as connection:
            connection.execute("INSERT OR REPLACE INTO setting VALUES (?, ?)", (name, value))

    def wipe(self) -> None:
        """Leave nothing in the file, or beside it, of what was deleted."""
        with self._lock:
            try:
                self._connection.execute("VACUUM")
                (busy, *_) = self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
                why = "another process reads it" if busy else None
            except sqlite3.OperationalError as error:
                why = str(error)
        if why:
            raise StoreError(
                f"it is deleted, but a copy stays in the log beside the file: {why}.",
                where=self.path,
                remedy="Stop other processes that have the file, and see that the disk is not full; then "
                "lingraft judge results FILE ends the log.",
            )


def create(path: Path, settings: Mapping[str, str], questions: Iterator[tuple[str | None, ...]]) -> None:
    """Begin a file of ballots, unless it is there; `questions` are rows (id, item, first, second, planted).

    Raises StoreError when the file was begun with other settings.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600)
    except OSError as error:
        raise StoreError(
            f"the ballots cannot be opened: {error.strerror}.",
            where=path,
            remedy="Choose a place that can be written to.",
        ) from error
    with told(path), closing(_connect(path, may_be_empty=True)) as connection:
        connection.execute("BEGIN EXCLUSIVE")
        if not connection.execute("SELECT COUNT(*) FROM sqlite_schema").fetchone()[0]:
            for statement in _SCHEMA.split(";\n"):
                connection.execute(statement)
            connection.execute(f"PRAGMA application_id = {APPLICATION}")
            connection.execute(f"PRAGMA user_version = {VERSION}")
            connection.executemany("INSERT INTO setting VALUES (?, ?)", settings.items())
            connection.executemany(
                "INSERT INTO question (id, item, first, second, planted) VALUES (?, ?, ?, ?, ?)", questions
            )
        connection.execute("COMMIT")
    opened = Database(path)
    begun = opened.settings()
    opened.close()
    if begun["answers"] != settings["answers"]:
        raise StoreError(
            "it holds votes on other answers.",
            where=path,
            remedy="Name another file with --ballots, or the old answers.",
        )
    other = [f"{name} {begun[name]} (not {value})" for name, value in settings.items() if begun[name] != value]
    if other:
        raise StoreError(
            f"it was begun with {', '.join(other)}.",
            where=path,
            remedy="Use that again, or another file with --ballots.",
        )


def _connect(path: Path, *, may_be_empty: bool = False) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    try:
        _check_ours(connection, path, may_be_empty)  # before anything that writes
        for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON", "secure_delete = ON"):
            connection.execute(f"PRAGMA {pragma}")
    except BaseException:
        connection.close()
        raise
    return connection


def _check_ours(connection: sqlite3.Connection, path: Path, may_be_empty: bool) -> None:
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (tables,) = connection.execute("SELECT COUNT(*) FROM sqlite_schema").fetchone()
    if may_be_empty and (application, version, tables) == (0, 0, 0):
        return
    if application != APPLICATION:
        raise StoreError("this is no file of ballots.", where=path, remedy="Name another file.")
    if version != VERSION:
        raise StoreError(
            f"the form of this file is {version}, not {VERSION}: another version made it.",
            where=path,
            remedy="Use that version for it, or name another file.",
        )


@contextmanager
def told(path: Path) -> Iterator[None]:
    """Errors of the file as the user's."""
    try:
        yield
    except sqlite3.OperationalError as error:
        raise StoreError(
            f"the ballots cannot be opened or written: {error}.",
            where=path,
            remedy="Try again when no other process holds them; see that the place can be written to and has room.",
        ) from error
    except sqlite3.DatabaseError as error:
        raise StoreError(f"this is no file of ballots: {error}.", where=path, remedy="Name another file.") from error

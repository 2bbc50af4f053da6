"""The SQLite file that holds annotators and votes: what is confirmed survives a crash of process and machine."""

import sqlite3
import threading
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path

from lingraft.core.errors import StoreError

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
        with _told(path):
            self._connection = _connect(path)
        (version,) = self._connection.execute("PRAGMA user_version").fetchone()
        if version != VERSION:
            self._connection.close()
            raise StoreError(
                f"the form of this file is {version}, not {VERSION}: it is no file of ballots, or another version's.",
                where=path,
                remedy="Name another file.",
            )

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
            self._connection.execute("VACUUM")
            (busy, *_) = self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        if busy:
            raise StoreError(
                "it is deleted, but a copy stays in the log beside the file, because another process reads it.",
                where=self.path,
                remedy="Stop that process: the log goes with it.",
            )


def create(path: Path, settings: Mapping[str, str], questions: Iterator[tuple[str | None, ...]]) -> None:
    """Begin a file of ballots, unless it is there; `questions` are rows (id, item, first, second, planted).

    Raises StoreError when the file was begun with other settings.
    """
    with _told(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600)
        with closing(_connect(path)) as connection:
            connection.execute("BEGIN EXCLUSIVE")
            if not connection.execute("SELECT COUNT(*) FROM sqlite_schema").fetchone()[0]:
                for statement in _SCHEMA.split(";\n"):
                    connection.execute(statement)
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


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    try:
        for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON", "secure_delete = ON"):
            connection.execute(f"PRAGMA {pragma}")
    except sqlite3.DatabaseError:
        connection.close()
        raise
    return connection


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """Errors of the file as the user's."""
    try:
        yield
    except (OSError, sqlite3.OperationalError) as error:
        raise StoreError(
            f"the ballots cannot be opened: {error}.", where=path, remedy="Choose a place that can be written to."
        ) from error
    except sqlite3.DatabaseError as error:
        raise StoreError(f"this is no file of ballots: {error}.", where=path, remedy="Name another file.") from error

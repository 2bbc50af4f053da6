"""Who is asked what, in which order, and what they said."""

import functools
import itertools
import json
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from sqlite3 import Connection
from typing import Any

from lingraft.core.errors import InputError

from . import tokens
from .database import Database, create
from .items import content_digest
from .questions import Mode, Question

HELD_SECONDS = 30 * 60
"""A question that was shown but not answered counts as answered for so long; then others may have it."""


class Refused(Exception):
    """What an annotator may not do: `token`, `unknown`, `not_given` or `key_reused`."""


@dataclass(frozen=True)
class Given:
    """A question as one annotator sees it."""

    position: int
    question: str
    swapped: bool
    """Whether the second text stands on the left."""
    choice: Any = None
    """What was said of it before."""
    comment: str = ""


@dataclass(frozen=True)
class State:
    """Where an annotator stands: the question to answer (None: there is no other), how many are done, how many left."""

    given: Given | None
    num_done: int
    num_left: int
    previous: int | None
    """The position of the question before."""


class Ballots:
    """The votes on one set of answers."""

    def __init__(self, path: Path, *, clock: Callable[[], float] = time.time) -> None:
        self.database = Database(path)
        self._clock = clock
        begun = self.database.settings()
        self.mode: Mode = "rate" if begun["mode"] == "rate" else "compare"
        self._seed = begun["seed"]
        self.study = f"{self.mode}_{begun['answers'][:12]}"
        """Tells these ballots apart from others that the same browser is asked for."""
        self._attention_share = float(begun["attention"])
        with self.database.reading() as connection:
            real = connection.execute("SELECT id FROM question WHERE planted IS NULL ORDER BY id")
            self._real = tuple(question for (question,) in real)

    @classmethod
    def begin(
        cls,
        path: Path,
        questions: Sequence[Question],
        mode: Mode,
        *,
        attention_share: float,
        seed: int,
        clock: Callable[[], float] = time.time,
    ) -> "Ballots":
        """Those in the file, which is made if it is not there. Raises StoreError when it belongs to other answers."""
        items = {question.item.id: question.item for question in questions}
        begun = {
            "answers": content_digest(list(items.values())),
            "mode": mode,
            "attention": repr(attention_share),
            "seed": str(seed),
        }
        rows = ((q.id, q.item.id, *(*q.models, None, None)[:2], q.planted) for q in questions)
        create(path, begun, rows)
        return cls(path, clock=clock)

    # Annotators

    def invite(self, name: str | None = None) -> tuple[str, str]:
        """A new annotator's name and token; the token is kept nowhere."""
        if name is not None and not (name.strip() and name.isprintable()):
            raise InputError(f"{name!r} is no name: it is blank or has characters that cannot be seen.")
        token = tokens.new()
        with self.database.transaction() as connection:
            if name is None:
                name = self._free_name(connection)
            elif self._id(connection, name) is not None:
                raise InputError(
                    f'there is an annotator "{name}" already.', remedy="Take another name, or a new link with --renew."
                )
            insert = "INSERT INTO annotator (name, token, since) VALUES (?, ?, ?)"
            connection.execute(insert, (name, tokens.digest(token), self._clock()))
        return name, token

    def renew(self, name: str) -> str:
        """Another token for an annotator; the old one works no more, the votes stay."""
        token = tokens.new()
        with self.database.transaction() as connection:
            found = self._known(connection, name)
            connection.execute("UPDATE annotator SET token = ? WHERE id = ?", (tokens.digest(token), found))
        return token

    def annotator(self, token: str) -> int | None:
        """Whose token it is."""
        with self.database.reading() as connection:
            row = connection.execute("SELECT id FROM annotator WHERE token = ?", (tokens.digest(token),)).fetchone()
        return row and row[0]

    def names(self) -> list[str]:
        with self.database.reading() as connection:
            return [name for (name,) in connection.execute("SELECT name FROM annotator ORDER BY id")]

    def delete(self, name: str | None) -> int:
        """Remove an annotator, or all, with everything they left; returns how many votes that were."""
        with self.database.transaction() as connection:
            ids = [self._known(connection, name)] if name is not None else self._ids(connection)
            before = connection.execute("SELECT COUNT(*) FROM vote").fetchone()[0]
            connection.executemany("DELETE FROM annotator WHERE id = ?", [(found,) for found in ids])
            connection.execute(
                "UPDATE question SET num_votes = "
                "(SELECT COUNT(*) FROM given WHERE given.question = question.id AND given.vote IS NOT NULL)"
            )
            after = connection.execute("SELECT COUNT(*) FROM vote").fetchone()[0]
        self.database.wipe()
        return before - after

    # Questions and votes

    def state(self, annotator: int, votes_per_item: int, position: int | None = None) -> State:
        """The question that waits for an answer, given out now if need be; or the one at `position`, to change it."""
        with self.database.transaction() as connection:
            return self._state(connection, annotator, votes_per_item, position)

    def vote(
        self, annotator: int, votes_per_item: int, *, key: str, question: str, choice: Any, comment: str, seconds: float
    ) -> State:
        """Count a vote and go on to the next question. The same vote under the same key is counted once.

        Raises Refused: "unknown" (no such question), "not_given" (to this annotator), "key_reused" (for another vote).
        """
        said = (question, json.dumps(choice, sort_keys=True), comment)
        with self.database.transaction() as connection:
            kept = connection.execute(
                "SELECT question, choice, comment FROM vote WHERE annotator = ? AND key = ?", (annotator, key)
            ).fetchone()
            if kept is None:
                self._count(connection, annotator, key, said, seconds)
            elif kept != said:
                raise Refused("key_reused")
            return self._state(connection, annotator, votes_per_item, None)

    def _count(
        self, connection: Connection, annotator: int, key: str, said: tuple[str, str, str], seconds: float
    ) -> None:
        question = said[0]
        mine = (annotator, question)
        given = connection.execute("SELECT vote FROM given WHERE annotator = ? AND question = ?", mine).fetchone()
        if given is None:
            known = connection.execute("SELECT 1 FROM question WHERE id = ?", (question,)).fetchone()
            raise Refused("not_given" if known else "unknown")
        row = connection.execute(
            "INSERT INTO vote (annotator, key, question, choice, comment, seconds, at) VALUES (?, ?, ?, ?, ?, ?, ?)",
            (annotator, key, *said, seconds, self._clock()),
        ).lastrowid
        connection.execute("UPDATE given SET vote = ? WHERE annotator = ? AND question = ?", (row, *mine))
        if given[0] is None:
            connection.execute("UPDATE question SET num_votes = num_votes + 1 WHERE id = ?", (question,))

    def _state(self, connection: Connection, annotator: int, votes_per_item: int, position: int | None) -> State:
        if connection.execute("SELECT 1 FROM annotator WHERE id = ?", (annotator,)).fetchone() is None:
            raise Refused("token")  # deleted since the request came in
        num_given, num_done = connection.execute(
            "SELECT COUNT(*), COUNT(vote) FROM given WHERE annotator = ?", (annotator,)
        ).fetchone()
        free = self._free(connection, annotator, votes_per_item)
        if num_done == num_given and (next_question := self._next(connection, annotator, num_given, free)):
            swapped = random.Random(f"order {self._seed} {annotator} {next_question}").random() < 0.5
            row = (annotator, num_given, next_question, swapped, self._clock())
            connection.execute(
                "INSERT INTO given (annotator, position, question, swapped, at) VALUES (?, ?, ?, ?, ?)", row
            )
            free.pop(next_question, None)
            num_given += 1
        left = num_given - num_done + self._num_to_come(connection, annotator, num_given, len(free))
        if position is None:
            position = num_given - 1 if num_done < num_given else num_given
        given = self._given(connection, annotator, position)
        return State(given, num_done, left, min(position, num_given) - 1 if position > 0 and num_given else None)

    def _given(self, connection: Connection, annotator: int, position: int) -> Given | None:
        row = connection.execute(
            "SELECT given.position, given.question, given.swapped, vote.choice, vote.comment "
            "FROM given LEFT JOIN vote ON vote.id = given.vote WHERE given.annotator = ? AND given.position = ?",
            (annotator, position),
        ).fetchone()
        if row is None:
            return None
        return Given(row[0], row[1], bool(row[2]), row[3] and json.loads(row[3]), row[4] or "")

    def _free(self, connection: Connection, annotator: int, votes_per_item: int) -> dict[str, int]:
        """The questions that want a vote and were not given to this annotator, with the votes they have or await."""
        return dict(
            connection.execute(
                "SELECT question.id, num_votes + (SELECT COUNT(*) FROM given"
                " WHERE question = question.id AND vote IS NULL AND at > ?) AS taken"
                " FROM question WHERE planted IS NULL AND num_votes < ? AND taken < ?"
                " AND NOT EXISTS (SELECT 1 FROM given WHERE annotator = ? AND question = question.id)",
                (self._clock() - HELD_SECONDS, votes_per_item, votes_per_item, annotator),
            )
        )

    def _next(self, connection: Connection, annotator: int, position: int, free: dict[str, int]) -> str | None:
        """A planted question where it is time for one; else one with the fewest votes, in an order of its own."""
        if not free:
            return None
        if self._planted_at(annotator, position) and (planted := self._planted(connection, annotator)):
            return planted[0]
        order = _order(self._seed, annotator, self._real)
        return min(free, key=lambda question: (free[question], order[question]))

    def _planted(self, connection: Connection, annotator: int) -> list[str]:
        """Those that this annotator has not seen, in an order of their own."""
        rows = connection.execute(
            "SELECT id FROM question WHERE planted IS NOT NULL"
            " AND NOT EXISTS (SELECT 1 FROM given WHERE annotator = ? AND question = question.id) ORDER BY id",
            (annotator,),
        )
        found = [question for (question,) in rows]
        random.Random(f"planted {self._seed} {annotator}").shuffle(found)
        return found

    def _num_to_come(self, connection: Connection, annotator: int, position: int, num_free: int) -> int:
        """So many questions follow if nobody else votes."""
        num_planted, end = len(self._planted(connection, annotator)), position
        while num_free:
            if num_planted and self._planted_at(annotator, end):
                num_planted -= 1
            else:
                num_free -= 1
            end += 1
        return end - position

    def _planted_at(self, annotator: int, position: int) -> bool:
        """Once in every so many questions, at a place that cannot be foreseen."""
        if not self._attention_share:
            return False
        block, place = divmod(position, round(1 / self._attention_share))
        return place == _drawn(f"{self._seed} {annotator} {block}", round(1 / self._attention_share))

    def _known(self, connection: Connection, name: str) -> int:
        found = self._id(connection, name)
        if found is None:
            names = [known for (known,) in connection.execute("SELECT name FROM annotator ORDER BY id")]
            raise InputError(
                f'there is no annotator "{name}".',
                where=self.database.path,
                remedy=f"There {'are' if names else 'is'}: {', '.join(names) or 'nobody'}.",
            )
        return found

    def _free_name(self, connection: Connection) -> str:
        """With the number of the row, or the next that nobody has."""
        last = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'annotator'").fetchone()
        names = (f"annotator-{number}" for number in itertools.count(last[0] + 1 if last else 1))
        return next(name for name in names if self._id(connection, name) is None)

    def _ids(self, connection: Connection) -> list[int]:
        return [found for (found,) in connection.execute("SELECT id FROM annotator")]

    def _id(self, connection: Connection, name: str) -> int | None:
        row = connection.execute("SELECT id FROM annotator WHERE name = ?", (name,)).fetchone()
        return row and row[0]


@functools.lru_cache(maxsize=1000)
def _order(seed: str, annotator: int, questions: tuple[str, ...]) -> dict[str, int]:
    shuffled = list(questions)
    random.Random(f"questions {seed} {annotator}").shuffle(shuffled)
    return {question: place for place, question in enumerate(shuffled)}


@functools.lru_cache(maxsize=100_000)
def _drawn(of: str, size: int) -> int:
    return random.Random(f"planted {of}").randrange(size)

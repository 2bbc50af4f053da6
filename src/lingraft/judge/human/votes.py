"""What was said, as it is exported and counted."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from lingraft.core.errors import InputError
from lingraft.judge.questions import AXES, BEST

from .database import Database
from .questions import SHUFFLED

LEFT, RIGHT, TIE, BOTH_BAD = CHOICES = ("left", "right", "tie", "both_bad")
_EXPORT = "Give the file that `lingraft judge export` writes."
_STILL_GOOD = 2
"""A planted answer that gets so much on the axis on which it was spoiled was not read."""


@dataclass(frozen=True)
class Vote:
    """The last word of an annotator on a question."""

    annotator: str
    item: str
    shown: tuple[str | None, ...]
    """The models whose answers were shown, left before right; None is a planted text."""
    choice: str | dict[str, int]
    """One of CHOICES, or a number for each of AXES."""
    comment: str
    seconds: float
    at: float
    planted: str | None
    earlier: tuple[Any, ...]
    """Choices that were changed."""

    @property
    def better(self) -> str | None:
        """The model whose answer was preferred; None where neither was."""
        return {LEFT: self.shown[0], RIGHT: self.shown[-1]}.get(self.choice) if isinstance(self.choice, str) else None

    @property
    def failed(self) -> bool | None:
        """Of an attention check: whether a text that is known to be worse was not found so. None elsewhere.

        "Both are bad" fails no check: the other answer may be bad too.
        """
        if self.planted is None:
            return None
        if isinstance(self.choice, dict):
            return self.choice["fluency" if self.planted == SHUFFLED else "accuracy"] >= _STILL_GOOD
        return self.choice != BOTH_BAD and self.better is None

    def as_json(self) -> dict[str, Any]:
        row = {
            "annotator": self.annotator,
            "item": self.item,
            "shown": list(self.shown),
            "choice": self.choice,
            "comment": self.comment,
            "seconds": self.seconds,
            "at": datetime.fromtimestamp(self.at, UTC).isoformat(timespec="seconds"),
            "attention": None if self.planted is None else {"planted": self.planted, "failed": self.failed},
            "earlier": list(self.earlier),
        }
        return row if isinstance(self.choice, dict) else {**row, "better": self.better}


def votes(database: Database) -> list[Vote]:
    """Every question that was answered, in the order in which votes came in."""
    with database.reading() as connection:
        earlier: dict[tuple[int, str], list[Any]] = {}
        said = "SELECT annotator, question, choice FROM vote ORDER BY id"
        for annotator, question, choice in connection.execute(said):
            earlier.setdefault((annotator, question), []).append(json.loads(choice))
        rows = connection.execute(
            "SELECT vote.annotator, question.id, annotator.name, item, first, second, planted, swapped, choice,"
            " comment, seconds, vote.at FROM given JOIN vote ON vote.id = given.vote"
            " JOIN question ON question.id = given.question JOIN annotator ON annotator.id = given.annotator"
            " ORDER BY vote.id"
        )
        return [_vote(row, earlier) for row in rows]


def read(path: Path) -> list[Vote]:
    """The votes of an export, which `lines` wrote. Raises InputError, with file and line, for one that is none, and
    where there are attention checks alone."""
    try:
        rows = path.read_bytes().splitlines()  # those of text end at U+2028 as well, which may stand in a comment
    except OSError as error:
        raise InputError(f"the votes cannot be read: {error}.", where=path, remedy=_EXPORT) from error
    found = []
    for number, line in enumerate(rows, 1):
        if not line.strip():
            continue
        try:
            found.append(_read(json.loads(line)))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise InputError("this is no vote.", where=f"{path}:{number}", remedy=_EXPORT) from error
    if all(vote.planted is not None for vote in found):
        raise InputError("there is no vote in it.", where=path, remedy=_EXPORT)
    return found


def lines(database: Database) -> Iterator[str]:
    """One JSON object for each vote."""
    for vote in votes(database):
        yield json.dumps(vote.as_json(), ensure_ascii=False) + "\n"


def _vote(row: tuple[Any, ...], earlier: dict[tuple[int, str], list[Any]]) -> Vote:
    annotator, question, name, item, first, second, planted, swapped, choice, comment, seconds, at = row
    said = json.loads(choice)
    models = (first,) if isinstance(said, dict) else (first, second)
    shown = tuple(reversed(models)) if swapped else models
    return Vote(name, item, shown, said, comment, seconds, at, planted, tuple(earlier[annotator, question][:-1]))


def _read(row: dict[str, Any]) -> Vote:
    """Raises ValueError, KeyError, TypeError or AttributeError for what is no vote."""
    choice, shown, attention = row["choice"], tuple(row["shown"]), row["attention"]
    if isinstance(choice, dict):
        is_choice = all(type(choice.get(axis)) is int and 0 <= choice[axis] <= BEST for axis in AXES)
    else:
        is_choice = choice in CHOICES
    models = [model for model in shown if isinstance(model, str)]
    wanted = (1 if isinstance(choice, dict) else 2) - (attention is not None)
    if not is_choice or not isinstance(row["item"], str) or not wanted <= len(models) <= len(shown) <= 2:
        raise ValueError("neither a comparison nor a rating")
    return Vote(
        str(row["annotator"]),
        row["item"],
        shown,
        choice,
        str(row["comment"]),
        float(row["seconds"]),
        datetime.fromisoformat(row["at"]).timestamp(),
        None if attention is None else str(attention["planted"]),
        tuple(row["earlier"]),
    )

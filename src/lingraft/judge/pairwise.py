"""Two models compared by a judge, every pair of answers in both orders."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from lingraft.ask.respondent import Respondent
from lingraft.core.progress import SILENT, Progress

from .answers import Item
from .questions import FIRST, TIE, Asking, Question, compare, verdict
from .replies import Read, read_replies

WIN, LOSS = "win", "loss"
SCORES = {WIN: 1.0, "tie": 0.5, LOSS: 0.0}
"""What an outcome is worth to the model that is compared."""


@dataclass(frozen=True)
class Compared:
    """What a judge said of the answers of one model and of the one it is compared with, to one prompt."""

    id: str
    lengths: tuple[int, int]
    """Characters of the model's answer, and of the other one's."""
    verdicts: tuple[str | None, str | None] = (None, None)
    """`A` (the answer shown first), `B` or `TIE`: with the model's answer first, and with it second. None was not read,
    or not asked."""
    alike: bool = False
    """Whether the two answers are the same, or both empty: a tie that nobody was asked about."""
    failures: tuple[str, ...] = ()
    said: tuple[str, ...] = ()
    """The judge's own words, in the two orders."""

    @property
    def single(self) -> tuple[str | None, str | None]:
        """Each order's verdict as an outcome for the model."""
        return _outcome(self.verdicts[0], FIRST), _outcome(self.verdicts[1], "B")

    @property
    def is_read(self) -> bool:
        """Whether the verdicts in both orders are known."""
        return None not in self.verdicts

    @property
    def consistent(self) -> bool | None:
        """Whether both orders lead to the same outcome."""
        return self.single[0] == self.single[1] if self.is_read else None

    @property
    def outcome(self) -> str | None:
        """`win`, `tie` or `loss` of the model; where the orders disagree a tie; None where one is missing."""
        if self.alike:
            return "tie"
        if not self.is_read:
            return None
        return self.single[0] if self.consistent else "tie"

    def as_json(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "verdicts": list(self.verdicts),
            "outcome": self.outcome,
            "consistent": self.consistent,
            "alike": self.alike,
            "failures": list(self.failures),
            "said": list(self.said),
        }


def ask(
    judge: Respondent, items: Sequence[Item], model: str, against: str, asking: Asking, *, progress: Progress = SILENT
) -> list[Compared]:
    """One verdict for each item, from two questions; answers that are alike are not asked about.

    A reply without a verdict is asked for once more, sharper; then it is a failure, and never a tie.
    """
    asked = [item for item in items if not _alike(item, model, against)]
    questions = [question for item in asked for question in _both(item, model, against, asking)]
    found = iter(read_replies(judge, questions, verdict, progress=progress))
    compared = []
    for item in items:
        lengths = (len(item.answers[model].strip()), len(item.answers[against].strip()))
        if _alike(item, model, against):
            compared.append(Compared(item.id, lengths, alike=True))
            continue
        both: tuple[Read[str], Read[str]] = (next(found), next(found))
        failures = tuple(read.failure for read in both if read.failure is not None)
        verdicts, said = (both[0].value, both[1].value), (both[0].said, both[1].said)
        compared.append(Compared(item.id, lengths, verdicts, failures=failures, said=said))
    return compared


def num_questions(items: Sequence[Item], model: str, against: str) -> int:
    """How many requests a comparison takes, replies that cannot be read left aside."""
    return 2 * sum(not _alike(item, model, against) for item in items)


def failures(compared: Sequence[Compared]) -> dict[str, int]:
    """How often what went wrong."""
    return dict(Counter(why for one in compared for why in one.failures).most_common())


def _both(item: Item, model: str, against: str, asking: Asking) -> tuple[Question, Question]:
    first, second = item.answers[model], item.answers[against]
    return compare(asking, item.prompt, first, second), compare(asking, item.prompt, second, first)


def _alike(item: Item, model: str, against: str) -> bool:
    return item.answers[model].split() == item.answers[against].split()


def _outcome(said: str | None, model_is: str) -> str | None:
    if said is None:
        return None
    if said == TIE:
        return "tie"
    return WIN if said == model_is else LOSS

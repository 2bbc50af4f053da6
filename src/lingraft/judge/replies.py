"""Questions put to a judge, and put once more where no verdict can be read from the reply."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from lingraft.ask.respondent import Reply, Respondent
from lingraft.core.progress import SILENT, Progress

from .questions import Question

Value = TypeVar("Value")
UNASKABLE = "It cannot be put to the judge"
"""How a failure begins that stays however often it is asked."""
UNREAD = "No verdict could be read from the reply, nor from the one to a sharper question."


@dataclass(frozen=True)
class Read(Generic[Value]):
    """What a judge said, or why nothing is known of it."""

    value: Value | None
    said: str = ""
    """The whole reply, the last one where there were two."""
    failure: str | None = None
    unread: bool = False
    """Whether the judge did reply, twice, without a verdict: asking again would not help."""


def read_replies(
    judge: Respondent,
    questions: Sequence[Question],
    parse: Callable[[str, str], Value | None],
    *,
    progress: Progress = SILENT,
) -> list[Read[Value]]:
    """What stands in the reply to each question; `parse` takes a reply and the question's mark."""
    found = [
        _read(reply, question, parse)
        for reply, question in zip(_asked(judge, [q.messages for q in questions], progress), questions, strict=True)
    ]
    again = [place for place, read in enumerate(found) if read.unread]
    replies = _asked(judge, [questions[place].sharper for place in again], progress)
    for place, reply in zip(again, replies, strict=True):
        found[place] = _read(reply, questions[place], parse)
    return found


def _asked(judge: Respondent, asked: Sequence[Sequence], progress: Progress) -> list[Reply]:
    return judge.reply(asked, progress=progress) if asked else []


def _read(reply: Reply, question: Question, parse: Callable[[str, str], Value | None]) -> Read[Value]:
    if reply.failure is not None:
        return Read(None, failure=f"{UNASKABLE}: {reply.failure}" if reply.lasting else reply.failure)
    value = parse(reply.text, question.mark)
    return Read(value, reply.text) if value is not None else Read(None, reply.text, UNREAD, unread=True)

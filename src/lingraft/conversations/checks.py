"""What is wrong with a record, whatever its language, and what is mended in it.

Nothing is mended but what `mended` names; everything else that is wrong sets a record apart with its reason.
"""

import hashlib
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import replace

import regex

from lingraft.ask.message import ASSISTANT, SYSTEM, USER, Message
from lingraft.corpus.document import NOT_UNICODE, Unusable

from .record import Conversation, Preference, Record

EMPTY_TURN = "an empty turn"
NO_ANSWER = "no answer"
SYSTEM_LATER = "a system message that is not the first"
STARTS_WITH_ASSISTANT = "begins with the assistant"
NOT_ALTERNATE = "roles do not alternate"
NO_QUESTION = "the prompt does not end with the user"
CONTROL_CHARACTER = "a control character"
REPLACED = "a replacement character, left by a wrong decoding"
HOLE = "a mark where text is missing"
TOO_LONG = "longer than max_record_bytes"
SAME_ANSWERS = "chosen and rejected are the same"
REASONS = (
    *(EMPTY_TURN, NO_ANSWER, SYSTEM_LATER, STARTS_WITH_ASSISTANT, NOT_ALTERNATE, NO_QUESTION),
    *(CONTROL_CHARACTER, REPLACED, HOLE, SAME_ANSWERS, NOT_UNICODE, TOO_LONG),
)

CUT = "user turns without an answer cut off"
COMPOSED = "composed to NFC"
TRIMMED = "white space around a turn cut off"
LINE_ENDS = "line ends of Windows"
SYSTEM_DROPPED = "an empty system message dropped"
MENDS: dict[str, Callable[[str], str]] = {
    COMPOSED: lambda text: unicodedata.normalize("NFC", text),
    LINE_ENDS: lambda text: text.replace("\r\n", "\n"),
    TRIMMED: str.strip,
}

CONTROL = regex.compile(r"[\p{Cc}--[\t\n]]", regex.VERSION1)
HOLES = regex.compile(r"<\s*(?:no[ _]?(?:in|out)put|无输入|无输出)\s*>", regex.IGNORECASE)
VISIBLE = regex.compile(r"[^\p{Z}\p{C}]")
# Signs that code and sums are made of stay: 7-3 is not 7/3.
NOT_SPOKEN = regex.compile(
    r"""[\p{Z}\p{C}\p{Pi}\p{Pf}\p{Ps}\p{Pe}!?;…"'`¿¡。，！？、；：]+|(?<!\d)[.,:]+|[.,:]+(?!\d)"""
)


def mended(record: Record) -> tuple[Record, list[str]]:
    """The record in NFC, trimmed, without an empty system message or trailing user turns; and which of it was done."""
    now, done = texts(record), []
    for name, mend in MENDS.items():
        before, now = now, [mend(text) for text in now]
        if now != before:
            done.append(name)
    trimmed = with_texts(record, now) if done else record
    turns = messages(trimmed)
    if turns and turns[0] == Message(SYSTEM, ""):
        turns = turns[1:]
        done.append(SYSTEM_DROPPED)
    if isinstance(trimmed, Conversation) and any(turn.role == ASSISTANT for turn in turns) and turns[-1].role == USER:
        while turns[-1].role == USER:
            turns = turns[:-1]
        done.append(CUT)
    if isinstance(trimmed, Conversation):
        return replace(trimmed, messages=turns), done
    return replace(trimmed, prompt=turns), done


def check(record: Record, max_bytes: int) -> None:
    """Raises Unusable with one of `REASONS` for a record that cannot be learned from."""
    all_texts = texts(record)
    try:
        num_bytes = sum(len(text.encode()) for text in all_texts)
    except UnicodeEncodeError as error:
        raise Unusable(NOT_UNICODE, f"lone surrogate at character {error.start}") from None
    if num_bytes > max_bytes:
        raise Unusable(TOO_LONG, f"{num_bytes:,} bytes")
    _check_turns(messages(record), answered=isinstance(record, Conversation))
    if not all(VISIBLE.search(text) for text in all_texts):
        raise Unusable(EMPTY_TURN)
    for text in all_texts:
        if found := CONTROL.search(text):
            raise Unusable(CONTROL_CHARACTER, f"U+{ord(found[0]):04X}")
        if "\ufffd" in text:
            raise Unusable(REPLACED)
        if found := HOLES.search(text):
            raise Unusable(HOLE, found[0])
    if isinstance(record, Preference) and record.chosen == record.rejected:
        raise Unusable(SAME_ANSWERS)


def _check_turns(turns: Sequence[Message], *, answered: bool) -> None:
    spoken = turns[1:] if turns and turns[0].role == SYSTEM else turns
    if any(turn.role == SYSTEM for turn in spoken):
        raise Unusable(SYSTEM_LATER)
    if not spoken or not (answered or any(turn.role == USER for turn in spoken)):
        raise Unusable(NO_ANSWER if answered else NO_QUESTION)
    if spoken[0].role == ASSISTANT:
        raise Unusable(STARTS_WITH_ASSISTANT)
    for place, turn in enumerate(spoken):
        if turn.role != (USER, ASSISTANT)[place % 2]:
            raise Unusable(NOT_ALTERNATE, f"turn {place + 1} is the {turn.role}'s")
    if answered and spoken[-1].role != ASSISTANT:
        raise Unusable(NO_ANSWER)
    if not answered and spoken[-1].role != USER:
        raise Unusable(NO_QUESTION)


def messages(record: Record) -> tuple[Message, ...]:
    """The turns of a conversation, or of a prompt."""
    return record.messages if isinstance(record, Conversation) else record.prompt


def answers(record: Record) -> tuple[str, ...]:
    """What a model could learn to say: of a preference first the chosen one."""
    if isinstance(record, Conversation):
        return record.answers
    return (record.chosen, record.rejected) if isinstance(record, Preference) else (record.answer,)


def asked(record: Record) -> tuple[str, ...]:
    """What the user says."""
    return tuple(turn.content for turn in messages(record) if turn.role == USER)


def texts(record: Record) -> list[str]:
    """Every text of a record in its order."""
    ends = () if isinstance(record, Conversation) else answers(record)
    return [*(turn.content for turn in messages(record)), *ends]


def with_texts(record: Record, new: Sequence[str]) -> Record:
    """The record with other texts, in the order of `texts`."""
    turns = tuple(Message(turn.role, text) for turn, text in zip(messages(record), new, strict=False))
    ends = new[len(turns) :]
    if isinstance(record, Conversation):
        return replace(record, messages=turns)
    if isinstance(record, Preference):
        return replace(record, prompt=turns, chosen=ends[0], rejected=ends[1])
    return replace(record, prompt=turns, answer=ends[0])


def plain(found: Sequence[str]) -> str:
    """Texts without case, white space and punctuation: what near-duplicates have in common."""
    kept = []
    for text in found:
        folded = unicodedata.normalize("NFKC", text).casefold()
        kept.append(NOT_SPOKEN.sub("", folded) or folded.strip())
    return "\x00".join(kept)


def digest(*found: str) -> bytes:
    """A key of texts, of 16 bytes."""
    return hashlib.blake2b("\x01".join(found).encode(), digest_size=16).digest()

"""Conversations as tokens, and which of these the assistant says."""

from array import array
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass

from lingraft.ask.message import ASSISTANT, SYSTEM, USER, Message, Messages
from lingraft.core.errors import InputError

from .template import Template

TOO_LONG = "longer than the context"
CONTROL_TOKENS = "has control tokens of the tokenizer in its text"
INTO_USER, LEFT_OUT, REFUSED = "into_user", "leave_out", "refuse"
REWRITTEN = "is written otherwise by the template than it is"
NO_SYSTEM = "has a system message, which the template drops"


@dataclass(frozen=True)
class Tokenized:
    """One sequence of a conversation."""

    ids: Sequence[int]
    answer_places: Sequence[int]
    """Of the tokens that the assistant says, with the one that ends each answer."""
    answer_bytes: int
    """Of the answers as text."""


@dataclass(frozen=True)
class LeftOut:
    """Why a conversation is not trained on."""

    why: str


def tokenize(
    template: Template, messages: Messages, *, most_tokens: int, system: str = REFUSED
) -> tuple[list[Tokenized], int] | LeftOut:
    """The sequences of a conversation, and how many exchanges at its end were left out to fit in `most_tokens`.

    One sequence holds all turns, and is what a model reads when it is asked for the last answer. Where the template
    writes earlier answers in another way once there are later ones (some drop what was thought), each answer is the end
    of a sequence of its own instead. An answer is never cut: without its end a model would not learn to stop.
    """
    if template.has_control_tokens(messages):
        return LeftOut(CONTROL_TOKENS)
    if messages[0].role == SYSTEM and not template.takes_system:
        if system == LEFT_OUT:
            return LeftOut(NO_SYSTEM)
        messages = _folded(template, messages, system)
    try:
        return _longest(template, messages, most_tokens)
    except InputError:  # the template itself has been tried: it is this conversation that it rewrites
        return LeftOut(REWRITTEN)


def _longest(template: Template, messages: Messages, most_tokens: int) -> tuple[list[Tokenized], int] | LeftOut:
    """With as many exchanges as fit, by halving: more of them are never fewer tokens."""
    exchanges = range(1, len(messages) // 2 + 1)
    first_message = len(messages) % 2

    def fits(number: int) -> list[Tokenized] | None:
        found = _sequences(template, messages[: first_message + 2 * number])
        return found if all(len(sequence.ids) <= most_tokens for sequence in found) else None

    whole = fits(len(exchanges))
    if whole is not None:
        return whole, 0
    number = bisect_left(exchanges, True, key=lambda number: fits(number) is None)
    found = fits(number) if number else None
    return LeftOut(TOO_LONG) if found is None else (found, len(exchanges) - number)


def _folded(template: Template, messages: Messages, system: str) -> Messages:
    """The system message before the first user turn, for a template that has no place for one."""
    if template.takes_system or messages[0].role != SYSTEM:
        return messages
    if system != INTO_USER:
        raise InputError(
            "the chat template drops system messages, and there are conversations that have one.",
            where=template.tokenizer.name_or_path,
            remedy=f"Set system to {INTO_USER}, to {LEFT_OUT}, or choose a template that has a place for it.",
        )
    first = Message(USER, f"{messages[0].content}\n\n{messages[1].content}")
    return [first, *messages[2:]]


def _sequences(template: Template, messages: Messages) -> list[Tokenized]:
    turns = [turn for turn, message in enumerate(messages) if message.role == ASSISTANT]
    whole = template.render(messages)
    pieces = [template.answer(messages, turn) for turn in turns]
    contents = [len(messages[turn].content.encode()) for turn in turns]
    asked = [_ids(template, before) for before, _ in pieces]
    as_asked = all(
        _ids(template, before + piece)[: len(ids)] == ids for ids, (before, piece) in zip(asked, pieces, strict=True)
    )
    if as_asked and all(whole.startswith(before + piece) for before, piece in pieces):
        # What follows the last answer's end is never read when it is asked for.
        last_before, last_piece = pieces[-1]
        spans = [(len(before), len(before) + len(piece)) for before, piece in pieces]
        return [_tokenized(template, last_before + last_piece, spans, sum(contents))]
    # The prompt is tokenized by itself, as it is in use: its end could be one token with the beginning of the answer.
    return [
        Tokenized(prompt + answer, range(len(prompt), len(prompt) + len(answer)), size)
        for prompt, answer, size in zip(asked, (_ids(template, piece) for _, piece in pieces), contents, strict=True)
    ]


def _ids(template: Template, text: str) -> array:
    return array("i", template.tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"])


def _tokenized(template: Template, text: str, spans: Sequence[tuple[int, int]], answer_bytes: int) -> Tokenized:
    encoding = template.tokenizer(text, add_special_tokens=False, return_offsets_mapping=True, verbose=False)
    places, remaining = [], list(spans)
    for place, (start, end) in enumerate(encoding["offset_mapping"]):
        while remaining and start >= remaining[0][1]:
            remaining.pop(0)
        if remaining and end > remaining[0][0]:
            places.append(place)
    return Tokenized(array("i", encoding["input_ids"]), array("i", places), answer_bytes)

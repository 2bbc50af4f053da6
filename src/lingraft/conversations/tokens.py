"""Conversations as tokens, and which of these the assistant says."""

from collections.abc import Sequence
from dataclasses import dataclass

from lingraft.ask.message import ASSISTANT, SYSTEM, USER, Message, Messages
from lingraft.core.errors import InputError

from .template import Template

TOO_LONG = "longer than the context"
CONTROL_TOKENS = "has control tokens of the tokenizer in its text"
INTO_USER, LEFT_OUT, REFUSED = "into_user", "leave_out", "refuse"
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
        messages = folded(template, messages, system)
    for end in range(len(messages), 1, -2):
        found = _sequences(template, messages[:end])
        if all(len(sequence.ids) <= most_tokens for sequence in found):
            return found, (len(messages) - end) // 2
    return LeftOut(TOO_LONG)


def folded(template: Template, messages: Messages, system: str) -> Messages:
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
    if all(whole.startswith(before + piece) for before, piece in pieces):
        # What follows the last answer's end is never read when it is asked for.
        last_before, last_piece = pieces[-1]
        spans = [(len(before), len(before) + len(piece)) for before, piece in pieces]
        return [_tokenized(template, last_before + last_piece, spans, sum(contents))]
    return [
        _tokenized(template, before + piece, [(len(before), len(before) + len(piece))], size)
        for (before, piece), size in zip(pieces, contents, strict=True)
    ]


def _tokenized(template: Template, text: str, spans: Sequence[tuple[int, int]], answer_bytes: int) -> Tokenized:
    encoding = template.tokenizer(text, add_special_tokens=False, return_offsets_mapping=True, verbose=False)
    places, remaining = [], list(spans)
    for place, (start, end) in enumerate(encoding["offset_mapping"]):
        while remaining and start >= remaining[0][1]:
            remaining.pop(0)
        if remaining and end > remaining[0][0]:
            places.append(place)
    return Tokenized(encoding["input_ids"], places, answer_bytes)

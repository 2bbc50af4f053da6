"""What models are asked, to be judged by their answers: held-out conversations, or prompts of one's own."""

import gzip
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lingraft.ask.message import ASSISTANT, SYSTEM, USER, Message
from lingraft.core.errors import InputError
from lingraft.evaluate.task import spread

HELD_OUT = "target.held_out.jsonl"
"""In the folder of a conversations artifact."""
FORMS = (
    'A line has the form {"prompt": "..."}, {"prompt": [{"role": "user", "content": "..."}], "reference": "..."} or '
    '{"messages": [{"role": "user", "content": "..."}, {"role": "assistant", "content": "..."}]}, each with an "id" '
    "if it is to be told by one."
)


@dataclass(frozen=True)
class Prompt:
    """A conversation that ends with a user's turn, and a good answer to it where one is known."""

    id: str
    messages: tuple[Message, ...]
    reference: str | None = None


def read(path: Path, items: int | None = None) -> list[Prompt]:
    """The prompts of a JSONL file, or of a conversations artifact's held-out part; at most `items`, evenly spread.

    A conversation is asked up to its last user's turn, and what the assistant said to that is the reference; of a
    preference that is the chosen answer. Raises InputError, with file and line, for the first that is none of these.
    """
    file = path / HELD_OUT if path.is_dir() else path
    found: dict[str, Prompt] = {}
    for number, row in _rows(file):
        prompt = _prompt(row, number, f"{file}:{number}")
        if prompt.id in found:
            raise InputError(f'the id "{prompt.id}" occurs twice.', where=f"{file}:{number}", remedy="Give it another.")
        found[prompt.id] = prompt
    if not found:
        raise InputError("there are no prompts in it.", where=file, remedy=FORMS)
    prompts = list(found.values())
    return prompts if items is None or items >= len(prompts) else [prompts[i] for i in spread(len(prompts), items)]


def _rows(file: Path) -> Iterator[tuple[int, Any]]:
    try:
        with gzip.open(file, "rt", encoding="utf-8") if file.suffix == ".gz" else file.open(encoding="utf-8") as lines:
            for number, line in enumerate(lines, 1):
                if line.strip():
                    try:
                        yield number, json.loads(line)
                    except (ValueError, RecursionError) as error:
                        raise InputError(
                            f"this is not JSON: {error}.", where=f"{file}:{number}", remedy=FORMS
                        ) from None
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise InputError(f"the prompts cannot be read: {error}.", where=file, remedy=FORMS) from error


def _prompt(row: Any, number: int, where: str) -> Prompt:
    prompt = _read(row, number, where)
    if not prompt.id.strip() or not prompt.id.isprintable():
        raise InputError("the id is blank or has control characters.", where=where, remedy="Give it another.")
    for text in (*(message.content for message in prompt.messages), prompt.reference or ""):
        if any("\ud800" <= character <= "\udfff" for character in text):
            raise InputError(
                "a text has half a character (half a surrogate pair, such as \\ud83d).", where=where, remedy="Mend it."
            )
    return prompt


def _read(row: Any, number: int, where: str) -> Prompt:
    if not isinstance(row, Mapping) or not ("prompt" in row or "messages" in row):
        raise InputError('there is neither "prompt" nor "messages" in it.', where=where, remedy=FORMS)
    turns = row["prompt"] if "prompt" in row else row["messages"]
    turns = [{"role": USER, "content": turns}] if isinstance(turns, str) else turns
    messages = _messages(turns, where)
    last = max((place for place, message in enumerate(messages) if message.role == USER), default=None)
    if last is None:
        raise InputError("no user says anything in it.", where=where, remedy=FORMS)
    after = messages[last + 1 :]
    if "prompt" in row and after:
        raise InputError("the prompt does not end with the user's turn.", where=where, remedy=FORMS)
    reference = row.get("reference", row.get("chosen"))
    if reference is None and row.get("good") is True:
        reference = row.get("answer")
    if reference is None and after:
        reference = after[0].content
    if not (reference is None or isinstance(reference, str)):
        raise InputError(f"the reference is no text ({reference!r}).", where=where, remedy=FORMS)
    return Prompt(str(row.get("id", number)), messages[: last + 1], reference)


def _messages(turns: Any, where: str) -> tuple[Message, ...]:
    if not isinstance(turns, list):
        raise InputError("the turns are neither a text nor a list.", where=where, remedy=FORMS)
    messages = []
    for turn in turns:
        role, content = (turn.get("role"), turn.get("content")) if isinstance(turn, Mapping) else (None, None)
        if role not in (SYSTEM, USER, ASSISTANT) or not isinstance(content, str) or not content.strip():
            raise InputError(
                f"this is no turn: {json.dumps(turn, ensure_ascii=False)[:80]}.", where=where, remedy=FORMS
            )
        messages.append(Message(role, content))
    return tuple(messages)

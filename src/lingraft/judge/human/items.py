"""What people are asked about: prompts with the answers of several models, one JSON object a line."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from lingraft.ask.message import Message
from lingraft.core.errors import InputError
from lingraft.corpus import language


@dataclass(frozen=True)
class Item:
    """A prompt and what each model answered."""

    id: str
    prompt: tuple[Message, ...]
    answers: dict[str, str]
    language: language.Language


class _Turn(BaseModel):
    model_config = ConfigDict(strict=True)
    role: Literal["system", "user", "assistant"]
    content: str


class _Line(BaseModel):
    model_config = ConfigDict(strict=True)
    id: str = Field(min_length=1)
    prompt: list[_Turn] = Field(min_length=1)
    answers: dict[str, str]
    language: str


def read(path: Path, *, least_models: int = 1) -> list[Item]:
    """The items of a file, in its order.

    Raises InputError, with file and line, for the first that cannot be asked about.
    """
    try:
        lines = path.read_bytes().splitlines()
    except OSError as error:
        raise InputError(
            f"the answers cannot be read: {error.strerror}.",
            where=path,
            remedy="Name the answers.jsonl that a judge stage wrote.",
        ) from error
    items: dict[str, Item] = {}
    for number, data in enumerate(lines, start=1):
        if not data.strip():
            continue
        where = f"{path}:{number}"
        item = _item(data, where)
        if item.id in items:
            raise InputError(
                f'the id "{item.id}" occurs twice.', where=where, remedy="Give each item an id of its own."
            )
        if len(item.answers) < least_models:
            raise InputError(
                f'the item "{item.id}" has answers of {len(item.answers)} model(s); a comparison needs two.',
                where=where,
                remedy="Add another model's answers, or have each answer rated by itself with --mode rate.",
            )
        items[item.id] = item
    if not items:
        raise InputError("there is no item in it.", where=path, remedy="Write one JSON object a line.")
    return list(items.values())


def content_digest(items: Sequence[Item]) -> str:
    """Of everything an annotator may see, whatever the white space and the order of keys in the file."""
    rows = [
        [item.id, [turn.as_json() for turn in item.prompt], sorted(item.answers.items()), item.language.tag]
        for item in items
    ]
    return hashlib.sha256(json.dumps(rows, sort_keys=True).encode()).hexdigest()


def _item(data: bytes, where: str) -> Item:
    form = 'A line has the form {"id": "1", "prompt": [{"role": "user", "content": "..."}], '
    form += '"answers": {"model": "..."}, "language": "pl"}.'
    try:
        said = json.loads(data)
        line = _Line.model_validate(said)
    except (ValueError, RecursionError) as error:
        if isinstance(error, ValidationError):
            first = error.errors()[0]
            what = f"{'.'.join(map(str, first['loc'])) or 'the line'}: {first['msg'].lower()}."
        else:
            what = f"this is not JSON: {error}."
        raise InputError(what, where=where, remedy=form) from error
    try:
        json.dumps(said, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        raise InputError(
            "a text has half a character (a surrogate without its other half), which cannot be shown.",
            where=where,
            remedy="Mend or leave out the line; an escape like \\ud83d stands only before its second half.",
        ) from error
    names = [line.id, *line.answers]
    if not all(name.strip() and name.isprintable() for name in names):
        raise InputError("an id or the name of a model is blank or has control characters.", where=where, remedy=form)
    try:
        found = language.find(line.language)
    except InputError as error:
        raise InputError(error.what, where=where, remedy=error.remedy) from error
    prompt = tuple(Message(turn.role, turn.content) for turn in line.prompt)
    return Item(line.id, prompt, dict(sorted(line.answers.items())), found)

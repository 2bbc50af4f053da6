"""The records that trainings read, whatever form they came in, and how they stand in files: one JSON object a line."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lingraft.ask.message import ASSISTANT, Message, from_json


@dataclass(frozen=True)
class Conversation:
    """Turns of a user and an assistant, perhaps after a system message; the assistant has the last word."""

    id: str
    messages: tuple[Message, ...]

    def as_json(self) -> dict[str, Any]:
        return {"id": self.id, "messages": [message.as_json() for message in self.messages]}

    @property
    def answers(self) -> tuple[str, ...]:
        """What the assistant says."""
        return tuple(message.content for message in self.messages if message.role == ASSISTANT)


@dataclass(frozen=True)
class Preference:
    """A conversation that ends with a user's turn, and two answers to it."""

    id: str
    prompt: tuple[Message, ...]
    chosen: str
    rejected: str

    def as_json(self) -> dict[str, Any]:
        prompt = [message.as_json() for message in self.prompt]
        return {"id": self.id, "prompt": prompt, "chosen": self.chosen, "rejected": self.rejected}


@dataclass(frozen=True)
class Verdict:
    """A conversation that ends with a user's turn, and one answer that was found good or bad."""

    id: str
    prompt: tuple[Message, ...]
    answer: str
    good: bool

    def as_json(self) -> dict[str, Any]:
        prompt = [message.as_json() for message in self.prompt]
        return {"id": self.id, "prompt": prompt, "answer": self.answer, "good": self.good}


Record = Conversation | Preference | Verdict


def record(row: Mapping[str, Any]) -> Record:
    """What `as_json` wrote."""
    if "messages" in row:
        return Conversation(row["id"], from_json(row["messages"]))
    prompt = from_json(row["prompt"])
    if "chosen" in row:
        return Preference(row["id"], prompt, row["chosen"], row["rejected"])
    return Verdict(row["id"], prompt, row["answer"], row["good"])


def file(folder: Path, stream: str, part: str) -> Path:
    """Where the records of `part` (`train` or `held_out`) of a stream stand in an artifact."""
    return folder / (f"{stream}.jsonl" if part == "train" else f"{stream}.{part}.jsonl")


def write(folder: Path, stream: str, part: str, records: Iterable[Record]) -> None:
    """Write records to an artifact, one a line."""
    with file(folder, stream, part).open("w", encoding="utf-8") as lines:
        lines.writelines(json.dumps(found.as_json(), ensure_ascii=False) + "\n" for found in records)


def read(folder: Path, stream: str, part: str) -> list[Record]:
    """The records that `write` wrote; none where there is no such stream."""
    path = file(folder, stream, part)
    if not path.exists():
        return []
    with path.open(encoding="utf-8") as lines:
        return [record(json.loads(line)) for line in lines]

"""What a conversation is made of."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

SYSTEM, USER, ASSISTANT = "system", "user", "assistant"


@dataclass(frozen=True)
class Message:
    """What one side says."""

    role: str
    """`system`, `user` or `assistant`."""
    content: str

    def as_json(self) -> dict[str, str]:
        """As chat templates and endpoints take it."""
        return {"role": self.role, "content": self.content}


Messages = Sequence[Message]


def from_json(messages: Sequence[Mapping[str, Any]]) -> tuple[Message, ...]:
    """What `Message.as_json` wrote."""
    return tuple(Message(message["role"], message["content"]) for message in messages)

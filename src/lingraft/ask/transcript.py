"""Conversations as plain text, for models that know no chat template."""

from dataclasses import dataclass

from .message import ASSISTANT, SYSTEM, Messages


@dataclass(frozen=True)
class Transcript:
    """Writes each turn after the name of its side, a blank line before each question; the last line is left open.

    Turns before the last are the examples that the model goes by.
    """

    user: str = "User"
    assistant: str = "Assistant"

    def __call__(self, messages: Messages) -> str:
        """The prompt; the system message stands above, without a name."""
        parts = []
        for message in messages:
            if message.role == SYSTEM:
                parts.append(f"{message.content}\n\n")
            elif message.role == ASSISTANT:
                parts.append(f"{self.assistant}: {message.content}\n\n")
            else:
                parts.append(f"{self.user}: {message.content}\n")
        return f"{''.join(parts)}{self.assistant}:"

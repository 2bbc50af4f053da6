"""What every model that can be asked has in common."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from lingraft.core.progress import SILENT, Progress

from .message import Messages


@dataclass(frozen=True)
class Reply:
    """What a model said, or why it said nothing."""

    text: str
    failure: str | None = None
    """In one sentence; `text` is empty then."""
    tokens: tuple[int, int] | None = None
    """Read and written, where that is known."""
    cut: bool = False
    """Whether the text ended only because no more tokens were allowed; of respondents that give such texts."""
    lasting: bool = False
    """Of a failure, whether asking again would not help."""


class Respondent(Protocol):
    """A model that can be asked."""

    name: str
    """What stands on pages and in files."""
    identity: str
    """All that decides its answers: model, revision or content, settings. Answers are kept by it."""

    def reply(self, asked: Sequence[Messages], *, progress: Progress = SILENT) -> list[Reply]:
        """One reply to each conversation, in their order.

        What concerns one conversation alone is a failed reply. Raises InputError where no question can be answered.
        """
        ...

"""What a user asks for, and what of it could not be had."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from .labeled import SUITES as LABELED

Prompts = Literal["native", "english"]


@dataclass(frozen=True)
class Wanted:
    """A suite, and how its items are to be asked."""

    suite: str
    data: Path | None = None
    """The folder with its files; None is the hub, or what comes along."""
    language: str | None = None
    """BCP 47 tag where it is not the target language."""
    items: int | None = None
    shots: int | None = None
    prompts: Sequence[Prompts] = ("native",)
    words: Mapping[str, str] = field(default_factory=dict)
    """Of the prompt, in place of ours."""
    chat: bool = False
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_labeled(self) -> bool:
        """Whether models are fine-tuned on it; see `lingraft.evaluate.labeled`."""
        return self.suite in LABELED


@dataclass(frozen=True)
class Missing:
    """What was wanted and could not be had."""

    suite: str
    why: str
    task: str | None = None
    model: str | None = None

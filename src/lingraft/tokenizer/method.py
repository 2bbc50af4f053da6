"""What a method of making the new tokenizer gets, and what it gives back."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from transformers import PreTrainedTokenizerFast


@dataclass(frozen=True)
class Source:
    """The base's tokenizer."""

    folder: Path
    tokenizer: PreTrainedTokenizerFast
    family: str
    """One of the names in `kind`."""
    content: dict[str, Any]
    """Its tokenizer.json, parsed; a method changes a copy."""


@dataclass(frozen=True)
class Texts:
    """The training texts; each can be read any number of times."""

    target: Iterable[str]
    replay: Iterable[str] = ()
    guard: Iterable[str] = ()
    """Texts that must be segmented as before."""
    held_out: Iterable[str] = ()
    """Target text that is only measured."""


@dataclass(frozen=True)
class Learned:
    """New tokens in the order of their rank, as the model writes them, and the evidence for each."""

    tokens: list[str]
    counts: list[int]
    """How often each was found in the target text when it was learned."""
    held_out_tokens: list[int]
    """What the held-out text costs with the first 0, 1, 2, ... new tokens; one entry more than there are tokens."""
    figures: dict[str, Any]


@dataclass(frozen=True)
class Extended:
    """The new tokenizer and how it came about."""

    content: dict[str, Any]
    """Its tokenizer.json."""
    new_tokens: list[str]
    """As the model writes them, in the order of their rank."""
    figures: dict[str, Any] = field(default_factory=dict)
    ahead: bool = False
    """Whether the new tokens rank above all old ones."""
    drops: bool = False
    """Whether old tokens left the vocabulary; the ids of the others stay."""
    renumbers: bool = False
    """Whether old tokens have other ids now."""

"""What a task is: items with what stands before the answer, and how an answer is counted."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal


@dataclass(frozen=True)
class Item:
    """One question."""

    id: str
    context: str
    """Everything before the answer, in the words of the prompt."""
    answers: tuple[str, ...]
    """The options of a choice, each with its space in front; the accepted texts where the answer is written."""
    gold: int = 0
    """Which of the options is right."""
    group: str = ""
    """What items share that makes them alike: a paragraph, a document. Resampled as one."""


@dataclass(frozen=True)
class Task:
    """Items that are asked in one way and counted as one figure."""

    name: str
    suite: str
    title: str
    language: str
    """BCP 47 tag of the language that is tested."""
    prompt_language: str
    kind: Literal["choice", "write", "harness"]
    """Whether the likeliest of the answers is taken, or a text is written; or the harness knows by itself."""
    items: tuple[Item, ...]
    shots: tuple[Item, ...] = ()
    """Solved examples that stand before every item, from a part of the data that is not asked."""
    metrics: tuple[str, ...] = ("accuracy",)
    """The first is the headline."""
    by_bytes: bool = True
    """Whether the likelihood of an option is divided by its length in bytes; not where options are letters."""
    stop: tuple[str, ...] = ("\n",)
    """What ends a written answer."""
    max_new_tokens: int = 64
    chat: bool = False
    """Whether items are put to the model in its chat template."""
    source: str = ""
    """The paper, and where the data comes from."""
    harness: str = ""
    """The name, or the YAML file, of a task that the harness defines: it has no items here."""
    definition: str = ""
    """What stands in that file; empty for a name."""
    most_items: int | None = None
    """Of a task that the harness defines."""
    notes: tuple[str, ...] = ()
    """What a reader of the figure has to know: items left out, a dev split asked for want of a test."""

    @property
    def chance(self) -> float | None:
        """What guessing gives: the mean of one over the options; None where answers are written."""
        if self.kind != "choice":
            return None
        return sum(1 / len(item.answers) for item in self.items) / len(self.items)

    def identity(self) -> str:
        """A hash of all that has an effect on the answers."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True, ensure_ascii=False).encode()).hexdigest()

    def reduced(self, num_items: int | None, num_shots: int | None) -> "Task":
        """With at most so many items, evenly spread, and the first of the shots."""
        if self.kind == "harness":
            return replace(self, most_items=num_items)
        items = self.items
        if num_items is not None and num_items < len(items):
            items = tuple(items[index * len(items) // num_items] for index in range(num_items))
        shots = self.shots if num_shots is None else self.shots[:num_shots]
        return replace(self, items=items, shots=shots)


@dataclass(frozen=True)
class Answer:
    """What one model made of one item."""

    item: str
    response: str
    """The option that was chosen, or the text that was written."""
    counts: dict[str, list[float]]
    """By metric, what is summed over items."""
    logprobs: tuple[float, ...] = ()
    """Of the options."""
    cut_tokens: int = 0
    """Tokens at the beginning of the context that were left out because the model reads no more."""


def without_overlap(shots: Sequence[Item], items: Sequence[Item]) -> tuple[Item, ...]:
    """The shots whose text is not asked, so that no answer is given away."""
    asked = {_text(item) for item in items} | {item.id for item in items if item.id}
    return tuple(shot for shot in shots if _text(shot) not in asked and shot.id not in asked)


def _text(item: Item) -> tuple[Any, ...]:
    return item.context, item.answers

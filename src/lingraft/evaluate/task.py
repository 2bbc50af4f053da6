"""What a task is: items with what stands before the answer, and how an answer is counted."""

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import chain, zip_longest
from typing import Any, Literal, TypeVar

Each = TypeVar("Each")


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
    topic: str = ""
    """Solved examples of the same topic stand before the item: the subject of an examination."""
    contexts: tuple[str, ...] = ()
    """Where the options are beginnings: one each, all with the one answer as their end; `context` is empty then."""

    @property
    def options(self) -> tuple[str, ...]:
        """What is chosen from."""
        return self.contexts or self.answers

    @property
    def solved(self) -> str:
        """The whole text with the right answer."""
        if self.contexts:
            return self.contexts[self.gold] + self.answers[0]
        return self.context + self.answers[self.gold]


@dataclass(frozen=True)
class Task:
    """Items that are asked in one way and counted as one figure."""

    name: str
    suite: str
    title: str
    language: str
    """BCP 47 tag of the language that is tested."""
    prompt_language: str
    """That of the words around an item; where there are none, that of the items."""
    kind: Literal["choice", "write", "predict", "harness"]
    """Whether the likeliest of the options is taken, a text is written, or the one answer is what greedy decoding
    writes; or the harness knows by itself."""
    items: tuple[Item, ...]
    shots: tuple[Item, ...] = ()
    """Solved examples that can stand before every item, from a part of the data that is not asked."""
    metrics: tuple[str, ...] = ("accuracy",)
    """The first is the headline."""
    num_shots: int = 5
    """How many of the shots stand there unless another number is asked for; where there are topics, of each. Of a task
    that the harness defines, how many of its own stand there."""
    by_bytes: bool = True
    """Whether the likelihood of an option is divided by its length in bytes; not where options are letters."""
    stop: tuple[str, ...] = ("\n",)
    """What ends a written answer."""
    max_new_tokens: int = 64
    temperature: float = 0.0
    """Of a written answer; 0 is greedy."""
    chat: bool = False
    """Whether items are put to the model in its chat template."""
    source: str = ""
    """The paper, and where the data comes from."""
    harness: str = ""
    """The name, or the YAML file, of a task that the harness defines: it has no items here."""
    definition: str = ""
    """What stands in that file; empty for a name."""
    data: str = ""
    """Of a task that the harness defines, a hash of its items."""
    most_items: int | None = None
    """Of a task that the harness defines."""
    lower_is_better: tuple[str, ...] = ()
    """Of a task that the harness defines: the metrics by which less is better."""
    constant: float | None = None
    """Of a task that is fine-tuned on: what the best answer that never changes is worth by the first metric."""
    notes: tuple[str, ...] = ()
    """What a reader of the figure has to know: items left out, a dev split asked for want of a test."""

    @property
    def chance(self) -> float | None:
        """What guessing gives by the first metric: the mean of one over the options, or a constant answer's worth."""
        if self.kind != "choice":
            return self.constant
        return sum(1 / len(item.options) for item in self.items) / len(self.items)

    def num_bytes(self) -> int:
        """About how much text a model reads and writes for it, the solved examples before every item included."""
        before = sum(len(shot.solved.encode()) for shot in self.shots[: self.num_shots])
        asked = sum(
            len(item.context.encode()) + sum(len(text.encode()) for text in item.answers) for item in self.items
        )
        written = 3 * self.max_new_tokens * len(self.items) if self.kind == "write" else 0
        return asked + before * len(self.items) + written

    def identity(self) -> str:
        """A hash of all that has an effect on the answers."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True, ensure_ascii=False).encode()).hexdigest()

    def reduced(self, num_items: int | None, num_shots: int | None) -> "Task":
        """With at most so many items, evenly spread, and so many of the first shots of every topic."""
        if self.kind == "harness":
            return replace(self, most_items=num_items, num_shots=self.num_shots if num_shots is None else num_shots)
        items = self.items
        if num_items is not None and num_items < len(items):
            items = tuple(items[place] for place in spread(len(items), num_items))
        shots = _first(self.shots, self.num_shots if num_shots is None else num_shots)
        return replace(self, items=items, shots=tuple(shots))

    @property
    def most_shots(self) -> int:
        """Solved examples before an item, at most."""
        if self.kind == "harness":
            return self.num_shots
        return max(Counter(shot.topic for shot in self.shots).values(), default=0)

    def by_topic(self) -> "dict[str, Task]":
        """The items and shots of each topic, as tasks with the topic in their name."""
        return {
            topic: replace(
                self,
                name=f"{self.name}/{topic}" if topic else self.name,
                items=_of(topic, self.items),
                shots=_of(topic, self.shots),
            )
            for topic in dict.fromkeys(item.topic for item in self.items)
        }


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


def spread(number: int, few: int) -> list[int]:
    """The places of a few of a number of items, evenly spread."""
    return [place * number // few for place in range(few)]


def without_overlap(shots: Sequence[Item], items: Sequence[Item]) -> tuple[Item, ...]:
    """The shots whose text is not asked, and none of whose group, so that no answer is given away."""
    asked = {_text(item) for item in items}
    groups = {item.group for item in items if item.group}
    return tuple(shot for shot in shots if _text(shot) not in asked and shot.group not in groups)


def set_aside(
    items: Sequence[Each], num_shots: int, *, by: Callable[[Each], str], every: int = 1
) -> tuple[tuple[Each, ...], tuple[Each, ...]]:
    """Shots where the data has one part only, and what is left to be asked.

    The shots are the first item of each of the first groups, of every second one with `every=2`; no item of these
    groups is asked, nor of those between. At most a quarter of the groups is set aside.
    """
    groups: dict[str, list[Each]] = {}
    for item in items:
        groups.setdefault(by(item), []).append(item)
    num_aside = min(num_shots * every, len(groups) // 4)
    aside = list(groups.values())[:num_aside]
    return tuple(group[0] for group in aside[::every]), tuple(chain(*list(groups.values())[num_aside:]))


def taking_turns(items: Sequence[Item]) -> tuple[Item, ...]:
    """The same items, one of every gold option after another, so that the first few show them all."""
    of_gold: dict[int, list[Item]] = {}
    for item in items:
        of_gold.setdefault(item.gold, []).append(item)
    turns = zip_longest(*(of_gold[gold] for gold in sorted(of_gold)))
    return tuple(item for turn in turns for item in turn if item is not None)


def _first(shots: Sequence[Item], number: int) -> Iterator[Item]:
    seen: Counter[str] = Counter()
    for shot in shots:
        seen[shot.topic] += 1
        if seen[shot.topic] <= number:
            yield shot


def _of(topic: str, items: Sequence[Item]) -> tuple[Item, ...]:
    return tuple(item for item in items if item.topic == topic)


def _text(item: Item) -> tuple[Any, ...]:
    """What makes two items one: neither case and spaces nor the order of the options."""
    context, *options = (" ".join(_folded(text).split()) for text in (item.context, *item.options))
    return context, frozenset(options)


def _folded(text: str) -> str:
    # Of Turkish, where İ and i, I and ı belong together, casefold knows nothing.
    return text.casefold().replace("\u0307", "").replace("ı", "i")

"""What an annotator is shown: two answers to compare or one to rate, and planted ones whose judgment is known."""

import hashlib
import itertools
import json
import math
import random
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from lingraft.core.errors import InputError

from .items import Item

Mode = Literal["compare", "rate"]
ANOTHER, SHUFFLED = "another", "shuffled"
_LEAST_PIECES = 4
"""A text of fewer words says too little, and may come out of shuffling as it was."""


@dataclass(frozen=True)
class Question:
    """One or two answers to an item's prompt."""

    id: str
    """Says nothing about what it names, so that it may be sent to a browser."""
    item: Item
    models: tuple[str, ...]
    """Whose answers `texts` are; a planted text has none."""
    texts: tuple[str, ...]
    planted: str | None = None
    """How the last of `texts` was spoiled: `another` (it answers another prompt) or `shuffled` (its words are)."""


def make(items: Sequence[Item], mode: Mode, *, attention_share: float, seed: int) -> list[Question]:
    """Every pair of models on every item, or every answer, and so many planted questions that they have their share.

    Answers that are the same are not compared; see `alike`.
    """
    real = [question for item in items for question in _real(item, mode, seed)]
    if not real:
        raise InputError("there is nothing to compare: all answers to a prompt are the same.")
    if not attention_share:
        return real
    wanted = math.ceil(len(real) * attention_share / (1 - attention_share))
    planted = list(itertools.islice(_planted(items, mode, seed), wanted))
    if not planted:
        raise InputError(
            "no attention check can be made of these answers: all are the same or too short to shuffle.",
            remedy="Go on without them: --attention 0.",
        )
    return real + planted


def alike(items: Sequence[Item]) -> dict[str, int]:
    """By pair of models, as JSON: on how many items their answers are the same, which is a tie that nobody is asked."""
    pairs = (
        models
        for item in items
        for models in itertools.combinations(item.answers, 2)
        if item.answers[models[0]].strip() == item.answers[models[1]].strip()
    )
    return {json.dumps(models): count for models, count in sorted(Counter(pairs).items())}


def _real(item: Item, mode: Mode, seed: int) -> Iterator[Question]:
    for models in itertools.combinations(item.answers, 2 if mode == "compare" else 1):
        texts = tuple(item.answers[model] for model in models)
        if mode == "compare" and texts[0].strip() == texts[1].strip():
            continue
        yield Question(_id(seed, mode, item.id, *models), item, models, texts)


def _planted(items: Sequence[Item], mode: Mode, seed: int) -> Iterator[Question]:
    """At most one for each answer, drawn in an order that the seed decides."""
    draw = random.Random(f"planted {seed}")
    answers = [(item, model) for item in items for model in item.answers]
    draw.shuffle(answers)
    for item, model in answers:
        text = item.answers[model]
        ways = [ANOTHER, SHUFFLED]
        draw.shuffle(ways)
        for way in ways:
            spoiled = _of_another(items, item, draw) if way == ANOTHER else _shuffled(item, text, draw)
            if spoiled is not None and text.strip():
                texts = (text, spoiled) if mode == "compare" else (spoiled,)
                identity = _id(seed, mode, item.id, model, "planted")
                yield Question(identity, item, (model,) if mode == "compare" else (), texts, way)
                break


def _of_another(items: Sequence[Item], item: Item, draw: random.Random) -> str | None:
    """An answer to another prompt in the same language."""
    own = set(item.answers.values())
    others = [
        text
        for other in items
        if other.prompt != item.prompt and other.language == item.language
        for text in other.answers.values()
        if text.strip() and text not in own
    ]
    return draw.choice(others) if others else None


def _shuffled(item: Item, text: str, draw: random.Random) -> str | None:
    between = " " if item.language.spaces else ""
    pieces = text.split() if item.language.spaces else list(text)
    if len(set(pieces)) < _LEAST_PIECES:
        return None
    moved = draw.sample(pieces, len(pieces))
    return between.join(moved) if moved != pieces else None


def _id(*parts: object) -> str:
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:24]

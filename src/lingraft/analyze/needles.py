"""Facts hidden in real text, and asked for at its end: whether a model finds what stands far above.

A fact is a line `name = number`, which needs no words of any language. The name is made of letters that follow each
other as they do in the text. A second fact stands elsewhere, and its number is among the wrong answers: a model that
writes any number it has seen is right half the time on these two, not always.
"""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from lingraft.evaluate import likelihood
from lingraft.evaluate.evaluate import LEAST_DOCUMENTS
from lingraft.evaluate.generate import Loaded
from lingraft.evaluate.likelihood import Question

from .positions import limit_of
from .resampling import Resampling, interval, share_interval

DEPTHS = (0.0, 0.25, 0.5, 0.75, 1.0)
CHOICES = 10
NAME_LETTERS = 7
SHORTEST_BYTES = 512


@dataclass(frozen=True)
class Needle:
    """A question whose first answer is right, whose second is that of the other fact; `depth` None hides neither."""

    haystack: int
    depth: float | None
    question: Question


def needles(texts: Sequence[str], num_bytes: int, num_haystacks: int, seed: int) -> list[Needle]:
    """Questions after so many bytes of text: each haystack at every depth, and without a fact.

    Where a document is too short, those that follow it go on; none where all of them together are.
    """
    draw = np.random.default_rng([seed, num_bytes])
    letters = _letters(texts)
    found = []
    for number, haystack in enumerate(_haystacks(texts, num_bytes, num_haystacks)):
        for depth in (*DEPTHS, None):
            name, other = (_name(letters, haystack, draw) for _ in range(2))
            numbers = _numbers(haystack, draw)
            context = haystack
            if depth is not None:
                elsewhere = draw.choice([place for place in DEPTHS if place != depth])
                facts = [(depth, name, numbers[0]), (elsewhere, other, numbers[1])]
                # From the end, so that the places of the others do not move.
                for place, key, value in sorted(facts, reverse=True):
                    context = _hidden(context, len(haystack), place, f"\n{key} = {value}\n")
            answers = tuple(f" {value}" for value in numbers)
            found.append(Needle(number, depth, Question(f"{context}\n{name} =", answers)))
    return found


def _haystacks(texts: Sequence[str], num_bytes: int, most: int) -> list[str]:
    size = len(texts)
    found = []
    for start in [place * size // most for place in range(most)] if size > most else range(size):
        joined, after = "", start
        while len(joined.encode()) < num_bytes and after < start + size:
            joined += texts[after % size].strip() + "\n"
            after += 1
        if len(joined.encode()) >= num_bytes:
            found.append(joined.encode()[:num_bytes].decode(errors="ignore").rstrip())
    return found


def _hidden(text: str, size: int, depth: float, line: str) -> str:
    """The line between two words, after this part of the text as it was at first."""
    place = round(depth * size)
    while place < size and not text[place].isspace() and any(map(str.isspace, text[place : place + 60])):
        place += 1
    return text[:place] + line + text[place:]


def _letters(texts: Sequence[str]) -> dict[str, list[str]]:
    follow = defaultdict(list)
    for text in texts:
        for first, second in pairwise(text):
            if _is_letter(first) and _is_letter(second):
                follow[first].append(second)
    return {letter: after for letter, after in follow.items() if unicodedata.category(letter)[0] == "L"}


def _is_letter(char: str) -> bool:
    return unicodedata.category(char)[0] in "LM"


def _name(letters: dict[str, list[str]], text: str, draw: np.random.Generator) -> str:
    beginnings = sorted(letters)
    while True:
        name = beginnings[draw.integers(len(beginnings))]
        while len(name) < NAME_LETTERS:
            after = letters.get(name[-1]) or beginnings
            name += after[draw.integers(len(after))]
        if name not in text:
            return name


def _numbers(text: str, draw: np.random.Generator) -> list[str]:
    taken = set(re.findall(r"\d+", text))
    free = [number for number in map(str, range(1000, 10000)) if number not in taken]
    return [str(number) for number in draw.choice(free, CHOICES, replace=False)]


def lengths(read: Mapping[str, Any], stream: str, most_tokens: int) -> list[int]:
    """Bytes that double up to what the tokenizer with the shortest tokens holds in nine tenths of the context."""
    per_token = min(
        sum(sum(document["bytes"]) for document in one[stream])
        / sum(sum(document["tokens"]) for document in one[stream])
        for one in read.values()
    )
    found = [SHORTEST_BYTES]
    while 2 * found[-1] <= 0.9 * most_tokens * per_token:
        found.append(2 * found[-1])
    return found


def answers(loaded: Loaded, asked: Mapping[str, Mapping[int, Sequence[Needle]]]) -> dict[str, Any]:
    """Which answer was the likeliest, of every question; and tokens of the context that had to be cut."""
    limit = limit_of(loaded.model.config, 1 << 30)
    found: dict[str, Any] = {}
    for stream, by_size in asked.items():
        found[stream] = {}
        for size, items in by_size.items():
            scores = likelihood.score(
                loaded.model, loaded.tokenizer, [needle.question for needle in items], context_tokens=limit
            )
            found[stream][str(size)] = {
                "chosen": [int(np.argmax([answer.logprob for answer in answers])) for answers in scores],
                "cut_tokens": max((answers[0].cut_tokens for answers in scores), default=0),
            }
    return found


def table(
    answered: Mapping[str, Any], asked: Mapping[int, Sequence[Needle]], stream: str, seed: int
) -> list[dict[str, Any]]:
    """The share of right answers by length and depth, with intervals from resampling haystacks.

    Depth `absent` hides no fact: what chance gives. A length for which there are too few haystacks has no figures.
    """
    rows = []
    first = next(iter(answered))
    for size, items in asked.items():
        num_haystacks = 1 + max((needle.haystack for needle in items), default=-1)
        row: dict[str, Any] = {"stream": stream, "bytes": size, "haystacks": num_haystacks}
        if num_haystacks < LEAST_DOCUMENTS:
            rows.append(row | {"depth": "every", "models": {}})
            continue
        draws = Resampling(num_haystacks, seed)
        depths: dict[Any, list[float | None]] = {depth: [depth] for depth in DEPTHS}
        depths |= {"every": list(DEPTHS), "absent": [None]}
        for shown, among in depths.items():
            right: dict[str, np.ndarray] = {}
            models = {}
            for name, found in answered.items():
                chosen = found[stream][str(size)]["chosen"]
                picked = [(n.haystack, choice) for n, choice in zip(items, chosen, strict=True) if n.depth in among]
                right[name], other = (_share(draws, picked, answer, num_haystacks) for answer in (0, 1))
                models[name] = {
                    "found": share_interval(right[name], num_haystacks),
                    "other_fact": share_interval(other, num_haystacks),
                    "cut_tokens": found[stream][str(size)]["cut_tokens"],
                }
                if name != first:
                    models[name]["against_base"] = interval(right[name] - right[first])
            rows.append(row | {"depth": shown, "models": models})
    return rows


def _share(draws: Resampling, picked: Sequence[tuple[int, int]], answer: int, num_haystacks: int) -> np.ndarray:
    """How often an answer was chosen, in every resample of haystacks."""
    counts = np.zeros((num_haystacks, 2))
    for haystack, choice in picked:
        counts[haystack] += (choice == answer, 1)
    sums = draws.sums(counts)
    return sums[:, 0] / sums[:, 1]

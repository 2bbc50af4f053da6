"""What is wrong with a translation, as far as that can be told without reading it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np

from lingraft.conversations.languages import ANOTHER, Expected
from lingraft.evaluate.metrics import chrf_counts, chrf_of, normalized, word_f1

from .protect import MARK

FAILED = "the translator failed"
LOST = "what was protected did not come back"
COPY = "not translated"
LANGUAGE = "in another language"
LENGTH = "too short or too long for its text"
BACK = "its translation back is another text"
REASONS = (FAILED, LOST, COPY, LANGUAGE, LENGTH, BACK)

SAME_WORDS, LEAST_WORDS = 0.9, 4
"""F1 of the words of text and translation from which it is a copy, and the words it takes to say so: names stay."""
LEAST_CHARACTERS = 10
"""Of a text whose length says something."""
LEAST_TEXTS, STEADY_CHARACTERS = 30, 40
"""That the usual ratio of lengths is learned from, and how long each has to be."""
DEVIATIONS, LEAST_FACTOR = 3.0, 1.5
"""How far from the median ratio a text may be: robust standard deviations, and no less than this factor."""
TOLD_CHARACTERS = 100
"""Of the text whose usual ratios the figures tell."""


class Bad(Exception):
    """Why a record is left out: one of `REASONS`, and of what text."""

    def __init__(self, why: str, detail: str = "") -> None:
        super().__init__(why)
        self.why, self.detail = why, detail


@dataclass(frozen=True)
class Lengths:
    """Between which ratios of characters, translation to text, a translation may be."""

    low: float
    high: float
    median: float | None = None
    """What is usual, for texts of 40 characters and more; None where there are not 30 of them to learn from."""
    spread: float = 0.0
    """Standard deviation of the logarithm of the ratio, times the square root of the characters of a text."""

    @classmethod
    def learn(cls, pairs: Sequence[tuple[str, str]], low: float, high: float) -> "Lengths":
        """From texts and their translations, by medians: bad ones among them hardly count."""
        steady = [(len(text), len(new)) for text, new in pairs if len(text) >= STEADY_CHARACTERS and new]
        if len(steady) < LEAST_TEXTS:
            return cls(low, high)
        middle = median(math.log(new / text) for text, new in steady)
        # Words differ in length, and the more of them there are the more it evens out.
        deviations = (abs(math.log(new / text) - middle) * math.sqrt(text) for text, new in steady)
        return cls(low, high, math.exp(middle), 1.4826 * median(deviations))  # the factor is of a normal distribution

    def usual(self, characters: int) -> tuple[float, float]:
        """The ratios between which a translation of a text of so many characters may be."""
        if self.median is None or characters < STEADY_CHARACTERS:
            return self.low, self.high
        factor = max(math.exp(DEVIATIONS * self.spread / math.sqrt(characters)), LEAST_FACTOR)
        return max(self.low, self.median / factor), min(self.high, self.median * factor)

    def figures(self) -> dict[str, float] | None:
        """What is usual in the data; None where there is too little of it."""
        if self.median is None:
            return None
        low, high = self.usual(TOLD_CHARACTERS)
        return {"median": self.median, "low_at_100": low, "high_at_100": high}

    def check(self, text: str, new: str) -> None:
        """Raises Bad."""
        if len(text) < LEAST_CHARACTERS:
            return
        low, high = self.usual(len(text))
        if not low <= len(new) / len(text) <= high:
            raise Bad(LENGTH, f"{len(text):,} characters became {len(new):,}")


def check_copy(text: str, new: str) -> None:
    """Raises Bad for a translation that has the words of its text."""
    if len(normalized(text)) >= LEAST_WORDS and word_f1(new, [text]) >= SAME_WORDS:
        raise Bad(COPY, new[:80])


def check_language(new: str, expected: Expected, *, is_answer: bool) -> None:
    """Raises Bad for prose in another language, as far as `expected` can tell; what is protected is not looked at."""
    new = MARK.sub(" ", new)
    found = expected.judge([new]) if is_answer else expected.judge_question([new])
    if found == ANOTHER:
        raise Bad(LANGUAGE, new[:80])


def back_chrf(text: str, back: str) -> float:
    """chrF++ of a translation back to what was translated, 0 to 100; marks do not count."""
    text, back = (MARK.sub(" ", found) for found in (text, back))
    return float(chrf_of(np.array([chrf_counts(back, [text])]))[0])

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
DEVIATIONS, LEAST_FACTOR = 4.0, 1.5
"""How far from the median ratio a text may be: robust standard deviations, and no less than this factor."""


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
    usual_low: float = 0.0
    usual_high: float = math.inf
    """For texts of 40 characters and more, where there are 30 of them to learn from."""

    @classmethod
    def learn(cls, pairs: Sequence[tuple[str, str]], low: float, high: float) -> "Lengths":
        """From texts and their translations: the median of the logarithm of the ratio, and the median deviation."""
        steady = [(text, new) for text, new in pairs if len(text) >= STEADY_CHARACTERS and new]
        if len(steady) < LEAST_TEXTS:
            return cls(low, high)
        ratios = [math.log(len(new) / len(text)) for text, new in steady]
        middle = median(ratios)
        deviation = 1.4826 * median(abs(ratio - middle) for ratio in ratios)  # of a normal distribution
        reach = max(DEVIATIONS * deviation, math.log(LEAST_FACTOR))
        return cls(low, high, math.exp(middle), math.exp(middle - reach), math.exp(middle + reach))

    def figures(self) -> dict[str, float] | None:
        """What is usual in the data; None where there is too little of it."""
        if self.median is None:
            return None
        return {"median": self.median, "low": self.usual_low, "high": self.usual_high}

    def check(self, text: str, new: str) -> None:
        """Raises Bad."""
        if len(text) < LEAST_CHARACTERS:
            return
        ratio = len(new) / len(text)
        usual = len(text) < STEADY_CHARACTERS or self.usual_low <= ratio <= self.usual_high
        if not (self.low <= ratio <= self.high and usual):
            raise Bad(LENGTH, f"{len(text):,} characters became {len(new):,}")


def check_copy(text: str, new: str) -> None:
    """Raises Bad for a translation that has the words of its text."""
    if len(normalized(text)) >= LEAST_WORDS and word_f1(new, [text]) >= SAME_WORDS:
        raise Bad(COPY, new[:80])


def check_language(new: str, expected: Expected, *, is_answer: bool) -> None:
    """Raises Bad for prose in another language, as far as `expected` can tell; what is protected is not looked at."""
    new = MARK.sub(" ", new)
    found = expected.judge(new) if is_answer else expected.judge_question([new])
    if found == ANOTHER:
        raise Bad(LANGUAGE, new[:80])


def back_chrf(text: str, back: str) -> float:
    """chrF++ of a translation back to what was translated, 0 to 100; marks do not count."""
    text, back = (MARK.sub(" ", found) for found in (text, back))
    return float(chrf_of(np.array([chrf_counts(back, [text])]))[0])

"""Which of two languages a word is, learned from text of both.

The method is that of B. King and S. Abney, "Labeling the Languages of Words in Mixed-Language Documents using Weakly
Supervised Methods" (NAACL 2013): each language is a model of words learned from text of it alone, and a hidden Markov
model reads a sentence, so that neighbors decide where a word could be either. Ours has two states, the target language
and foreign; what is foreign is the other language or, with letters at random, any. So a passage of a third language
is found too when it is long enough; a single word of one mostly is not.

The constants were set on the "dev" part of benchmarks/labelled/code_switching; see benchmarks/code_switching.py.
"""

import math
from collections.abc import Iterable, Sequence, Set
from dataclasses import dataclass
from typing import Self

import regex

from lingraft.core.errors import InputError
from lingraft.corpus.language import Language

from . import reliability
from .prose import Word
from .vocabulary import LEAST_TIMES, Letters, Vocabulary, count, lower, passages

MOST_CHARACTERS = 20_000_000
ENTER, LEAVE = math.log(0.0067), math.log(0.22)
"""Of the hidden Markov model: that after a word of the target a foreign one follows, and the other way around."""
ANY = 0.3
"""Of the foreign words, the share that is of no known language."""
MOST_EVIDENCE = 12.0
"""That the models can give for one word, as the logarithm of a ratio; spelling alone would give far more."""
SURE = 100.0
"""The evidence of another script."""
UNKNOWN_WEIGHT = 0.7
"""How much the spelling counts of a word that neither text has."""
FIRST_WEIGHT = 0.7
"""How much a capital at the beginning of a sentence leaves of the evidence: it could be a name."""
COMMON = 5e-5
"""A word of this frequency in the other text is no name."""
LEAST_LETTERS = 4
"""Of a foreign word that stands alone, or beside a name."""
LEAST_BEGINNING, LONGEST_ENDING = 5, 4
SYMBOL = regex.compile(r"[\p{Latn}\p{Greek}]")
"""Scripts whose single letters stand for quantities, and whose capitals tell names."""
HELD_OUT_EVERY = 20


@dataclass(frozen=True)
class Judged:
    """The words of a sentence that could be told apart."""

    own: int
    """How many are the target's."""
    foreign: list[list[int]]
    """The passages that are not, each as the places of its words."""


class WordLanguages:
    """Tells the words of the target language from those of one other."""

    def __init__(
        self,
        target: Vocabulary,
        other: Vocabulary,
        target_held_out: Sequence[str] = (),
        other_held_out: Sequence[str] = (),
    ) -> None:
        self.target = target
        self.other = other
        self.any = Letters([*target.counts, *other.counts])
        self.reliability = reliability.measure(
            lambda words: bool(self.judge(words).foreign), target, other, target_held_out, other_held_out
        )

    @classmethod
    def learn(
        cls, target_texts: Iterable[str], other_texts: Iterable[str], language: Language, other: Language
    ) -> Self:
        """From the first 20 million characters of either text: give a mixture, not one novel after the other.

        Every twentieth text is kept for `reliability`. Raises InputError for a text without words.
        """
        texts, held_out = _read(target_texts)
        others, others_held_out = _read(other_texts)
        counts, other_counts = count(texts, language), count(others, other)
        for tag, found in ((language, counts), (other, other_counts)):
            if not found:
                raise InputError(
                    f"the text in {tag.name} has no words to learn the language from.",
                    remedy="Give text of both languages: held-out text of a corpus will do.",
                )
        counts -= passages(texts, counts, other_counts)
        num_letters = len({letter for words in (counts, other_counts) for word in words for letter in word})
        target = Vocabulary(counts, language, num_letters)
        return cls(target, Vocabulary(other_counts, other, num_letters), held_out, others_held_out)

    def judge(self, words: Sequence[Word], asked: Set[str] = frozenset()) -> Judged:
        """Which words of a sentence are foreign; those with a beginning in `asked` (see `beginnings`) never are."""
        silent = [word.mute != "" or not asked.isdisjoint(beginnings(word.stem)) for word in words]
        evidence = [0.0 if none else self._evidence(word) for word, none in zip(words, silent, strict=True)]
        own = 0
        runs: list[list[int]] = [[]]
        for place, foreign in enumerate(_likeliest(evidence)):
            if foreign and not silent[place]:
                runs[-1].append(place)
            elif not foreign and not words[place].mute:
                own += words[place].own_script
                runs.append([])
        found = []
        for run in filter(None, runs):
            if _is_long_enough(run, words):
                found.append(run)
            else:
                own += sum(words[place].own_script for place in run)
        return Judged(own, found)

    def _evidence(self, word: Word) -> float:
        """By how much the word is likelier to be foreign, as the logarithm of a ratio."""
        target, other = self.target.times(word.stem), self.other.times(word.stem)
        # At the beginning of a sentence a word that no text has in lower case could be a name.
        if word.first and not target and other < LEAST_TIMES and (word.own_script or SYMBOL.match(word.stem)):
            return 0.0
        if not word.own_script:
            return 1.0 if len(word.text) == 1 and SYMBOL.match(word.text) else SURE
        any_language = self.any.logprob(lower(word.stem, self.target.language))
        foreign = math.log((1 - ANY) * math.exp(self.other.logprob(word.stem)) + ANY * math.exp(any_language))
        found = max(-MOST_EVIDENCE, min(MOST_EVIDENCE, foreign - self.target.logprob(word.stem)))
        if not target and not other:
            found *= UNKNOWN_WEIGHT
        if word.first and found > 0 and other < COMMON * self.other.num_words:
            found *= FIRST_WEIGHT
        return found


def beginnings(word: str) -> set[str]:
    """The word and what is left of it without an ending, both without case: what words of one prompt are known by."""
    word = word.casefold()
    return {word, *(word[:size] for size in range(max(LEAST_BEGINNING, len(word) - LONGEST_ENDING), len(word)))}


def _likeliest(evidence: Sequence[float]) -> list[bool]:
    """Whether each word is foreign, in the likeliest sequence (Viterbi)."""
    stay_own, stay_foreign = math.log1p(-math.exp(ENTER)), math.log1p(-math.exp(LEAVE))
    own, foreign = 0.0, -math.inf
    came: list[tuple[bool, bool]] = []
    for found in evidence:
        came.append((foreign + LEAVE > own + stay_own, foreign + stay_foreign > own + ENTER))
        own, foreign = max(own + stay_own, foreign + LEAVE), max(foreign + stay_foreign, own + ENTER) + found
    state = foreign > own
    states = []
    for before in reversed(came):
        states.append(state)
        state = before[state]
    return states[::-1]


def _is_long_enough(run: Sequence[int], words: Sequence[Word]) -> bool:
    """Whether a passage is one: "of the" between names belongs to them."""
    if any(len(words[place].stem) >= LEAST_LETTERS for place in run):
        return True
    around = (at for place in run for at in (place - 1, place + 1) if 0 <= at < len(words))
    if any(words[at].mute in ("name", "abbreviation") for at in around):
        return False
    return len(run) > 1 or not words[run[0]].own_script


def _read(texts: Iterable[str]) -> tuple[list[str], list[str]]:
    """To learn from, and held out."""
    learn: list[str] = []
    held_out: list[str] = []
    left = MOST_CHARACTERS
    for place, text in enumerate(texts, 1):
        (learn if place % HELD_OUT_EVERY else held_out).append(text)
        left -= len(text)
        if left <= 0:
            break
    return learn, held_out

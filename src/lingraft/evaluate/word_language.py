"""Which of two languages a word is, learned from text of both.

The method is that of B. King and S. Abney, "Labeling the Languages of Words in Mixed-Language Documents using Weakly
Supervised Methods" (NAACL 2013): each language is a model of words learned from text of it alone, and a hidden Markov
model with one state a language reads a sentence, so that neighbors decide where a word could be either.
"""

import math
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Self

import regex

from lingraft.corpus.language import Language

from . import prose
from .prose import Word

ORDER = 5
MOST_CHARACTERS = 20_000_000
MOST_SPELLED = 100_000
LONGEST = 40
WORD = regex.compile(r"(?:\p{L}[\p{M}\u200c\u200d]*+)++")
DOTTED_I = frozenset({"az", "crh", "tr", "tt"})


def lower(word: str, language: Language) -> str:
    """The word in lower case as its language writes it: in Turkish the capital of ı is I."""
    if language.tag.split("-")[0] in DOTTED_I:
        word = word.replace("İ", "i").replace("I", "ı")
    return word.lower()


class Spelling:
    """How probable a string is as a new word: each letter after up to four before it.

    Interpolated after Witten and Bell (S. F. Chen and J. Goodman, 1999, section 2.5), learned from a vocabulary and not
    from running text: a word that was never seen is spelled as rare words are, not as the most frequent ones.
    """

    def __init__(self, vocabulary: Iterable[str], num_letters: int) -> None:
        self.num_letters = num_letters
        self.grams: Counter[str] = Counter()
        self.contexts: Counter[str] = Counter()
        self.kinds: Counter[str] = Counter()
        for word in vocabulary:
            marked = f"<{word[:LONGEST]}>"
            for end in range(1, len(marked)):
                for start in range(max(0, end - ORDER + 1), end + 1):
                    gram = marked[start : end + 1]
                    self.grams[gram] += 1
                    self.contexts[gram[:-1]] += 1
        for gram in self.grams:
            self.kinds[gram[:-1]] += 1

    def logprob(self, word: str) -> float:
        """Natural logarithm."""
        marked = f"<{word[:LONGEST]}>"
        total = 0.0
        for end in range(1, len(marked)):
            probability = 1 / (self.num_letters + 1)
            for start in range(end, max(-1, end - ORDER), -1):
                times = self.contexts.get(marked[start:end], 0)
                if not times:
                    break
                kinds = self.kinds[marked[start:end]]
                probability = (self.grams.get(marked[start : end + 1], 0) + kinds * probability) / (times + kinds)
            total += math.log(probability)
        return total


class Letters:
    """How probable a string is as a word of any language: letters at random, as often as the two languages have them."""

    def __init__(self, vocabulary: Iterable[str]) -> None:
        times = Counter(letter for word in vocabulary for letter in f"{word}>")
        self._logprobs = {letter: math.log((count + 1) / (times.total() + len(times))) for letter, count in times.items()}
        self._new = -math.log(times.total() + len(times))

    def logprob(self, word: str) -> float:
        return sum(self._logprobs.get(letter, self._new) for letter in f"{word[:LONGEST]}>")


class Vocabulary:
    """The words of one language with their counts, and their spelling."""

    def __init__(self, counts: Counter[str], language: Language, num_letters: int) -> None:
        self.language = language
        self.counts = counts
        self.num_words = counts.total()
        self.spelling = Spelling((word for word, _ in counts.most_common(MOST_SPELLED)), num_letters)
        self._logprobs: dict[str, float] = {}

    def times(self, word: str) -> int:
        return self.counts.get(lower(word, self.language), 0)

    def logprob(self, word: str) -> float:
        """Natural logarithm; what is kept for new words is after Witten and Bell too."""
        word = lower(word, self.language)
        if word not in self._logprobs:
            new = len(self.counts) + 1
            probability = self.counts.get(word, 0) + new * math.exp(self.spelling.logprob(word))
            self._logprobs[word] = math.log(probability) - math.log(self.num_words + new)
        return self._logprobs[word]


@dataclass(frozen=True)
class Judged:
    """The words of a sentence that could be told apart."""

    own: int
    """How many are the target's."""
    foreign: list[list[int]]
    """The passages that are not, each as the places of its words."""


class WordLanguages:
    """Tells the words of the target language from those of one other."""

    def __init__(self, target: Vocabulary, other: Vocabulary) -> None:
        self.target = target
        self.other = other
        self.any = Letters([*target.counts, *other.counts])

    @classmethod
    def learn(
        cls, target_texts: Iterable[str], other_texts: Iterable[str], language: Language, other: Language
    ) -> Self:
        """From text of either language: the first 20 million characters of each, in as many kinds of text as there are."""
        counts = [_count(target_texts, language), _count(other_texts, other)]
        num_letters = len({letter for words in counts for word in words for letter in word})
        target, others = (
            Vocabulary(words, tag, num_letters) for words, tag in zip(counts, (language, other), strict=True)
        )
        return cls(target, others)

    def judge(self, words: Sequence[Word], asked: Collection[str] = ()) -> Judged:
        """Which words of a sentence are foreign; those in `asked` (without case) never are."""
        mute = [bool(word.mute) or word.text.casefold() in asked for word in words]
        evidence = [0.0 if silent else self._evidence(word) for word, silent in zip(words, mute, strict=True)]
        states = _likeliest(evidence)
        own, runs = 0, [[]]
        for place, (word, silent, foreign) in enumerate(zip(words, mute, states, strict=True)):
            if foreign and not silent:
                runs[-1].append(place)
            elif not foreign and not word.mute:
                own += 1
                runs.append([])
        runs = [run for run in runs if run]
        kept = [run for run in runs if self._is_switch(run, words)]
        own += sum(len(r) for r in runs if r not in kept)
        return Judged(own, kept)

    def _evidence(self, word: Word) -> float:
        """By how much the other language is likelier, as the logarithm of the ratio."""
        target, other = self.target.times(word.text), self.other.times(word.text)
        # At the beginning of a sentence a word that is not known in lower case could be a name.
        if word.first and not target and other < LEAST_TIMES:
            return 0.0
        if not word.own_script:
            return SURE
        other_p = math.log((1-ANY)*math.exp(self.other.logprob(word.text)) + ANY*math.exp(self.any.logprob(lower(word.text, self.target.language))))
        found = other_p - self.target.logprob(word.text)
        if not target and not other:
            found *= UNKNOWN
        return max(-MOST_EVIDENCE, min(MOST_EVIDENCE, found)) * (FIRST if word.first else 1)

    def _is_switch(self, run: list[int], words: Sequence[Word]) -> bool:
        """Whether a passage is long enough: "of the" between names belongs to them."""
        if any(len(words[place].text) >= LEAST_LETTERS for place in run):
            return True
        by_a_name = any(0 <= at < len(words) and words[at].mute in IN_NAMES for place in run for at in (place - 1, place + 1))
        return not by_a_name and (len(run) > 1 or not words[run[0]].own_script)


IN_NAMES = ("name", "abbreviation")
SURE = 100.0
LEAST_LETTERS = 4
ANY = 0.1
MOST_EVIDENCE = 12.0
LEAST_TIMES = 5
UNKNOWN = 0.5
FIRST = 0.5
ENTER = -6.0
LEAVE = -1.5

def _likeliest(evidence):
    stay_own = math.log1p(-math.exp(ENTER)); stay_foreign = math.log1p(-math.exp(LEAVE))
    own, foreign = stay_own, ENTER
    back = []
    for found in evidence:
        to_own = own + stay_own, foreign + LEAVE
        to_foreign = own + ENTER, foreign + stay_foreign
        back.append((to_own[1] > to_own[0], to_foreign[1] > to_foreign[0]))
        own, foreign = max(to_own), max(to_foreign) + found
    state = foreign > own
    states = []
    for came in reversed(back):
        states.append(state)
        state = came[state]
    return states[::-1]


def _count(texts: Iterable[str], language: Language) -> Counter[str]:
    """Words that do not begin with a capital: those could be names."""
    counts: Counter[str] = Counter()
    left = MOST_CHARACTERS
    for text in texts:
        counts.update(lower(word, language) for word in WORD.findall(text) if not word[0].isupper())
        left -= len(text)
        if left < 0:
            break
    return counts

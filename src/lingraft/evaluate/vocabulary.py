"""How probable a word is in a language, learned from text of it."""

import math
from collections import Counter
from collections.abc import Iterable
from itertools import pairwise

from lingraft.corpus.language import Language

from . import prose

ORDER = 5
MOST_SPELLED = 100_000
LONGEST = 40
DOTTED_I = frozenset({"az", "crh", "tr", "tt"})
LEAST_TIMES = 5
ALIEN_RATIO = 8


def lower(word: str, language: Language) -> str:
    """The word in lower case as its language writes it: in Turkish the capital of ı is I."""
    if ("I" in word or "İ" in word) and language.tag.split("-")[0] in DOTTED_I:
        word = word.replace("İ", "i").replace("I", "ı")
    return word.lower()


def count(texts: Iterable[str], language: Language) -> Counter[str]:
    """The words that do not begin with a capital: those could be names."""
    return Counter(lower(word, language) for text in texts for word in prose.letter_runs(text) if not word[0].isupper())


def passages(texts: Iterable[str], own: Counter[str], other: Counter[str]) -> Counter[str]:
    """Words of the other language that stand side by side in texts of this one: quotations and titles.

    A word is taken for the other language's when it is eight times as frequent there.
    """
    scale = ALIEN_RATIO * other.total() / max(1, own.total())
    alien = {word for word, times in other.items() if times >= LEAST_TIMES and times > scale * own[word]}
    found: Counter[str] = Counter()
    for text in texts:
        places = [(place, word) for place, word in enumerate(prose.letter_runs(text)) if word in alien]
        before = -math.inf
        for (place, word), (after, _) in pairwise([*places, (math.inf, "")]):
            if before == place - 1 or after == place + 1:
                found[word] += 1
            before = place
    return found


class Spelling:
    """How probable a string is as a new word: each letter after up to four before it.

    Interpolated after Witten and Bell (S. F. Chen and J. Goodman, TR-10-98, section 2.5), learned from a vocabulary and
    not from running text: a word that was never seen is spelled as rare words are, not as the most frequent ones.
    `num_letters` says how many letters there are at all; what no context foretells is equally probable.
    """

    def __init__(self, vocabulary: Iterable[str], num_letters: int) -> None:
        self._num_letters = num_letters
        self._grams: Counter[str] = Counter()
        for word in vocabulary:
            marked = f"<{word[:LONGEST]}>"
            size = len(marked)
            self._grams.update(
                [marked[start:end] for end in range(2, size + 1) for start in range(max(0, end - ORDER), end)]
            )
        self._times: Counter[str] = Counter()
        self._kinds: Counter[str] = Counter()
        for gram, times in self._grams.items():
            self._times[gram[:-1]] += times
            self._kinds[gram[:-1]] += 1

    def logprob(self, word: str) -> float:
        """Natural logarithm of P(letters, end)."""
        marked = f"<{word[:LONGEST]}>"
        total = 0.0
        for end in range(1, len(marked)):
            probability = 1 / (self._num_letters + 1)
            for start in range(end, max(-1, end - ORDER), -1):
                times = self._times.get(marked[start:end])
                if times is None:
                    break
                kinds = self._kinds[marked[start:end]]
                probability = (self._grams.get(marked[start : end + 1], 0) + kinds * probability) / (times + kinds)
            total += math.log(probability)
        return total


class Letters:
    """How probable a string is as a word of any language: letters at random, as frequent as in a vocabulary."""

    def __init__(self, vocabulary: Iterable[str]) -> None:
        times = Counter(letter for word in vocabulary for letter in f"{word}>")
        everything = times.total() + len(times) + 1
        self._logprobs = {letter: math.log((found + 1) / everything) for letter, found in times.items()}
        self._new = -math.log(everything)

    def logprob(self, word: str) -> float:
        """Natural logarithm of P(letters, end)."""
        return sum(self._logprobs.get(letter, self._new) for letter in f"{word[:LONGEST]}>")


class Vocabulary:
    """The words of one language with their counts, and how others would be spelled."""

    def __init__(self, counts: Counter[str], language: Language, num_letters: int) -> None:
        self.language = language
        self.counts = counts
        self.num_words = counts.total()
        self._spelling = Spelling((word for word, _ in counts.most_common(MOST_SPELLED)), num_letters)
        self._logprobs: dict[str, float] = {}

    def times(self, word: str) -> int:
        """How often it stands in the text."""
        return self.counts.get(lower(word, self.language), 0)

    def logprob(self, word: str) -> float:
        """Natural logarithm; what is kept for words that are not in the text is after Witten and Bell too."""
        word = lower(word, self.language)
        if word not in self._logprobs:
            num_kinds = len(self.counts) + 1
            mass = self.counts.get(word, 0) + num_kinds * math.exp(self._spelling.logprob(word))
            self._logprobs[word] = math.log(mass) - math.log(self.num_words + num_kinds)
        return self._logprobs[word]

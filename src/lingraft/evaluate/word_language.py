"""Which of two languages a word is, learned from text of both.

The method is that of B. King and S. Abney, "Labeling the Languages of Words in Mixed-Language Documents using Weakly
Supervised Methods" (NAACL 2013): each language is a model of words learned from text of it alone, and a hidden Markov
model with one state a language reads a sentence, so that neighbours decide where a word could be either.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice

import regex

ORDER = 5
MOST_CHARACTERS = 20_000_000
MOST_SPELLED = 100_000
WORD = regex.compile(r"(?:\p{L}[\p{M}\u200c\u200d]*+)++")
DOTTED_I = {"tr", "az", "crh", "tt"}


def lower(word: str, tag: str) -> str:
    """The word in lower case, as its language writes it: the capital of Turkish ı is I."""
    if tag.split("-")[0] in DOTTED_I:
        word = word.replace("İ", "i").replace("I", "ı")
    return word.lower()


class Spelling:
    """How probable a string is as a new word: letters after up to four before them.

    Interpolated after Witten and Bell (S. F. Chen and J. Goodman, 1999, section 2.5), learned from a vocabulary, not
    from running text: a word that was never seen is spelled as rare words are, not as the most frequent ones.
    """

    def __init__(self, vocabulary: Iterable[str], num_letters: int) -> None:
        self.num_letters = num_letters
        self.grams: Counter[str] = Counter()
        self.contexts: Counter[str] = Counter()
        self.kinds: Counter[str] = Counter()
        for word in vocabulary:
            marked = f"<{word}>"
            for end in range(1, len(marked)):
                for start in range(max(0, end - ORDER + 1), end + 1):
                    gram = marked[start : end + 1]
                    context = gram[:-1]
                    if gram not in self.grams:
                        self.kinds[context] += 1
                    self.grams[gram] += 1
                    self.contexts[context] += 1

    def logprob(self, word: str, order: int = ORDER) -> float:
        """Natural logarithm."""
        marked = f"<{word}>"
        total = 0.0
        for end in range(1, len(marked)):
            probability = 1 / (self.num_letters + 1)
            for start in range(end, max(-1, end - order), -1):
                context = marked[start:end]
                times = self.contexts.get(context)
                if not times:
                    break
                kinds = self.kinds[context]
                probability = (self.grams.get(marked[start : end + 1], 0) + kinds * probability) / (times + kinds)
            total += math.log(probability)
        return total


class Vocabulary:
    """The words of one language with their counts, and their spelling."""

    def __init__(self, counts: Counter[str], tag: str, num_letters: int) -> None:
        self.tag = tag
        self.counts = counts
        self.num_words = counts.total()
        self.spelling = Spelling((word for word, _ in counts.most_common(MOST_SPELLED)), num_letters)
        self.known: dict[str, float] = {}

    def logprob(self, word: str) -> float:
        word = lower(word, self.tag)
        if word not in self.known:
            new = len(self.counts)
            probability = self.counts.get(word, 0) + new * math.exp(self.spelling.logprob(word))
            self.known[word] = math.log(probability / (self.num_words + new))
        return self.known[word]


def count(texts: Iterable[str], tag: str) -> Counter[str]:
    """Words that do not begin with a capital: those could be names."""
    counts: Counter[str] = Counter()
    left = MOST_CHARACTERS
    for text in texts:
        counts.update(lower(word, tag) for word in WORD.findall(text) if not word[0].isupper())
        left -= len(text)
        if left < 0:
            break
    return counts

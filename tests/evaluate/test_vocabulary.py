import itertools
import math
from collections import Counter

import pytest

from lingraft.corpus.language import find
from lingraft.evaluate.vocabulary import ORDER, Letters, Spelling, Vocabulary, count, lower, passages

WORDS = ["kot", "kora", "tok", "oko", "rok"]


def slow(word: str, vocabulary: list[str], num_letters: int) -> float:
    """Witten-Bell from its definition, one context at a time."""

    def probability(letter: str, context: str) -> float:
        marked = [f"<{word}>" for word in vocabulary]
        after = [
            w[at + len(context)] for w in marked for at in range(len(w) - len(context)) if w.startswith(context, at)
        ]
        if context == "":
            after = [letter for w in marked for letter in w[1:]]
        shorter = probability(letter, context[1:]) if context else 1 / (num_letters + 1)
        if not after:
            return shorter
        return (after.count(letter) + len(set(after)) * shorter) / (len(after) + len(set(after)))

    marked = f"<{word}>"
    return math.prod(probability(marked[at], marked[max(0, at - ORDER + 1) : at]) for at in range(1, len(marked)))


@pytest.mark.parametrize("word", ["kot", "koko", "rower", "a"])
def test_spelling_against_the_definition(word: str) -> None:
    assert math.exp(Spelling(WORDS, 10).logprob(word)) == pytest.approx(slow(word, WORDS, 10))


def test_spelling_is_a_distribution() -> None:
    letters = "kotra"
    spelling = Spelling(WORDS, len(letters))
    strings = ["".join(s) for size in range(7) for s in itertools.product(letters, repeat=size)]
    total = sum(math.exp(spelling.logprob(string)) for string in strings)
    assert 0.9 < total < 1


def test_letters_at_random() -> None:
    letters = Letters(["ab", "b"])  # a once, b twice, an end twice; and one that is new
    assert math.exp(letters.logprob("b")) == pytest.approx((3 / 9) * (3 / 9))
    assert math.exp(letters.logprob("z")) == pytest.approx((1 / 9) * (3 / 9))


def test_words_are_more_probable_the_more_often_they_stand_there() -> None:
    vocabulary = Vocabulary(Counter({"kot": 50, "tok": 1}), find("pl"), 30)
    assert vocabulary.logprob("kot") > vocabulary.logprob("tok") > vocabulary.logprob("kok") > vocabulary.logprob("xyz")
    assert vocabulary.logprob("KOT") == vocabulary.logprob("kot")
    assert (vocabulary.times("Kot"), vocabulary.times("pies")) == (50, 0)
    assert vocabulary.logprob("x" * 10_000) == vocabulary.logprob("x" * 40)


def test_turkish_capitals() -> None:
    assert lower("IŞIK", find("tr")) == "ışık"
    assert lower("İYİ", find("tr")) == "iyi"
    assert lower("IT", find("en")) == "it"


def test_words_with_a_capital_are_not_counted() -> None:
    assert count(["Ala ma kota, a Kot ma Alę."], find("pl")) == {"ma": 2, "kota": 1, "a": 1}


def test_foreign_words_side_by_side_are_no_words_of_the_language() -> None:
    own = Counter({"kot": 500, "the": 2, "house": 2, "weekend": 2, "to": 300})
    other = Counter({"the": 500, "house": 90, "weekend": 90, "to": 300, "cat": 50})
    texts = ["Kot i the house to kot.", "The house. W weekend kot śpi."]
    assert passages(texts, own, other) == {"the": 1, "house": 1}

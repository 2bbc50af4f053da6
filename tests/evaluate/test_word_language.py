import dataclasses
import itertools
import math
import random

import pytest

from lingraft.core.errors import InputError
from lingraft.corpus.language import find
from lingraft.evaluate import prose, word_language
from lingraft.evaluate.word_language import WordLanguages, beginnings


def foreign(words: WordLanguages, text: str, prompt: str = "") -> list[str]:
    asked = {part for word in prose.letter_runs(prompt) for part in beginnings(word)}
    found = prose.words(text, words.target.language)
    return [found[place].text for run in words.judge(found, asked).foreign for place in run]


def test_viterbi_is_the_likeliest_of_all_sequences() -> None:
    enter, leave = math.exp(word_language.ENTER), math.exp(word_language.LEAVE)
    draw = random.Random(3)
    for _ in range(60):
        evidence = [draw.uniform(-8, 8) for _ in range(7)]

        def probability(states: tuple[bool, ...], evidence: list[float] = evidence) -> float:
            total, before = 0.0, False
            for state, found in zip(states, evidence, strict=True):
                moved = leave if before else enter
                total += math.log(moved if state != before else 1 - moved) + found * state
                before = state
            return total

        best = max(itertools.product((False, True), repeat=7), key=probability)
        assert word_language._likeliest(evidence) == list(best)
    assert word_language._likeliest([]) == []


def test_foreign_words_in_polish(polish_words: WordLanguages) -> None:
    assert foreign(polish_words, "Stary dom stoi nad rzeką i czeka na gości.") == []
    assert foreign(polish_words, "Stary dom and the little garden stoi nad rzeką.") == [
        "and",
        "the",
        "little",
        "garden",
    ]
    assert foreign(polish_words, "Poszedł do domu, because był zmęczony.") == ["because"]
    assert foreign(polish_words, "However, poszedł do domu i spał.") == ["However"]


def test_words_that_both_have_go_with_their_neighbors(polish_words: WordLanguages) -> None:
    assert foreign(polish_words, "Poszli na spacer, a potem do domu.") == []
    assert foreign(polish_words, "Poszli, as they had to go on a walk, do domu.") == [
        "as",
        "they",
        "had",
        "to",
        "go",
        "on",
        "a",
        "walk",
    ]


def test_another_script(polish_words: WordLanguages) -> None:
    assert foreign(polish_words, "Dodaj ogórek и łyżkę śmietany.") == ["и"]
    assert "重要" in foreign(polish_words, "To jest bardzo 重要 dla dzieci.")
    assert foreign(polish_words, "Kąt α i β są równe.") == []


def test_a_third_language(polish_words: WordLanguages) -> None:
    """No text of it was seen: a passage stands out, a short word mostly does not."""
    assert len(foreign(polish_words, "Der Hund läuft durch den Garten und bellt laut.")) > 4
    assert len(foreign(polish_words, "A kutya átszalad a kerten és hangosan ugat.")) > 3


def test_words_of_the_prompt_are_not_foreign(polish_words: WordLanguages) -> None:
    text = "Takie waterfalls spotyka się w górach."
    assert foreign(polish_words, text) == ["waterfalls"]
    assert foreign(polish_words, text, "Co znaczy waterfall?") == []
    assert foreign(polish_words, "To waterfall.", "Powiedz o waterfalls!") == []
    assert foreign(polish_words, text, "Co znaczy house?") == ["waterfalls"]


def test_names_and_what_stands_in_them(polish_words: WordLanguages) -> None:
    assert foreign(polish_words, "Czytał książkę House of the Rising Sun do rana.") == []
    assert foreign(polish_words, "Johnson poszedł do domu.") == []


def test_judged_counts(polish_words: WordLanguages) -> None:
    judged = polish_words.judge(prose.words("Stary dom NATO and the garden stoi.", find("pl")))
    assert (judged.own, judged.foreign) == (3, [[3, 4, 5]])
    judged = polish_words.judge([])
    assert (judged.own, judged.foreign) == (0, [])


def test_a_language_in_another_script_than_the_other(starter: dict[str, list[str]]) -> None:
    hindi = ["यह एक छोटी कहानी है। एक गाँव में एक किसान रहता था। वह रोज़ खेत में काम करता था।"] * 3
    words = WordLanguages.learn(hindi, starter["en"], find("hi"), find("en"))
    assert foreign(words, "वह रोज़ खेत में work करता था।") == ["work"]
    assert foreign(words, "वह London में रहता था।") == []
    assert foreign(words, "एक गाँव में किसान रहता था।") == []
    assert words.reliability.found is None
    assert not words.reliability.enough


def test_what_the_starter_texts_are_good_for(polish_words: WordLanguages) -> None:
    measured = polish_words.reliability
    assert 15_000 < measured.target_words < 40_000
    assert measured.known == pytest.approx(0.63, abs=0.1)
    assert measured.found > 0.9 > 0.05 > measured.false_alarms
    # Sound as far as they go, and too small to rely on: a third of the words is not known.
    assert not measured.enough
    assert dataclasses.replace(measured, known=0.9).enough
    assert not dataclasses.replace(measured, known=0.9, found=0.8).enough
    assert not dataclasses.replace(measured, known=0.9, false_alarms=0.2).enough


def test_too_little_text_is_said(starter: dict[str, list[str]]) -> None:
    words = WordLanguages.learn(starter["pl"][:2], starter["en"][:2], find("pl"), find("en"))
    assert words.reliability.known is None
    assert not words.reliability.enough
    assert foreign(words, "Stary dom stoi.") == []


def test_a_language_that_no_library_knows(starter: dict[str, list[str]]) -> None:
    """Polish with its letters moved along: only its own text can say what it is like."""
    alphabet = "aąbcćdeęfghijklłmnńoópqrsśtuvwxyzźż"
    moved = str.maketrans(
        alphabet + alphabet.upper(), alphabet[7:] + alphabet[:7] + (alphabet[7:] + alphabet[:7]).upper()
    )
    texts = [text.translate(moved) for text in starter["pl"]]
    words = WordLanguages.learn(texts, starter["en"], find("tlh-Latn"), find("en"))
    assert words.reliability.found > 0.9
    text = "Stary dom {} stoi nad rzeką.".translate(moved)
    assert foreign(words, text.format("")) == []
    assert foreign(words, text.format("and the garden")) == ["and", "the", "garden"]


def test_text_without_words() -> None:
    with pytest.raises(InputError, match="the text in Polish has no words to learn the language from"):
        WordLanguages.learn(["123", ""], ["the house is old"], find("pl"), find("en"))
    with pytest.raises(InputError, match="the text in English has no words"):
        WordLanguages.learn(["stary dom"], [], find("pl"), find("en"))


def test_much_text_is_not_read_to_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(word_language, "MOST_CHARACTERS", 100)
    endless = itertools.repeat("stary dom stoi nad rzeką")
    words = WordLanguages.learn(endless, itertools.repeat("the old house"), find("pl"), find("en"))
    assert words.reliability.target_words == 5 * 5

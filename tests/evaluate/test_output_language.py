import dataclasses
import json

import pytest

from lingraft.evaluate.output_language import SHARES, Written, describe
from lingraft.evaluate.word_language import WordLanguages


def one(words: WordLanguages, output: str, prompt: str = "") -> Written:
    return describe([output], [prompt], words)[0]


def test_figures_of_an_output(polish_words: WordLanguages) -> None:
    written = one(
        polish_words, "Stary dom stoi nad rzeką. The house was very old. Ogród and the garden są piękne. 123."
    )
    assert (written.sentences, written.in_target) == (3, 2)
    assert written.switched == (("The", "house", "was", "very", "old"), ("and", "the", "garden"))
    assert (written.words, written.foreign) == (5 + 5 + 6, 8)
    assert written.ngrams[1] == (17, 16)
    assert not written.empty
    assert not written.loops


@pytest.mark.parametrize(
    ("output", "empty"),
    [
        ("", True),
        (" \n\t ", True),
        ("```python\nfor item in items:\n    print(item)\n```", False),
        ("`the house`", False),
        ("😀😀 🎉", False),
        ("12 345,67 % — …!", False),
        ("\ufffd\ufffd\x00", False),
        ("\ud800", False),
        ("https://example.com/the/old/house", False),
    ],
)
def test_outputs_that_say_nothing_of_the_language(polish_words: WordLanguages, output: str, empty: bool) -> None:
    written = one(polish_words, output)
    assert (written.sentences, written.words, written.switched, written.empty) == (0, 0, (), empty)


def test_half_a_surrogate_pair_does_not_hide_the_rest(polish_words: WordLanguages) -> None:
    assert one(polish_words, "\udc80 Stary dom stoi.", "\ud800").in_target == 1


def test_a_line_without_end(polish_words: WordLanguages) -> None:
    written = one(polish_words, "abrakadabra" * 3000)
    assert written.loops
    assert written.words == 1


def test_the_prompt_of_the_same_place_counts(polish_words: WordLanguages) -> None:
    outputs = ["Takie waterfalls są w górach."] * 2
    asked, not_asked = describe(outputs, ["Co to waterfall?", ""], polish_words)
    assert asked.switched == ()
    assert not_asked.switched == (("waterfalls",),)


def test_shares_over_outputs(polish_words: WordLanguages) -> None:
    outputs = ["Stary dom stoi. The house was old.", "", "tak " * 20]
    written = describe(outputs, [""] * 3, polish_words)
    sums = {name: [sum(counts) for counts in zip(*map(count, written), strict=True)] for name, count in SHARES.items()}
    assert sums["in_target"] == [2, 3]
    assert sums["foreign_words"] == [4, 3 + 4 + 20]
    assert sums["switched"] == [1, 2]
    assert sums["distinct_1"] == [7 + 1, 7 + 20]
    assert sums["repeated_4"] == [16, 4 + 17]
    assert sums["loops"] == [1, 3]
    assert sums["empty"] == [1, 3]


def test_what_was_written_is_plain_json(polish_words: WordLanguages) -> None:
    written = dataclasses.asdict(one(polish_words, "Stary dom stoi and the garden."))
    assert json.loads(json.dumps(written))["switched"] == [["and", "the", "garden"]]


def test_nothing(polish_words: WordLanguages) -> None:
    assert describe([], [], polish_words) == []

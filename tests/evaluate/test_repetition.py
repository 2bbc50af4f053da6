import random

import pytest

from lingraft.evaluate.repetition import LOOP_CHARACTERS, loops, ngrams


def test_ngrams_by_hand() -> None:
    words = ["ha", "ha", "ha", "tak", "ha", "ha"]
    assert ngrams(words, 1) == (6, 2)
    assert ngrams(words, 2) == (5, 3)
    assert ngrams(words, 2).repeated == 2
    assert ngrams(words, 6) == (1, 1)
    assert ngrams(words, 7) == ngrams([], 1) == (0, 0)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Ala ma kota. Ala ma kota. Ala ma kota.", True),
        ("Było to tak. I poszedł dalej. I poszedł dalej.\nI  poszedł DALEJ. I posz", True),
        ("Ala ma kota. Ala ma kota.", False),
        ("ha ha ha", False),
        ("To jest zdanie, które się nie powtarza, choć jest dość długie.", False),
        ("Tak tak tak tak tak tak tak. Potem jednak poszedł do domu i spał do rana.", False),
        ("重要" * 12, True),
        ("重要" * 3, False),
        ("", False),
        ("😀" * 30, True),
    ],
)
def test_loops(text: str, expected: bool) -> None:
    assert loops(text) is expected


def slow(text: str) -> bool:
    """From the definition: some ending of the text is a passage three times, the last space aside."""
    text = " ".join(text.casefold().split())
    for size in range(LOOP_CHARACTERS, len(text) + 1):
        end = text[-size:]
        for period in range(1, (size + 1) // 3 + 1):
            if all(end[at] == end[at + period] for at in range(size - period)):
                return True
    return False


def test_loops_against_a_slow_search() -> None:
    draw = random.Random(2)
    found = 0
    for _ in range(200):
        unit = "".join(draw.choices("ab ", k=draw.randint(1, 14)))
        text = "".join(draw.choices("abc", k=10)) + unit * draw.randint(1, 5) + unit[: draw.randint(0, len(unit))]
        assert loops(text) == slow(text), text
        found += loops(text)
    assert 40 < found < 160


def test_a_long_text_that_repeats_itself_before_its_end() -> None:
    assert not loops("ab" * 100_000 + "To jednak jest koniec, który nie powtarza niczego z tamtego.")

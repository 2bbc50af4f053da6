r"""What must come back does, bit by bit; what is prose is found."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lingraft.conversations.translate.protect import LONG_CHARACTERS, MARK, Damaged, join, restore, split

TRICKY = [
    *("```python\nx = 1\n```", "```", "~~~\ncode\n~~~", "`a b`", "``a`b``", "`", "$$x^2$$", "$x$", "$5 and $6"),
    *("\\[ a \\]", "\\( b \\)", "\\begin{align}a\\end{align}", "\\begin{a}", "\\frac{1}{2}", "{name}", "{{ user }}"),
    *("{% if x %}", "${HOME}", "%s", "%(who)s", "%5.2f", "100%", "<b>", "</b>", '<a href="x">', "<!-- no -->"),
    *("&nbsp;", "https://x.org/a?b=c.", "www.x.org", "me@x.org", "[[1]]", "[[ 7 ]]", "[[", "]]", "\n", "\r\n", "\r"),
    *("\u2028", "\t", " ", "- ", "1. ", "> ", "# ", "| a | b |", "|---|", "word", "A sentence. ", "\x00", "\ue000"),
    *("Zażółć gęślą jaźń? ", "数学很美。", "\\", "*"),
]
TEXTS = st.one_of(st.text(), st.lists(st.sampled_from(TRICKY), max_size=30).map("".join))


@given(TEXTS)
def test_prose_that_comes_back_makes_the_same_text(text: str) -> None:
    pieces = split(text)
    assert join(pieces, [piece.text for piece in pieces if piece.prose]) == text


@given(TEXTS, st.integers(0, 3))
def test_marks_may_get_spaces_inside(text: str, spaces: int) -> None:
    pieces = split(text)
    padded = [
        MARK.sub(lambda m: f"[[{' ' * spaces}{m[1]}{' ' * spaces}]]", piece.text) for piece in pieces if piece.prose
    ]
    assert join(pieces, padded) == text


@given(TEXTS)
def test_prose_is_one_line_with_letters_and_no_space_around(text: str) -> None:
    for piece in split(text):
        if piece.prose:
            assert piece.text == piece.text.strip() != ""
            assert "\n" not in piece.text
            assert "\r" not in piece.text
            assert len(MARK.findall(piece.text)) == len(piece.parts)


def prose(text: str) -> list[str]:
    return [piece.text for piece in split(text) if piece.prose]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Hello there", ["Hello there"]),
        ("1. First\n2) Second\n  - [x] Third\na) Fourth", ["First", "Second", "Third", "Fourth"]),
        ("## Title\n\n> quoted", ["Title", "quoted"]),
        ("Run this:\n```sh\nls -l # list\n```\nand look.", ["Run this:", "and look."]),
        ("Unclosed:\n```\nls -l", ["Unclosed:"]),
        ("~~~\nls\n```\nstill code\n~~~\nprose", ["prose"]),
        ("| Name | 12 |\n|---|---|\n| Anna | {x} |", ["Name", "Anna"]),
        ("Call `f(x)` now", ["Call [[1]] now"]),
        ("See https://x.org/a_(b), or www.y.pl.", ["See [[1]], or [[2]]."]),
        ("Dear {name}, {{ greeting }} <b>%s</b> %(n)d", ["Dear [[1]], [[2]] [[3]][[4]][[5]] [[6]]"]),
        ("Write to a.b+c@d-e.co.uk!", ["Write to [[1]]!"]),
        ("If $x^2 = 4$ then \\(x\\) is \\frac{1}{2}", ["If [[1]] then [[2]] is [[3]]"]),
        ("It costs $5 and then $6 more", ["It costs $5 and then $6 more"]),
        ("Growth was 100% sure, 5 % more", ["Growth was 100% sure, 5 % more"]),
        ("$$\\sum_i x_i$$", []),
        ("\\begin{align}\na &= b\n\\end{align}\nSo it is.", ["So it is."]),
        ("12 + 30 = 42", []),
        ("See [[1]] there", ["See [[1]] there"]),
        ("`only code`", []),
        ("Try it:\n\ndef f(x):\n    return x\n\nprint(f(2))", ["Try it:"]),
        ('// nothing to say\nlist.append(3)\nn = 5\n{"a": 1}\nDear {name}', ["Dear [[1]]"]),
        ("a < b and c > d", ["a < b and c > d"]),
    ],
)
def test_what_is_translated(text: str, found: list[str]) -> None:
    assert prose(text) == found


def test_long_lines_are_cut_between_sentences() -> None:
    sentence = "The old lighthouse keeper climbed the stairs and {name} counted them aloud. "
    found = prose(sentence * 50)
    assert len(found) > 5
    assert all(len(part) <= LONG_CHARACTERS and part.endswith("aloud.") for part in found)
    assert len(prose("word " * 1000)) == 1  # no end of a sentence


def test_a_sentence_is_not_cut_inside_of_what_is_protected() -> None:
    code = "`" + "Stop. Go. " * 30 + "`"
    text = f"{'Many words here. ' * 30}{code} {'More of them. ' * 40}"
    pieces = split(text)
    assert [part for piece in pieces for part in piece.parts] == [code]


@pytest.mark.parametrize(
    ("translation", "said"),
    [
        ("Witaj", "'{name}' is lost"),
        ("[[1]] [[1]] [[2]]", "'{name}' stands there more than once"),
        ("[[1]] [[2]] [[3]]", "more marks than protected parts"),
        ("[[1]] [2]", "'%s' is lost"),
    ],
)
def test_what_does_not_come_back_once(translation: str, said: str) -> None:
    with pytest.raises(Damaged, match=said):
        restore(translation, ["{name}", "%s"])


def test_marks_may_change_their_places() -> None:
    assert restore("[[2]] i [[ 1 ]]", ["{name}", "%s"]) == "%s i {name}"
    assert restore("\\1 [[1]]", ["\\g<0>"]) == "\\1 \\g<0>"


PARTS = [
    "`",
    "{",
    "<a ",
    "$",
    "\\(",
    "\\begin{a}",
    "```\n",
    "[[1",
    "a.",
    "@",
    "%(",
    "> ",
    "| ",
    "&a",
    "%",
    "http://",
    "www.",
]


@pytest.mark.parametrize("part", PARTS)
def test_nothing_takes_more_than_linear_time(part: str) -> None:
    """The square of this length would not end within the limit of a test."""
    text = part * 50_000
    assert "".join(restore(piece.text, piece.parts) for piece in split(text)) == text

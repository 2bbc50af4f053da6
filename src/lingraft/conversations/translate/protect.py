r"""What of a text is translated, and what must come back as it is.

Line by line: blocks and lines of code, formulas, indentation, list numbers and other marks at the beginning of a line,
and lines without letters are not touched. What is left is prose, cut into sentences where a line is long. Inside of
prose, code, addresses, placeholders, tags and formulas are replaced by marks ([[1]]), and each mark must come back
once.

Models write anything, so nothing here takes more than linear time: every repetition in a pattern is possessive or
bounded.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import regex
from icu4py.breakers import SentenceBreaker

from lingraft.evaluate.language.prose import CODE_LINE

LONG_CHARACTERS = 600
"""A line that is longer is translated in parts of whole sentences, none longer where a sentence is not."""

MOST_OF_LINE = 1000
"""Characters that tell whether a line is code."""

FENCED = (
    r"^[ \t>]*+(?P<fence>`{3,}+|~{3,}+)[^\n]*+\n"
    r"(?:(?!^[ \t>]*+(?P=fence))[^\n]*+\n?+)*+"
    r"(?:^[ \t>]*+(?P=fence)[`~]*+[^\n]*+)?"
)
FORMULA = r"\$\$[^$]{1,4000}+\$\$|\\\[(?:(?!\\[\[\]])[\s\S]){1,4000}+\\\]"
ENVIRONMENT = (
    r"\\begin\{(?P<name>[A-Za-z*]{1,30}+)\}"
    r"(?:(?!\\(?:begin|end)\{(?P=name)\})[\s\S]){0,4000}+"
    r"\\end\{(?P=name)\}"
)
BLOCK = regex.compile(f"{FENCED}|{FORMULA}|{ENVIRONMENT}", regex.MULTILINE)

MARK = regex.compile(r"\[\[\s{0,3}+(\d{1,6}+)\s{0,3}+\]\]")
INLINE = regex.compile(
    r"(?P<ticks>`{1,2})(?!`)(?:(?!(?P=ticks))[^\n]){1,400}+(?P=ticks)"
    r"|\[\[\s{0,3}+\d{1,6}+\s{0,3}+\]\]"  # what looks like one of our marks
    r"|(?:(?:https?|ftp)://|(?<!\w)www\.)(?:[^\s<>\"'`()]|\([^\s<>\"'`()]{0,200}+\)){1,2000}(?<![.,;:!?\]])"
    r"|[\w.+-]{1,64}+@[\w-]{1,63}+(?:\.[\w-]{1,63}+){1,8}+"
    r"|\{\{[^{}\n]{0,200}+\}\}|\{%[^%\n]{0,200}+%\}|\$?\{[\w.:!\[\]-]{0,60}+\}"
    r"|%\([\w.]{1,60}+\)[-+ 0#]{0,3}+\d{0,4}+(?:\.\d{1,4}+)?+[a-zA-Z]"
    r"|(?<![\w%])%[-+0#]{0,3}+\d{0,4}+(?:\.\d{1,4}+)?+[sdifgeExXu](?!\w)"
    r"|</?[A-Za-z][^<>\n]{0,300}+>|<!--(?:(?!-->)[^\n]){0,400}+-->|&(?:[A-Za-z]{2,10}+|\#\d{1,6}+);"
    r"|\$(?=[^\s$])[^$\n]{0,300}+(?<=[^\s$])\$(?!\d)|\\\((?:(?!\\[()])[^\n]){1,400}+\\\)"
    r"|\\[A-Za-z]{2,30}+(?:\{[^{}\n]{0,200}+\}){1,3}+"
)
LINE = regex.compile(r"(\r\n|[\n\r])")
BEGINNING = regex.compile(
    r"(?:\s++|>++|\#{1,6}+(?=\s)|[-*+•–](?=\s)|\d{1,4}+[.)](?=\s)|\p{L}\)(?=\s)|\[[ xX]\](?=\s))*+"
)
LETTER = regex.compile(r"\p{L}")


@dataclass(frozen=True)
class Piece:
    """A part of a text: as it is, or prose with marks in place of what is protected."""

    text: str
    prose: bool = False
    parts: tuple[str, ...] = ()
    """What the marks [[1]], [[2]], ... stand for."""


class Damaged(Exception):
    """A translation in which what was protected is not what it was."""


def split(text: str) -> list[Piece]:
    """A text in pieces; of prose that comes back as it was, `join` makes the same text again."""
    return list(_merged(_pieces(text)))


def join(pieces: Sequence[Piece], translations: Sequence[str]) -> str:
    """The text with a translation in place of each piece of prose; raises Damaged."""
    found = iter(translations)
    return "".join(restore(next(found), piece.parts) if piece.prose else piece.text for piece in pieces)


def restore(translation: str, parts: Sequence[str]) -> str:
    """A translation with what was protected in place of the marks.

    Raises Damaged where a mark does not stand there exactly once, or another one does.
    """
    numbers = [int(number) for number in MARK.findall(translation)]
    for number, part in enumerate(parts, 1):
        if numbers.count(number) != 1:
            how = "is lost" if number not in numbers else "stands there more than once"
            raise Damaged(f"{part[:80]!r} {how}.")
    if len(numbers) > len(parts):
        raise Damaged("There are more marks than protected parts.")
    return MARK.sub(lambda mark: parts[int(mark[1]) - 1], translation)


def _merged(pieces: Iterator[Piece]) -> Iterator[Piece]:
    """Neighbors that are no prose become one."""
    kept = ""
    for piece in pieces:
        if not piece.prose:
            kept += piece.text
            continue
        if kept:
            yield Piece(kept)
            kept = ""
        yield piece
    if kept:
        yield Piece(kept)


def _pieces(text: str) -> Iterator[Piece]:
    end = 0
    for block in BLOCK.finditer(text):
        yield from _lines(text[end : block.start()])
        yield Piece(block[0])
        end = block.end()
    yield from _lines(text[end:])


def _lines(text: str) -> Iterator[Piece]:
    is_code = False
    for part in LINE.split(text):
        if LINE.fullmatch(part):
            yield Piece(part)
        else:
            # Outside of a fence, as many answers have it: what looks like code, and what is indented below.
            is_code = _is_code(part) or (is_code and part[:1] in (" ", "\t"))
            yield from (Piece(part),) if is_code else _line(part)


def _is_code(line: str) -> bool:
    """A placeholder at the end of a line does not make it code."""
    return CODE_LINE.search(_marked(line[:MOST_OF_LINE])[0]) is not None


def _line(line: str) -> Iterator[Piece]:
    bare = line.strip()
    if len(bare) > 1 and bare[0] == bare[-1] == "|":  # a row of a table
        for cell in regex.split(r"(\|)", line):
            yield from _prose(cell)
    else:
        beginning = BEGINNING.match(line).end()
        yield Piece(line[:beginning])
        yield from _prose(line[beginning:])


def _prose(text: str) -> Iterator[Piece]:
    for part in _sentences(text):
        bare = part.strip()
        start = part.find(bare)
        marked, parts = _marked(bare)
        if LETTER.search(MARK.sub("", marked)) is None:
            yield Piece(part)
        else:
            yield Piece(part[:start])
            yield Piece(marked, True, parts)
            yield Piece(part[start + len(bare) :])


def _marked(text: str) -> tuple[str, tuple[str, ...]]:
    parts: list[str] = []

    def mark(found: regex.Match[str]) -> str:
        parts.append(found[0])
        return f"[[{len(parts)}]]"

    return INLINE.sub(mark, text), tuple(parts)


def _sentences(text: str) -> Iterator[str]:
    """A text in parts; a sentence that has a protected part across its end is not cut there."""
    if len(text) <= LONG_CHARACTERS:
        yield text
        return
    within = [found.span() for found in INLINE.finditer(text)]
    part, place = "", 0
    for sentence in SentenceBreaker(text, "und"):
        inside = any(start < place < end for start, end in within)
        if part and len(part) + len(sentence) > LONG_CHARACTERS and not inside:
            yield part
            part = ""
        part += sentence
        place += len(sentence)
    yield part

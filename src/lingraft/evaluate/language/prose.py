r"""What of a text is prose: its sentences, and in them the words that say which language they are.

Code, addresses and numbers are no words. A word that says nothing of the language is marked with the reason: a name
(written with a capital inside a sentence), an abbreviation (all capitals), a mixed spelling (iPhone, camelCase), a
single letter. Sentences are those of Unicode Standard Annex 29, as ICU cuts them.

Models write anything, so nothing here takes more than linear time: every repetition in a pattern is possessive or
bounded.
"""

from collections.abc import Iterator
from functools import cache
from typing import NamedTuple

import regex
from icu4py.breakers import SentenceBreaker, WordBreaker

from lingraft.corpus.language import NO_SPACES, Language

SCRIPTS = {
    "Aran": "Arab",
    "Hans": "Hani",
    "Hant": "Hani",
    "Hrkt": "Hira Kana",
    "Jpan": "Hani Hira Kana",
    "Kore": "Hang Hani",
}
"""Names of ISO 15924 that Unicode has no script property for, by the scripts they are written in."""
UNSPACED = regex.compile(
    "(?V1)[{}]".format("".join(rf"\p{{Script={name}}}" for name in NO_SPACES if name not in SCRIPTS))
)
FENCE = "```"
INLINE = regex.compile(r"`[^`\n]{1,200}+`|(?:https?://|www\.)\S+(?<![.,;:!?)])")
"""Code and addresses that a sentence would be cut in."""
CODE_LINE = regex.compile(
    r"^\s*+(?:import [\w.]+$|from [\w.]{1,60}+ import\b|#include\b|//|/\*|\$ |>>> |SELECT\b.{1,500}\bFROM\b"
    r"|[\w.\[\]\"']{1,60}+ ?[-+*/|&]?=(?!.*[.!?…]$)|[\w.]{1,60}+\(.{0,200}\)$"
    r"|(?:def|class|elif|else|for|while|if|try|except|with|function|public|private|const|let|var)\b.{0,500}[:;{(]\s*+$)"
    r"|(?:[{}]|\);)\s*+$"
)
NO_PROSE = (
    r"[\p{Latn}\d._+-]{1,64}+@\S++"
    r"|[@\#]\w++"
    r"|</?\p{Latn}[^<>\n]{0,200}+>"
    r"|\\\p{Latn}++"
    r"|(?<!\S)--\p{Latn}[\p{Latn}-]*+"
    # Paths, names of files and hosts, calls.
    r"|(?<!\w)(?:\.{0,2}/[\w.-]{1,64}+){2,20}+"
    r"|(?<!\w)[\w.-]{1,64}+(?:/[\w.-]{1,64}+){2,20}+/?"
    r"|(?<!\w)[\w.-]{1,64}+(?:/[\w.-]{1,64}+)?+/(?!\w)"
    r"|\p{Latn}++(?:\.[\p{Ll}&&\p{Latn}]++){1,8}+(?!\p{L})"
    r"|\p{Latn}++\([^()\n]{0,100}+\)?"
    # Numbers with their unit, identifiers and formulas.
    r"|(?<!\w)\d[\d.,]{0,64}+[ \u00a0]?\p{Latn}{1,3}+(?!\p{L})"
    r"|\p{Latn}*+[\d_][\d_\p{Latn}\p{M}]*+"
    # A title: in quotation marks or italics, with a capital, no whole sentence.
    r"""|(?:["“„«‹‘]|(?<![*_])[*_])(?=\p{Lu})[^"“”„«»‹›’*_.!?\n]{1,60}+(?<!,)(?:["”“»›’]|[*_](?![*_]))"""
)
LETTERS = regex.compile(r"\p{L}[\p{L}\p{M}\u200c\u200d]*+")
SPOKEN = regex.compile(r"[\p{L}\p{N}]")
APOSTROPHE = regex.compile("['’]")
BEGINS_ANEW = regex.compile(r"[.!?…:;*•|\n]")
"""Between two words: what follows may have its capital because something begins."""


class Word(NamedTuple):
    """A run of letters of one script."""

    text: str
    own_script: bool
    """Whether it is written in the script of the target language."""
    mute: str = ""
    """Why it says nothing of the language: "name", "abbreviation", "mixed", "letter"; empty when it does."""
    first: bool = False
    """Whether it has a capital that it may have only because a sentence begins."""

    @property
    def stem(self) -> str:
        """Without what an apostrophe joins to it: the part before, unless that is an article."""
        parts = APOSTROPHE.split(self.text)
        return parts[0] if len(parts[0]) > 2 else max(parts, key=len)


def sentences(text: str) -> Iterator[str]:
    """The sentences of a text without its blocks and lines of code."""
    for outside in text.split(FENCE)[::2]:
        outside = INLINE.sub("\ufffc", outside)
        prose = "\n".join("" if CODE_LINE.search(line[:1000]) else line for line in outside.splitlines())
        for sentence in SentenceBreaker(prose, "und"):
            if not sentence.isspace():
                yield sentence


def letter_runs(text: str) -> list[str]:
    """The words of a text whatever they are, cut where an apostrophe or hyphen stands."""
    runs = LETTERS.findall(text)
    if UNSPACED.search(text) is None:
        return runs
    return [word for run in runs for word in (WordBreaker(run, "und") if UNSPACED.search(run) else (run,))]


def running_words(text: str) -> list[str]:
    """Every word and number of a text in its order, code or not, without case."""
    return [piece.casefold() for piece in WordBreaker(text, "und") if SPOKEN.search(piece)]


def words(sentence: str, language: Language) -> list[Word]:
    """The words of a sentence; those of scripts without spaces are cut by ICU."""
    found: list[tuple[str, bool, bool]] = []
    end = 0
    for match in _pattern(language.script).finditer(sentence):
        anew = end == 0 or BEGINS_ANEW.search(sentence, end, match.start()) is not None
        end = match.end()
        own = match["own"] is not None
        if not own and match["other"] is None:
            continue
        if UNSPACED.search(match[0]):
            found += ((piece, own, False) for piece in WordBreaker(match[0], "und"))
        else:
            found.append((match[0], own, anew))
    # Where most words have capitals, a capital does not tell a name.
    loud = sum(text.isupper() and len(text) > 1 for text, _, _ in found) * 2 > len(found)
    titles = len(found) > 3 and sum(text[0].isupper() for text, _, _ in found) * 3 > 2 * len(found)
    return [Word(text, own, *_mute(text, anew, loud, loud or titles)) for text, own, anew in found]


def _mute(text: str, anew: bool, loud: bool, titles: bool) -> tuple[str, bool]:
    if text.isupper() and len(text) == 1:
        return "letter", False
    if text.isupper():
        return ("", True) if loud else ("abbreviation", False)
    if text[0].isupper():
        return ("", True) if anew or titles else ("name", False)
    return ("mixed", False) if any(letter.isupper() for letter in text) else ("", False)


@cache
def _pattern(script: str) -> regex.Pattern[str]:
    own = "".join(rf"\p{{Script={name}}}" for name in SCRIPTS.get(script, script).split())
    letters = [
        rf"(?:[{kind}][\p{{M}}\u200c\u200d]*+)++"
        for kind in (own + r"[\p{L}&&\p{Zyyy}]", rf"\p{{L}}--[{own}\p{{Zyyy}}]")
    ]
    # In parentheses and another script: how a name is written where it comes from.
    gloss = rf"[(（](?=\P{{Ll}})[^{own}()\n]{{1,40}}+[)）]"
    found = (rf"(?P<{name}>{run}(?:['’]{run}){{0,2}}+)" for name, run in zip(("own", "other"), letters, strict=True))
    return regex.compile("(?V1)" + "|".join((NO_PROSE, gloss, *found)))

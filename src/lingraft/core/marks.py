"""Text of others made harmless for a terminal: what would steer it, or is not seen at all, is shown as a mark."""

import unicodedata

# Joiners and direction marks that languages are written with, and the soft hyphen: invisible, and harmless.
ORDINARY = frozenset("\n\t\u00ad\u061c\u200c\u200d\u200e\u200f")
STEERING = ("Cc", "Cf", "Cs", "Zl", "Zp")
"""Control, format and surrogate characters, separators of lines and paragraphs (Unicode general categories)."""
UNSEEN = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")
"""Letters, marks and signs that are drawn as nothing."""
SELECTORS = frozenset(map(chr, [*range(0xFE00, 0xFE0E), *range(0xE0100, 0xE01F0)]))
"""Variation selectors, which can hold a hidden text; not the two that choose between emoji and text."""
NUMBER_SIGNS = range(0x600, 0x606)
"""Arabic signs that are drawn under digits, though they count as format characters."""


def visible(text: str) -> str:
    """The text with every character that steers a terminal, or the order of what is read, or is not seen, as a mark.

    Line ends and tabs stay; a C0 control character becomes its Unicode picture, any other its number: ␛, ⟨U+202E⟩.
    """
    return "".join(_mark(character) for character in text)


def _mark(character: str) -> str:
    code = ord(character)
    steers = unicodedata.category(character) in STEERING
    if not (steers or character in UNSEEN or character in SELECTORS) or character in ORDINARY or code in NUMBER_SIGNS:
        return character
    if code < 0x20:
        return chr(0x2400 + code)
    return "␡" if code == 0x7F else f"⟨U+{code:04X}⟩"

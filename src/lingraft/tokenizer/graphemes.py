"""Where tokens tear what a reader sees as one character."""

from collections.abc import Sequence

import regex

# Characters that can stand inside of a cluster; a text without any has one cluster a character.
JOINING = regex.compile(r"[\p{M}\p{Cf}\p{Hangul}\p{Regional_Indicator}\p{Emoji_Modifier}\r]")
CLUSTER = regex.compile(r"\X")


def torn(text: str, offsets: Sequence[tuple[int, int]]) -> set[int]:
    """The places in the text (in characters, by two: an odd one is inside of a character) where a cluster is torn.

    `offsets` are those of the tokens; tokens that share a character have the same.
    """
    inside = _inside(text)
    found: set[int] = set()
    done = 0
    for start, end in offsets:
        if start < done:
            found.add(2 * start + 1)
        elif start in inside:
            found.add(2 * start)
        done = max(done, end)
    return found


def _inside(text: str) -> set[int]:
    """The positions between two characters of one cluster."""
    if JOINING.search(text) is None:
        return set()
    clusters = (match.span() for match in CLUSTER.finditer(text))
    return {at for start, end in clusters if end - start > 1 for at in range(start + 1, end)}

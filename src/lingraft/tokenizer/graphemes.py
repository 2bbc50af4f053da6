"""Where tokens tear what a reader sees as one character."""

from collections.abc import Sequence

import regex

# Characters that can stand inside of a cluster; a text without any has one cluster a character.
JOINING = regex.compile(r"[\p{M}\p{Cf}\p{Hangul}\p{Regional_Indicator}\p{Emoji_Modifier}\r]")
CLUSTER = regex.compile(r"\X")


def torn(text: str, offsets: Sequence[tuple[int, int]]) -> set[int]:
    """The clusters that tokens tear, each by its first character's place in the text.

    `offsets` are those of the tokens, in characters; tokens that share a character have the same.
    """
    cluster_of = _inside(text)
    found: set[int] = set()
    done = 0
    for start, end in offsets:
        if start < done:  # within a character
            found.add(cluster_of.get(start, start))
        elif start in cluster_of:
            found.add(cluster_of[start])
        done = max(done, end)
    return found


def _inside(text: str) -> dict[int, int]:
    """The characters that stand in a cluster and not at its beginning, with the place of that."""
    if JOINING.search(text) is None:
        return {}
    return {at: match.start() for match in CLUSTER.finditer(text) for at in range(match.start() + 1, match.end())}

"""How much a text repeats itself."""

from collections.abc import Hashable, Sequence
from typing import NamedTuple

LOOP_TIMES = 3
LOOP_CHARACTERS = 24
MOST_CHARACTERS = 20_000


class NGrams(NamedTuple):
    """The n-grams of one text: how many, and how many different ones."""

    total: int
    distinct: int

    @property
    def repeated(self) -> int:
        """Those that stood in the text before: seq-rep-n of Welleck et al. (2020) is `repeated / total`."""
        return self.total - self.distinct


def ngrams(words: Sequence[Hashable], size: int) -> NGrams:
    """Of words; distinct-n of Li et al. (2016) is `distinct / total`."""
    total = max(0, len(words) - size + 1)
    return NGrams(total, len({tuple(words[at : at + size]) for at in range(total)}))


def loops(text: str) -> bool:
    """Whether a text ends in the same passage three times or more, 24 characters of it at least.

    White space and case do not count, nor how much of the last passage is there. Of a very long text the last 20,000
    characters are looked at.
    """
    backwards = " ".join(text[-MOST_CHARACTERS:].casefold().split())[::-1]
    # The prefix function of Knuth, Morris and Pratt: `length - border[-1]` is the shortest period of what is read.
    border = [0]
    for at in range(1, len(backwards)):
        length = border[-1]
        while length and backwards[at] != backwards[length]:
            length = border[length - 1]
        border.append(length + (backwards[at] == backwards[length]))
        size = at + 1
        # The space between two passages is not there after the last.
        if size >= LOOP_CHARACTERS and LOOP_TIMES * (size - border[-1]) <= size + 1:
            return True
    return False

"""Places in a text, as the old tokenizer segments it, where a new token could stand."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

TOKEN = "token"


@dataclass(frozen=True)
class Snippet:
    """A window of old ids; `first` to `last` of them spell new token number `token`."""

    token: int
    ids: Sequence[int]
    first: int
    last: int


def find(
    documents: Iterable[Sequence[int]], spellings: Sequence[Sequence[int]], *, per_token: int, tokens: int
) -> Iterator[Snippet]:
    """Up to `per_token` windows of `tokens` ids for each spelling, in the order of the text.

    The spelling stands in the middle of its window, or as near to it as the ends of the document allow; spellings
    longer than a window have none.
    """
    tree: dict[Any, Any] = {}
    for number, pieces in enumerate(spellings):
        if len(pieces) <= tokens:
            node = tree
            for piece in pieces:
                node = node.setdefault(piece, {})
            node.setdefault(TOKEN, []).append(number)
    wanted = [per_token] * len(spellings)
    missing = len(spellings)
    for ids in documents:
        for first in range(len(ids)):
            node, last = tree, first
            while last < len(ids) and (node := node.get(ids[last])) is not None:
                last += 1
                for number in node.get(TOKEN, ()):
                    if wanted[number]:
                        wanted[number] -= 1
                        missing -= not wanted[number]
                        yield _window(number, ids, first, last, tokens)
        if not missing:
            return


def _window(token: int, ids: Sequence[int], first: int, last: int, tokens: int) -> Snippet:
    before = (tokens - (last - first)) // 2
    start = max(0, min(first - before, len(ids) - tokens))
    return Snippet(token, ids[start : start + tokens], first - start, last - start)

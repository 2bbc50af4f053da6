"""Ascending token ids as ranges, which are short where ids follow each other."""

from collections.abc import Sequence


def ranges(ids: Sequence[int]) -> list[list[int]]:
    """Ascending ids as ranges, each its first id and the one after its last."""
    found: list[list[int]] = []
    for index in ids:
        if found and found[-1][1] == index:
            found[-1][1] += 1
        else:
            found.append([index, index + 1])
    return found


def in_ranges(found: Sequence[Sequence[int]]) -> list[int]:
    """The ids of `ranges`."""
    return [index for first, end in found for index in range(first, end)]

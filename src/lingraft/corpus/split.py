"""Which documents are held out: whole groups, drawn by seed."""

import hashlib
from collections.abc import Mapping
from typing import NamedTuple

from lingraft.core.errors import InputError

OVERSHOOT = 1.5


class Told(NamedTuple):
    """How errors speak of what is split."""

    unit: str
    one_group: str
    """What to do when there is one group."""
    too_many: str
    """What to do when too many would be held out."""


DOCUMENTS = Told(
    "documents",
    "Name another field in `group`, or write `group: null` to split document by document. A .txt file with "
    "`document: file` is one document: `line` and `paragraph` make many of it.",
    "Lower `held_out_docs`, add text, or split by a finer `group`.",
)


def rank(key: bytes, seed: int) -> bytes:
    """The place of a key in an order that a seed draws and that other keys do not change."""
    return hashlib.blake2b(key, key=seed.to_bytes(16, signed=True), digest_size=8).digest()


def hold_out(
    sizes: Mapping[bytes, int], number: int, *, seed: int, where: object = None, told: Told = DOCUMENTS
) -> set[bytes]:
    """The groups to hold out, of `sizes` (documents a group), until at least `number` documents are there.

    The groups are walked in the order of `rank`, so a group's place does not depend on which others there are: a
    corpus that grows keeps most of what it held out. A group that would bring more than 1.5 times `number` is passed
    over; only when the others do not suffice the smallest of those is taken too.
    Raises InputError when there are fewer than two groups, or when more than half of the documents would go.
    """
    if number <= 0:
        return set()
    total = sum(sizes.values())
    if len(sizes) < 2:
        raise InputError(
            f"all {total:,} {told.unit} are one group, which cannot be split.",
            where=where,
            remedy=told.one_group,
        )
    chosen: set[bytes] = set()
    passed_over: list[bytes] = []
    taken = 0
    for group in sorted(sizes, key=lambda group: rank(group, seed)):
        if taken >= number:
            break
        if taken + sizes[group] > OVERSHOOT * number:
            passed_over.append(group)
            continue
        chosen.add(group)
        taken += sizes[group]
    if taken < number and passed_over:
        smallest = min(passed_over, key=sizes.__getitem__)
        chosen.add(smallest)
        taken += sizes[smallest]
    if taken < number or taken > total / 2:
        raise InputError(
            f"there are {total:,} {told.unit}, and {number:,} are to be held out: over half."
            if max(sizes.values()) == 1
            else f"to hold out {number:,} {told.unit} in whole groups would take {taken:,} of {total:,}, over half.",
            where=where,
            remedy=told.too_many,
        )
    return chosen

"""Which documents are held out: whole groups, drawn by seed."""

import hashlib
from collections.abc import Mapping

from lingraft.core.errors import InputError

OVERSHOOT = 1.5


def hold_out(sizes: Mapping[bytes, int], held_out_docs: int, *, seed: int, where: object = None) -> set[bytes]:
    """The groups to hold out, of `sizes` (documents a group), until at least `held_out_docs` documents are there.

    The groups are walked in the order of a keyed hash of their keys, so a group's place does not depend on which
    others there are: a corpus that grows keeps most of what it held out. A group that would bring more than 1.5
    times `held_out_docs` is passed over; only when the others do not suffice the smallest of those is taken too.
    Raises InputError when there are fewer than two groups, or when more than half of the documents would go.
    """
    if held_out_docs <= 0:
        return set()
    total = sum(sizes.values())
    if len(sizes) < 2:
        raise InputError(
            f"all {total:,} documents are one group, which cannot be split.",
            where=where,
            remedy="Name another field in `group`, or write `group: null` to split document by document.",
        )
    key = seed.to_bytes(16, signed=True)
    chosen: set[bytes] = set()
    passed_over: list[bytes] = []
    taken = 0
    for group in sorted(sizes, key=lambda group: hashlib.blake2b(group, key=key, digest_size=8).digest()):
        if taken >= held_out_docs:
            break
        if taken + sizes[group] > OVERSHOOT * held_out_docs:
            passed_over.append(group)
            continue
        chosen.add(group)
        taken += sizes[group]
    if taken < held_out_docs and passed_over:
        smallest = min(passed_over, key=sizes.__getitem__)
        chosen.add(smallest)
        taken += sizes[smallest]
    if taken < held_out_docs or taken > total / 2:
        raise InputError(
            f"to hold out {held_out_docs:,} documents in whole groups would take {taken:,} of {total:,}, over half.",
            where=where,
            remedy="Lower `held_out_docs`, add text, or split by a finer `group`.",
        )
    return chosen

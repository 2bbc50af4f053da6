"""Byte pair encoding continued on segmented words: the counting and merging, whatever the symbols are.

Sennrich et al. 2016, arXiv 1508.07909, with one difference: a new token is made from *any* two neighbours that spell
it, as SentencePiece and tiktoken do, so that it means the same to them.
"""

import heapq
from array import array
from collections import defaultdict
from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass, field

import numpy as np

from lingraft.core.progress import SILENT, Progress

FEWEST = 2
"""How often two neighbours must stand side by side to become a token."""


@dataclass
class Words:
    """Segmented words end to end: their tokens, and of each word how many these are and how often it occurs."""

    tokens: array = field(default_factory=lambda: array("q"))
    lengths: list[int] = field(default_factory=list)
    counts: list[int] = field(default_factory=list)
    held_out: list[int] = field(default_factory=list)
    """The counts in text that is only measured."""

    def add(self, tokens: Sequence[int], count: int, held_out: int = 0) -> None:
        self.tokens.extend(tokens)
        self.lengths.append(len(tokens))
        self.counts.append(count)
        self.held_out.append(held_out)


@dataclass
class Merged:
    """What was learned, in the order of rank."""

    tokens: list[str] = field(default_factory=list)
    counts: list[int] = field(default_factory=list)
    """How often each token was made in the training text when it was learned."""
    held_out_saved: list[int] = field(default_factory=list)
    """How many tokens fewer the held-out text needs, by the number of new tokens minus one."""


def merge(
    words: Words,
    strings: dict[int, str],
    num_tokens: int,
    allowed: Callable[[str], bool] = lambda _: True,
    *,
    uncounted: Container[str] = (),
    progress: Progress = SILENT,
) -> Merged:
    """Up to `num_tokens` new tokens, the most frequent spelling first, of equal ones the first in code point order.

    `strings` spells every id. A spelling that `allowed` refuses, or that a token has already, is never learned; where
    two neighbours come to spell a token that is there, they become it. Tokens that are `uncounted` come on top.
    """
    state = _State(words, strings, allowed)
    merged = Merged()
    missing = num_tokens
    progress.start("learning tokens", total=num_tokens, unit="tokens")
    while missing > 0 and (found := state.best()) is not None:
        spelling, count = found
        state.learn(spelling)
        merged.tokens.append(state.names[spelling])
        merged.counts.append(count)
        merged.held_out_saved.append(state.held_out_saved)
        if merged.tokens[-1] not in uncounted:
            missing -= 1
            progress.advance()
    return merged


class _State:
    """All words end to end as a doubly linked list, and for each spelling of two neighbours its count and places.

    Spellings are numbered; a pair of neighbours is one integer, the left id in its upper half.
    """

    def __init__(self, words: Words, strings: dict[int, str], allowed: Callable[[str], bool]) -> None:
        self.strings = dict(strings)
        self.next_id = max(strings) + 1
        self.allowed = allowed
        self.held_out_saved = 0
        self.spelling_of: dict[int, int] = {}  # by pair
        self.numbers: dict[str, int] = {}
        self.names: list[str] = []
        self.counts: list[int] = []
        self.places: list[list[int]] = []
        self.token: list[int | None] = []  # the id of the token that has this spelling
        self.ids = {string: index for index, string in strings.items()}
        self._flatten(words)
        self._count()

    def _flatten(self, words: Words) -> None:
        tokens = np.array(words.tokens)
        lengths = np.array(words.lengths, np.int64)
        last = np.cumsum(lengths) - 1
        place = np.arange(len(tokens))
        before, after = place - 1, place + 1
        before[last - lengths + 1], after[last] = -1, -1
        weights = np.repeat(np.array(words.counts, np.int64), lengths)
        held_out = np.repeat(np.array(words.held_out, np.int64), lengths)
        self.lefts = np.flatnonzero(after >= 0)
        self.pair_at = tokens[self.lefts] << 32 | tokens[self.lefts + 1]
        self.weight_at = weights[self.lefts]
        self.tokens, self.before, self.after = tokens.tolist(), before.tolist(), after.tolist()
        self.weights, self.held_out = weights.tolist(), held_out.tolist()

    def _count(self) -> None:
        """Count the pairs at once with numpy; a spelling gathers all pairs that spell it."""
        pairs, which = np.unique(self.pair_at, return_inverse=True)
        totals = np.bincount(which, weights=self.weight_at, minlength=len(pairs)).astype(np.int64)
        order = np.argsort(which, kind="stable")
        self.ordered = self.lefts[order]
        self.bounds = np.searchsorted(which[order], np.arange(len(pairs) + 1)).tolist()
        self.first_pairs: defaultdict[int, list[int]] = defaultdict(list)
        for index, (pair, total) in enumerate(zip(pairs.tolist(), totals.tolist(), strict=True)):
            spelling = self.spell(pair)
            if self.token[spelling] is None:  # else the base does not make that token here, and goes on not to
                self.counts[spelling] += total
                self.first_pairs[spelling].append(index)
        # A count only falls unless its spelling is put on the heap again: what the heap holds is never too low.
        self.heap = [
            (-total, name, spelling)
            for spelling, (name, total) in enumerate(zip(self.names, self.counts, strict=True))
            if total >= FEWEST and self.allowed(name)
        ]
        heapq.heapify(self.heap)

    def spell(self, pair: int) -> int:
        """The number of what a pair spells."""
        name = self.strings[pair >> 32] + self.strings[pair & 0xFFFFFFFF]
        spelling = self.numbers.get(name)
        if spelling is None:
            spelling = self.numbers[name] = len(self.names)
            self.names.append(name)
            self.counts.append(0)
            self.places.append([])
            self.token.append(self.ids.get(name))
        self.spelling_of[pair] = spelling
        return spelling

    def best(self) -> tuple[int, int] | None:
        while self.heap:
            claimed, name, spelling = heapq.heappop(self.heap)
            total = self.counts[spelling]
            if total == -claimed and self.token[spelling] is None:
                return spelling, total
            if total >= FEWEST and self.token[spelling] is None:
                heapq.heappush(self.heap, (-total, name, spelling))
        return None

    def learn(self, spelling: int) -> None:
        self.token[spelling], self.strings[self.next_id] = self.next_id, self.names[spelling]
        self.next_id += 1
        touched = self._join(spelling)
        while touched:  # a new token may complete one that was there before it
            completed: set[int] = set()
            for made in touched:
                if self.token[made] is not None:
                    completed.add(made)
                elif self.counts[made] >= FEWEST and self.allowed(self.names[made]):
                    heapq.heappush(self.heap, (-self.counts[made], self.names[made], made))
            touched = set().union(*map(self._join, sorted(completed)))

    def _join(self, spelling: int) -> set[int]:
        """Make the token wherever two neighbours spell it, from left to right; the spellings that come about."""
        tokens, before, after, weights, held_out = self.tokens, self.before, self.after, self.weights, self.held_out
        counts, places, spelling_of = self.counts, self.places, self.spelling_of.get
        index = self.token[spelling]
        touched: set[int] = set()
        for left in self._places(spelling):
            first, right = tokens[left], after[left]
            if first < 0 or right < 0:
                continue  # it has become part of something else, and so in the next lines
            second = tokens[right]
            if spelling_of(first << 32 | second) != spelling:
                continue
            weight = weights[left]
            previous, following = before[left], after[right]
            tokens[left], tokens[right], after[left] = index, -1, following
            self.held_out_saved += held_out[left]
            if previous >= 0:
                other = tokens[previous] << 32
                counts[spelling_of(other | first)] -= weight
                made = spelling_of(other | index)
                if made is None:
                    made = self.spell(other | index)
                counts[made] += weight
                places[made].append(previous)
                touched.add(made)
            if following >= 0:
                before[following] = left
                other = tokens[following]
                counts[spelling_of(second << 32 | other)] -= weight
                made = spelling_of(index << 32 | other)
                if made is None:
                    made = self.spell(index << 32 | other)
                counts[made] += weight
                places[made].append(left)
                touched.add(made)
        counts[spelling] = 0
        return touched

    def _places(self, spelling: int) -> list[int]:
        found, self.places[spelling] = self.places[spelling], []
        for pair in self.first_pairs.pop(spelling, ()):
            found += self.ordered[self.bounds[pair] : self.bounds[pair + 1]].tolist()
        return sorted(found)

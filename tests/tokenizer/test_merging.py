import random
from collections import Counter
from collections.abc import Collection
from itertools import pairwise

import pytest

from lingraft.tokenizer.merging import Words, merge

LETTERS = "aążn"


def slow_merge(
    words: Counter[tuple[str, ...]], old: Collection[str], num_tokens: int, forbidden: Collection[str] = ()
) -> tuple[list[str], list[int]]:
    """Before every new token, segment all words afresh by rank and count all neighbours afresh."""
    new: list[str] = []
    costs: list[int] = []
    while True:
        segmented = {word: slow_segment(word, old, new) for word in words}
        costs.append(sum(len(segmented[word]) * times for word, times in words.items()))
        counts: Counter[str] = Counter()
        for word, times in words.items():
            for pair in pairwise(segmented[word]):
                counts["".join(pair)] += times
        for spelling in [*old, *new, *forbidden]:
            counts.pop(spelling, None)
        best = min(counts, key=lambda spelling: (-counts[spelling], spelling), default=None)
        if best is None or counts[best] < 2 or len(new) == num_tokens:
            return new, costs
        new.append(best)


def slow_segment(word: tuple[str, ...], old: Collection[str], new: list[str]) -> list[str]:
    """Join the neighbours that spell the token of the best rank, the leftmost first; two old ones never an old one."""
    rank = dict.fromkeys(old, -1) | {token: at for at, token in enumerate(new)}
    symbols = list(word)
    while True:
        joined = [
            (rank[left + right], at)
            for at, (left, right) in enumerate(pairwise(symbols))
            if left + right in rank and not {left, right, left + right} <= set(old)
        ]
        if not joined:
            return symbols
        _, at = min(joined)
        symbols[at : at + 2] = ["".join(symbols[at : at + 2])]


def as_words(words: Counter[tuple[str, ...]], ids: dict[str, int]) -> Words:
    segmented = Words()
    for word, times in words.items():
        segmented.add([ids[symbol] for symbol in word], times, held_out=times)
    return segmented


@pytest.mark.parametrize("seed", range(20))
def test_merge_agrees_with_segmenting_and_counting_afresh_before_every_token(seed: int) -> None:
    draw = random.Random(seed)
    old_merges = ["an", "żn", "aa"] if seed % 2 else []
    old = [*LETTERS, *old_merges]
    drawn = [tuple(draw.choices(LETTERS, k=draw.randint(2, 9))) for _ in range(60)]
    words = Counter({tuple(slow_segment(word, LETTERS, old_merges)): draw.choice([1, 2, 3, 50]) for word in drawn})
    forbidden = ["ną", "nż"] if seed % 3 else []
    ids = {token: index for index, token in enumerate(old)}
    merged = merge(
        as_words(words, ids), {index: token for token, index in ids.items()}, 80, lambda token: token not in forbidden
    )
    tokens, costs = slow_merge(words, old, 80, forbidden)
    assert merged.tokens == tokens
    assert [costs[0] - saved for saved in merged.held_out_saved] == costs[1:]
    assert len(tokens) > 30


def test_what_is_only_measured_is_not_learned_from() -> None:
    words = Words()
    words.add([0, 1], 5, held_out=0)
    words.add([2, 3], 0, held_out=100)
    words.add([0, 1], 0, held_out=7)
    merged = merge(words, dict(enumerate("abcd")), 10)
    assert (merged.tokens, merged.counts, merged.held_out_saved) == (["ab"], [5], [7])


def test_neighbours_that_stand_together_once_are_no_token() -> None:
    words = Words()
    words.add([0, 1, 2], 1)
    words.add([3, 1], 1)
    assert merge(words, dict(enumerate("abcd")), 10).tokens == []


def test_all_pairs_of_a_spelling_count_together() -> None:
    strings = dict(enumerate(["a", "b", "c", "ab", "bc"]))
    words = Words()
    words.add([3, 2], 3)  # ab + c
    words.add([0, 4], 3)  # a + bc
    words.add([0, 0], 5)
    merged = merge(words, strings, 1)
    assert (merged.tokens, merged.counts) == (["abc"], [6])

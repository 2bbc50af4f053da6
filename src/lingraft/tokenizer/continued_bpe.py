"""Continued BPE: go on learning merges where the base's own training stopped.

The text is first segmented by the base, so every new token is built from tokens of the base and is reached by them:
the boundaries of a segmentation hold on their own, and merges that rank below all old ones change nothing before them.
Purason et al. 2025, arXiv 2512.03989; the algorithm of Sennrich et al. 2016, arXiv 1508.07909.
"""

import heapq
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from tokenizers import Tokenizer

from lingraft.core.progress import SILENT, Progress

from .kind import pre_tokens

Pair = tuple[int, int]


@dataclass(frozen=True)
class Learned:
    """New merges in the order of their rank, as pairs of token strings, and figures of the text behind them."""

    merges: list[tuple[str, str]]
    figures: dict[str, Any]


def learn(
    backend: Tokenizer,
    target: Iterable[str],
    new_tokens: int,
    *,
    guard: Iterable[str] = (),
    progress: Progress = SILENT,
) -> Learned:
    """Up to `new_tokens` merges, most frequent pair first; of equal pairs the one with the lower ids.

    A merge never crosses a pre-token, occurs at least twice when it is learned, and never spells a token that is there.
    There are fewer when the text has no more such pairs.
    No text of the `guard` is segmented otherwise than before: a pair that stands side by side anywhere in it is never
    merged. That is also the least that keeps it, as any such merge would fire there: old merges come first, and new
    tokens can only arise from a first one.
    """
    counts, figures = _count(backend, target, progress)
    words, weights = [], []
    for ids, count in _segmented(backend, counts):
        words.append(ids)
        weights.append(count)
    forbidden, guarded = _side_by_side(backend, guard, progress)
    vocabulary = backend.get_vocab(with_added_tokens=True)
    strings = {index: token for token, index in vocabulary.items()}
    merges = _merge(words, weights, strings, new_tokens, forbidden, progress)
    figures = {**figures, "distinct_pre_tokens": len(counts), "guard": guarded}
    return Learned([(strings[left], strings[right]) for left, right in merges], figures)


def _segmented(backend: Tokenizer, counts: Counter[str]) -> Iterator[tuple[list[int], int]]:
    """The pre-tokens of more than one token, as the base segments them, with their counts."""
    for pre_token, count in counts.items():
        ids = [token.id for token in backend.model.tokenize(pre_token)]
        if len(ids) > 1:
            yield ids, count


def _side_by_side(backend: Tokenizer, guard: Iterable[str], progress: Progress) -> tuple[set[Pair], dict[str, int]]:
    """The pairs of tokens that stand side by side in the guarded texts, and how much text that is."""
    counts, figures = _count(backend, guard, progress)
    pairs = {pair for ids, _ in _segmented(backend, counts) for pair in pairwise(ids)}
    return pairs, {**figures, "pairs": len(pairs)}


def _count(backend: Tokenizer, texts: Iterable[str], progress: Progress) -> tuple[Counter[str], dict[str, int]]:
    """How often each pre-token occurs, and how much text was read."""
    # Added tokens are cut out of a text before anything else is done to it; merges never see them.
    contents = sorted((token.content for token in backend.get_added_tokens_decoder().values()), key=len, reverse=True)
    cut = re.compile("|".join(map(re.escape, contents))).split if contents else lambda text: [text]
    counts: Counter[str] = Counter()
    documents = num_bytes = 0
    progress.start("reading the text", unit="B")
    for text in texts:
        for part in cut(text):
            if part:
                counts.update(pre_tokens(backend, part))
        documents += 1
        num_bytes += (size := len(text.encode()))
        progress.advance(size)
    return counts, {"documents": documents, "bytes": num_bytes}


def _merge(
    words: list[list[int]],
    weights: list[int],
    strings: dict[int, str],
    new_tokens: int,
    forbidden: set[Pair],
    progress: Progress,
) -> list[Pair]:
    """Learn merges on the segmented words, which are changed; each new token is entered in `strings`."""
    taken = set(strings.values())
    next_id = max(strings) + 1
    counts: dict[Pair, int] = defaultdict(int)
    where: dict[Pair, set[int]] = defaultdict(set)
    for index, word in enumerate(words):
        for pair in pairwise(word):
            counts[pair] += weights[index]
            where[pair].add(index)
    # A pair's count only falls unless the pair is new, so the heap may hold counts that are too high, never too low.
    heap = [(-count, pair) for pair, count in counts.items() if count > 1 and pair not in forbidden]
    heapq.heapify(heap)
    merges: list[Pair] = []
    progress.start("learning merges", total=new_tokens, unit="tokens")
    while heap and len(merges) < new_tokens:
        claimed, pair = heapq.heappop(heap)
        if counts[pair] != -claimed:
            if counts[pair] > 1:
                heapq.heappush(heap, (-counts[pair], pair))
            continue
        string = strings[pair[0]] + strings[pair[1]]
        if string in taken:
            continue
        taken.add(string)
        strings[next_id] = string
        merges.append(pair)
        fresh: set[Pair] = set()
        for index in where.pop(pair):
            word, weight = words[index], weights[index]
            merged = _replaced(word, pair, next_id)
            for old in pairwise(word):
                counts[old] -= weight
            for new in pairwise(merged):
                counts[new] += weight
                if next_id in new:
                    where[new].add(index)
                    fresh.add(new)
            words[index] = merged
        for new in fresh:
            if counts[new] > 1:
                heapq.heappush(heap, (-counts[new], new))
        next_id += 1
        progress.advance()
    return merges


def _replaced(word: list[int], pair: Pair, merged: int) -> list[int]:
    """The word with every occurrence of the pair merged, from left to right."""
    result: list[int] = []
    position = 0
    while position < len(word):
        if position + 1 < len(word) and word[position] == pair[0] and word[position + 1] == pair[1]:
            result.append(merged)
            position += 2
        else:
            result.append(word[position])
            position += 1
    return result

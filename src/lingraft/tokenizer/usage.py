"""Which old tokens a text can do without: those it uses least, of those that no other token is made of."""

import heapq
from collections import Counter
from collections.abc import Collection, Iterable

from lingraft.core.progress import SILENT, Progress

from . import content, kind, words
from .family import BYTE_TOKEN
from .method import Source


def usage(source: Source, texts: Iterable[str], *, progress: Progress = SILENT) -> Counter[str]:
    """How often each token stands in the texts."""
    backend = source.tokenizer.backend_tokenizer
    counts, _ = words.count(backend, texts, progress=progress)
    used: Counter[str] = Counter()
    for word, times in counts.items():
        for token in backend.model.tokenize(word):
            used[token.value] += times
    return used


def least_used(source: Source, used: Counter[str], most: int, protected: Collection[str] = ()) -> dict[str, int]:
    """Up to `most` tokens to drop with their ids, the least used first, of equals the one with the highest id.

    Special and other added tokens, bytes and single characters stay, and so does every token that a merge needs to
    make one that stays: only leaves go, and what was made of nothing but leaves after them ("leaf-based" pruning,
    Purason et al. 2025, arXiv 2512.03989).
    """
    vocabulary = source.tokenizer.get_vocab()
    stay = {*protected, *source.tokenizer.get_added_vocab()}
    merges = [] if source.family == kind.UNIGRAM else content.merges(source.content["model"])
    needed = Counter(part for merge in merges for part in set(merge))
    makers: dict[str, list[content.Merge]] = {}
    for merge in merges:
        makers.setdefault("".join(merge), []).append(merge)

    def droppable(token: str) -> bool:
        return not needed[token] and token not in stay and len(token) > 1 and not BYTE_TOKEN.fullmatch(token)

    leaves = [(used[token], -index, token) for token, index in vocabulary.items() if droppable(token)]
    heapq.heapify(leaves)
    dropped: dict[str, int] = {}
    while leaves and len(dropped) < most:
        _, _, token = heapq.heappop(leaves)
        dropped[token] = vocabulary[token]
        for merge in makers.get(token, ()):
            for part in set(merge):
                needed[part] -= 1
                if droppable(part):
                    heapq.heappush(leaves, (used[part], -vocabulary[part], part))
    return dropped

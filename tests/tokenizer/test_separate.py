from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest
from tokenizers import models, pre_tokenizers

from lingraft.tokenizer import kind, separate, words
from lingraft.tokenizer.extension import open_source
from lingraft.tokenizer.method import Source

BYTES = pre_tokenizers.ByteLevel.alphabet()


@pytest.fixture
def source(tiny_base: Path) -> Source:
    return open_source(tiny_base)


def counted(source: Source, texts: list[str]) -> Counter[str]:
    return words.count(source.tokenizer.backend_tokenizer, texts)[0]


def slow_merges(counts: Counter[str], num_merges: int) -> list[tuple[str, str]]:
    """Byte pair encoding as Sennrich et al. write it down: count all pairs anew before every merge."""
    segmented = {tuple(word): times for word, times in counts.items()}
    merges: list[tuple[str, str]] = []
    while len(merges) < num_merges:
        pairs: Counter[tuple[str, str]] = Counter()
        for word, times in segmented.items():
            for pair in pairwise(word):
                pairs[pair] += times
        best = min(pairs, key=lambda pair: (-pairs[pair], "".join(pair)))
        merges.append(best)
        joined: dict[tuple[str, ...], int] = {}
        for word, times in segmented.items():
            symbols = list(word)
            for at in range(len(symbols) - 1):
                if tuple(symbols[at : at + 2]) == best:
                    symbols[at : at + 2] = ["".join(best)]
            joined[tuple(symbols)] = times
        segmented = joined
    return merges


def test_merges_are_those_of_counting_anew_before_every_merge(source: Source, polish: list[str]) -> None:
    counts = counted(source, polish * 2)
    assert separate.learn(source, counts, 150, known=BYTES).merges == slow_merges(counts, 150)


def test_known_tokens_are_learned_and_not_counted(source: Source, polish: list[str]) -> None:
    counts = counted(source, polish * 2)
    vocabulary = source.tokenizer.get_vocab()
    own = separate.learn(source, counts, 50, known=vocabulary)
    assert sum(token not in vocabulary for token in own.tokens) == 50
    assert len(own.tokens) > 50
    assert own.tokens == separate.learn(source, counts, len(own.tokens), known=own.symbols).tokens


def test_characters_are_symbols_where_tokens_are_characters(sentencepiece_base: Path, polish: list[str]) -> None:
    source = open_source(sentencepiece_base)
    assert source.family == kind.SENTENCEPIECE_BPE
    counts = counted(source, [*polish * 2, "☃ 12 12 12"])
    own = separate.learn(source, counts, 60)
    assert own.symbols[:3] == ["▁", "a", "i"]
    assert "ł" in own.symbols
    assert "☃" not in own.symbols
    assert "12" not in own.tokens
    few = separate.learn(source, counts, 5)
    assert (len(few.symbols), few.tokens) == (5, [])


def test_a_tokenizer_of_these_merges_makes_every_token(source: Source, polish: list[str]) -> None:
    own = separate.learn(source, counted(source, polish * 2), 150, known=BYTES)
    vocabulary = {token: at for at, token in enumerate([*own.symbols, *own.tokens])}
    model = models.BPE(vocabulary, own.merges)
    assert [token for token in own.tokens if [part.value for part in model.tokenize(token)] != [token]] == []

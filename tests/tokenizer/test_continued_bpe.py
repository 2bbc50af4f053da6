import json
from collections import Counter
from collections.abc import Collection
from itertools import pairwise
from pathlib import Path

import pytest

from lingraft.core.errors import StageError
from lingraft.tokenizer import family
from lingraft.tokenizer.continued_bpe import learn
from lingraft.tokenizer.extension import extend
from lingraft.tokenizer.kind import pre_tokens
from lingraft.tokenizer.proofs import prove_guard


def slow_learn(
    words: Counter[tuple[str, ...]],
    vocabulary: dict[str, int],
    num_merges: int,
    forbidden: Collection[tuple[str, str]] = (),
) -> list[tuple[str, str]]:
    """Byte pair encoding as Sennrich et al. write it down: count all pairs anew before every merge."""
    ids, merges = dict(vocabulary), []
    while len(merges) < num_merges:
        pairs: Counter[tuple[str, str]] = Counter()
        for word, count in words.items():
            for pair in pairwise(word):
                pairs[pair] += count
        old = {pair for pair in pairs if "".join(pair) in ids}
        allowed = {pair: count for pair, count in pairs.items() if count > 1 and pair not in old | set(forbidden)}
        if not allowed:
            break
        best = min(allowed, key=lambda pair: (-allowed[pair], ids[pair[0]], ids[pair[1]]))
        merges.append(best)
        ids["".join(best)] = max(ids.values()) + 1
        merged_words: Counter[tuple[str, ...]] = Counter()
        for word, count in words.items():
            symbols = list(word)
            for at in range(len(symbols) - 1):
                if at + 1 < len(symbols) and (symbols[at], symbols[at + 1]) == best:
                    symbols[at : at + 2] = ["".join(best)]
            merged_words[tuple(symbols)] += count
        words = merged_words
    return merges


TEXTS = {
    "repeated letters": ["aaaaa aaaa aaa żżżżżż żżżż", "ababababa babab abab"],
    "one word": ["konkonkon"],
}


@pytest.mark.parametrize("name", ["polish", *TEXTS])
def test_learn_agrees_with_counting_anew_before_every_merge(name: str, tiny_base: Path, polish: list[str]) -> None:
    texts = TEXTS.get(name, polish * 2)
    tokenizer = family.open(tiny_base)
    backend = tokenizer.backend_tokenizer
    words: Counter[tuple[str, ...]] = Counter()
    for text in texts:
        for pre_token in pre_tokens(backend, text):
            words[tuple(token.value for token in backend.model.tokenize(pre_token))] += 1
    merges = learn(backend, texts, 120).merges
    assert merges == slow_learn(words, tokenizer.get_vocab(), 120)
    assert len(merges) > (60 if name == "polish" else 1)


def test_learn_does_not_depend_on_the_order_of_the_texts(tiny_base: Path, polish: list[str]) -> None:
    backend = family.open(tiny_base).backend_tokenizer
    assert learn(backend, polish * 2, 80).merges == learn(backend, polish[::-1] * 2, 80).merges


def test_learn_never_spells_a_token_that_is_there_and_never_learns_from_a_single_pair(tiny_base: Path) -> None:
    tokenizer = family.open(tiny_base)
    backend = tokenizer.backend_tokenizer
    assert learn(backend, ["żółw"], 10).merges == []
    strings = [left + right for left, right in learn(backend, ["żółw jeż żółw jeż"], 100).merges]
    assert strings
    assert len(set(strings)) == len(strings)
    assert not set(strings) & set(tokenizer.get_vocab())


def test_learn_never_joins_what_an_added_token_separates(tiny_base: Path) -> None:
    backend = family.open(tiny_base).backend_tokenizer
    merges = learn(backend, ["ż<|eos|>ż<|eos|>ż"] * 3, 10).merges
    assert [left + right for left, right in merges] == ["Å¼"]


def test_learn_reports_what_it_read(tiny_base: Path) -> None:
    figures = learn(family.open(tiny_base).backend_tokenizer, ["żaba", "żaba"], 1).figures
    unguarded = {"documents": 0, "bytes": 0, "pairs": 0}
    assert figures == {"documents": 2, "bytes": 10, "distinct_pre_tokens": 1, "guard": unguarded}
    assert json.dumps(figures)


def test_a_guarded_text_is_segmented_as_before(tiny_base: Path, tmp_path: Path, polish: list[str]) -> None:
    guard, target = polish[:2], polish * 2
    free, guarded = tmp_path / "free", tmp_path / "guarded"
    extend(tiny_base, target, free, new_tokens=120)
    figures = extend(tiny_base, target, guarded, new_tokens=120, guard=guard)
    with pytest.raises(StageError, match=r"2 of 2 guarded texts are segmented otherwise(.|\n)*as its guard"):
        prove_guard(tiny_base, free, guard)
    assert prove_guard(tiny_base, guarded, guard) == {"documents": 2, "resegmented": 0}
    assert figures["new_tokens"] == 120
    assert figures["text"]["guard"]["documents"] == 2


def test_the_guard_leaves_out_what_stands_side_by_side_and_nothing_else(tiny_base: Path, polish: list[str]) -> None:
    tokenizer = family.open(tiny_base)
    backend = tokenizer.backend_tokenizer

    def words(texts: list[str]) -> Counter[tuple[str, ...]]:
        pre = [pre_token for text in texts for pre_token in pre_tokens(backend, text)]
        return Counter(tuple(token.value for token in backend.model.tokenize(one)) for one in pre)

    sides = {pair for word in words(polish[:2]) for pair in pairwise(word)}
    merges = learn(backend, polish * 2, 60, guard=polish[:2]).merges
    assert merges == slow_learn(words(polish * 2), tokenizer.get_vocab(), 60, sides)

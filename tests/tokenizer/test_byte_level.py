"""The tokenizer of bytes: every text comes back, ids are as told, and a vocabulary grows from it as by plain BPE."""

from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from transformers import PreTrainedTokenizerFast

from lingraft.tokenizer import byte_level, extend, family, kind, prove


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bytes")
    byte_level.write(folder, 64)
    return folder


@pytest.fixture(scope="module")
def tokenizer(folder: Path) -> PreTrainedTokenizerFast:
    return family.open(folder)


def test_a_byte_is_its_value_and_three(tokenizer: PreTrainedTokenizerFast) -> None:
    assert len(tokenizer) == 259
    assert kind.of(tokenizer.backend_tokenizer) == kind.BYTE_LEVEL_BPE
    assert (tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.pad_token_id) == (0, 1, 2)
    assert tokenizer.model_max_length == 64
    text = "Ala\tma ż\n"
    assert tokenizer(text)["input_ids"] == [0, *(byte + 3 for byte in text.encode())]
    assert family.token_bytes(tokenizer).tolist() == [0, 0, 0, *[1] * 256]


@given(st.text())
def test_every_text_comes_back(tokenizer: PreTrainedTokenizerFast, text: str) -> None:
    ids = tokenizer.backend_tokenizer.encode(text, add_special_tokens=False).ids
    assert tokenizer.backend_tokenizer.decode(ids, skip_special_tokens=False) == text


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("I'll go home.", ["I", "'ll", " go", " home", "."]),
        ("in 12345 days", ["in", " ", "123", "45", " days"]),
        ("हिन्दी में", ["हिन्दी", " में"]),
        ("a\n\n  b", ["a", "\n\n", " ", " b"]),
    ],
)
def test_where_words_are_cut(tokenizer: PreTrainedTokenizerFast, text: str, words: list[str]) -> None:
    pieces = tokenizer.backend_tokenizer.pre_tokenizer.pre_tokenize_str(text)
    assert [text[start:end] for _, (start, end) in pieces] == words


def test_a_vocabulary_grows_from_it_as_by_plain_bpe(folder: Path, tmp_path: Path, english: list[str]) -> None:
    figures = extend(folder, english, tmp_path, new_tokens=40)
    grown = family.open(tmp_path)
    learned = [token for token, _ in sorted(grown.get_vocab().items(), key=lambda item: item[1])][259:]
    assert figures["new_tokens"] == len(learned) == 40
    assert learned == plain_bpe(family.open(folder), english, 40)
    assert prove(folder, tmp_path, english, [], demand=True)["unreachable"] == 0


def plain_bpe(tokenizer: PreTrainedTokenizerFast, texts: list[str], size: int) -> list[str]:
    """Sennrich et al. 2016 with nothing made fast; a token counts every pair that spells it."""
    cut = tokenizer.backend_tokenizer.pre_tokenizer.pre_tokenize_str
    words = [list(word) for text in texts for word, _ in cut(text)]
    learned: list[str] = []
    while len(learned) < size:
        counts = Counter(left + right for word in words for left, right in pairwise(word))
        learned.append(min(counts, key=lambda token: (-counts[token], token)))
        words = [merged(word, learned[-1]) for word in words]
    return learned


def merged(word: list[str], token: str) -> list[str]:
    parts: list[str] = []
    for part in word:
        if parts and parts[-1] + part == token:
            parts[-1] += part
        else:
            parts.append(part)
    return parts

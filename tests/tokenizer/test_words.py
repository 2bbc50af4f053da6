from collections import Counter
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as some
from tokenizers import AddedToken, Regex, Tokenizer, models, normalizers, pre_tokenizers

from lingraft.tokenizer import words

LLAMA3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)


def byte_level(pre_tokenizer: pre_tokenizers.PreTokenizer) -> Tokenizer:
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE({symbol: index for index, symbol in enumerate(alphabet)}, []))
    tokenizer.pre_tokenizer = pre_tokenizer
    tokenizer.add_special_tokens([AddedToken("<|end|>", normalized=False)])
    return tokenizer


def gpt2() -> Tokenizer:
    return byte_level(pre_tokenizers.ByteLevel(add_prefix_space=False))


def llama3() -> Tokenizer:
    split = pre_tokenizers.Split(Regex(LLAMA3), "isolated")
    return byte_level(
        pre_tokenizers.Sequence([split, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    )


def whole_texts() -> Tokenizer:
    return byte_level(pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False))


def sentencepiece() -> Tokenizer:
    tokenizer = Tokenizer(models.BPE({"<unk>": 0, "▁": 1, "a": 2}, [], unk_token="<unk>", byte_fallback=True))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    return tokenizer


def gemma() -> Tokenizer:
    tokenizer = sentencepiece()
    tokenizer.normalizer = normalizers.Replace(" ", "▁")
    return tokenizer


def unigram() -> Tokenizer:
    tokenizer = Tokenizer(models.Unigram([("<unk>", 0.0), ("▁", -1.0), ("a", -2.0)], 0, False))
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    return tokenizer


FAMILIES = [gpt2, llama3, whole_texts, sentencepiece, gemma, unigram]
TEXT = some.text(alphabet="aż'sT  \n\t.,19—ﬁ", max_size=40).map(lambda text: text.strip(" "))
MIXED = [
    "1 \n",
    "1  1",
    "a\u00a0 b \n  c\n",
    "Zażółć gęślą jaźń, don't  stop.\n\nI'LL  come —  2024.",
    "a<|end|>b c",
    "  leading and trailing  ",
    "",
]


def one_by_one(tokenizer: Tokenizer, texts: list[str]) -> Counter[str]:
    """Every text cut by the tokenizer itself, where an added token stands and then into words."""
    split, cut = words.splitter(tokenizer), words.cutter(tokenizer)
    return Counter(word for text in texts for part in cut(text) if part for word in split(part))


@pytest.mark.parametrize("family", FAMILIES)
@given(texts=some.lists(TEXT, max_size=6))
def test_words_are_those_of_the_tokenizer_itself(family: Callable[[], Tokenizer], texts: list[str]) -> None:
    tokenizer = family()
    counts, figures = words.count(tokenizer, texts)
    assert counts == one_by_one(tokenizer, texts)
    assert figures == {"documents": len(texts), "bytes": sum(len(text.encode()) for text in texts)}


@pytest.mark.parametrize("family", FAMILIES)
def test_words_of_real_sentences(family: Callable[[], Tokenizer], polish: list[str], english: list[str]) -> None:
    tokenizer = family()
    texts = [*polish, *english, " ".join(polish)] * 20 + [text.strip(" ") for text in MIXED]
    counts, _ = words.count(tokenizer, texts)
    assert counts == one_by_one(tokenizer, texts)
    assert len(counts) >= (10 if family is whole_texts else 100)


@pytest.mark.parametrize("family", [gpt2, llama3, whole_texts, gemma])
def test_words_of_texts_with_spaces_at_the_ends(family: Callable[[], Tokenizer]) -> None:
    counts, _ = words.count(family(), MIXED)
    assert counts - one_by_one(family(), MIXED) == Counter()


def test_a_tokenizer_that_crosses_spaces_is_given_whole_texts() -> None:
    assert words.count(whole_texts(), ["a b", "a b"])[0] == Counter({"aĠb": 2})

import math
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from lingraft.tokenizer import extend, measure, open, segments
from lingraft.tokenizer.fertility import parity, renyi_efficiency


def test_measure_counts_without_special_tokens(tiny_base: Path) -> None:
    tokenizer = open(tiny_base)
    texts = ["żółw", "The old\nlight"]
    figures = measure(tokenizer, texts)
    tokens = sum(len(tokenizer(text, add_special_tokens=False).input_ids) for text in texts)
    uses = Counter(index for text in texts for index in tokenizer(text, add_special_tokens=False).input_ids)
    power = sum((times / tokens) ** 2.5 for times in uses.values())
    assert figures.pop("renyi_efficiency") == pytest.approx(math.log(power) / -1.5 / math.log(400))
    assert figures == {
        "documents": 2,
        "bytes": 7 + 13,
        "characters": 4 + 13,
        "words": 4,
        "tokens": tokens,
        "bytes_per_token": 20 / tokens,
        "characters_per_token": 17 / tokens,
        "tokens_per_word": tokens / 4,
        "tokens_per_document": tokens / 2,
        "vocabulary": 400,
        "byte_fallback_rate": 6 / tokens,  # the two bytes of each of ż, ó and ł
    }


def test_measure_of_no_text_has_no_ratios(tiny_base: Path) -> None:
    assert measure(open(tiny_base), [])["bytes_per_token"] is None


@pytest.mark.parametrize("text", ["", "  two  spaces \n\n", "żółć 日本語 🐢", "e\u0301 <|eos|> end", "नमस्ते\u200d"])
def test_segments_join_to_the_text_one_piece_a_token(text: str, tiny_base: Path) -> None:
    tokenizer = open(tiny_base)
    pieces = segments(tokenizer, text)
    assert "".join(pieces) == text
    assert len(pieces) == len(tokenizer(text, add_special_tokens=False).input_ids)


def test_tokens_that_share_a_character_hold_it_once(tiny_base: Path, tmp_path: Path) -> None:
    assert segments(open(tiny_base), "ż") == ["ż", ""]
    extend(tiny_base, ["ż ż ż"], tmp_path, new_tokens=1)
    assert segments(open(tmp_path), "ż") == ["ż"]


def test_renyi_efficiency_is_1_where_all_tokens_are_used_alike() -> None:
    assert renyi_efficiency(np.full(50, 3), 50) == pytest.approx(1.0)
    assert renyi_efficiency(np.array([90, 5, 5]), 3) < renyi_efficiency(np.array([40, 30, 30]), 3) < 1


def test_bytes_of_a_sentencepiece_tokenizer_are_no_whole_characters(sentencepiece_base: Path) -> None:
    assert measure(open(sentencepiece_base), ["ż"])["byte_fallback_rate"] == pytest.approx(2 / 3)


def test_parity_is_the_ratio_of_the_tokens_of_one_text_in_two_languages(tiny_base: Path) -> None:
    tokenizer = open(tiny_base)
    costs = [len(tokenizer(text, add_special_tokens=False).input_ids) for text in ("Stary latarnik", "The old keeper")]
    assert parity(tokenizer, ["Stary latarnik"], ["The old keeper"]) == costs[0] / costs[1] > 1

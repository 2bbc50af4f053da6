from pathlib import Path

import pytest

from lingraft.tokenizer import extend, measure, open, segments


def test_measure_counts_without_special_tokens(tiny_base: Path) -> None:
    tokenizer = open(tiny_base)
    texts = ["żółw", "The old\nlight"]
    figures = measure(tokenizer, texts)
    tokens = sum(len(tokenizer(text, add_special_tokens=False).input_ids) for text in texts)
    assert figures == {
        "documents": 2,
        "bytes": 7 + 13,
        "characters": 4 + 13,
        "words": 4,
        "tokens": tokens,
        "bytes_per_token": 20 / tokens,
        "characters_per_token": 17 / tokens,
        "tokens_per_word": tokens / 4,
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

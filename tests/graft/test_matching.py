import json
from pathlib import Path
from typing import Any

import pytest
import torch
from made_tokenizers import NEW, edited, learned, save_extended, save_sentencepiece, with_merges
from tokenizers import AddedToken, Tokenizer

from lingraft.graft.matching import BYTE_OF, match, spell
from lingraft.tokenizer import family


@pytest.fixture(scope="module")
def extended(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_extended(tiny_base, tmp_path_factory.mktemp("extended"))


@pytest.fixture(scope="module")
def sentencepiece(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_sentencepiece(tmp_path_factory.mktemp("sentencepiece"))


def test_the_alphabet_of_gpt2() -> None:
    transformers = pytest.importorskip("transformers.convert_slow_tokenizer")
    assert {symbol: byte for byte, symbol in transformers.bytes_to_unicode().items()} == BYTE_OF


def test_an_extension_keeps_every_row_in_place(tiny_base: Path, extended: Path) -> None:
    old, new = family.open(tiny_base), family.open(extended)
    found = match(old, new, extended)
    assert found.copied == {index: index for index in range(400)}
    assert list(found.fresh) == list(range(400, 430))
    assert (found.num_old, found.num_new, found.dropped) == (400, 430, frozenset())
    assert found.in_place
    assert not found.unchanged
    assert (found.size(400), found.size(416), found.size(512)) == (430, 430, 512)
    for token, pieces in zip(found.fresh.values(), spell(old, new, found.fresh), strict=True):
        assert "".join(old.convert_ids_to_tokens(list(pieces))) == token


def test_ids_that_move_take_their_rows_along(tiny_base: Path, tmp_path: Path) -> None:
    def turn_round(content: dict[str, Any]) -> None:
        vocabulary = content["model"]["vocab"]
        content["model"]["vocab"] = {token: 399 - index for token, index in vocabulary.items()}
        for token in content["added_tokens"]:
            token["id"] = 399 - token["id"]

    folder = edited(tiny_base, tmp_path, turn_round)
    found = match(family.open(tiny_base), family.open(folder), folder)
    assert not found.in_place
    assert found.size(416) == 400
    table = torch.arange(416)[:, None].float()
    assert torch.equal(found.arrange(table, 400), table[:400].flip(0))


def test_a_sentencepiece_extension(sentencepiece: Path, tmp_path: Path, polish: list[str]) -> None:
    old = family.open(sentencepiece)
    size = len(old)
    merges = learned(sentencepiece, polish, NEW)
    new = family.open(edited(sentencepiece, tmp_path, with_merges(merges, size)))
    found = match(old, new, tmp_path)
    assert found.in_place
    assert len(found.fresh) == NEW
    for token, pieces in zip(found.fresh.values(), spell(old, new, found.fresh), strict=True):
        assert "".join(old.convert_ids_to_tokens(list(pieces))) == token


def test_letters_that_the_base_only_knows_as_bytes(sentencepiece: Path, tmp_path: Path) -> None:
    def edit(content: dict[str, Any]) -> None:
        content["model"]["vocab"]["ż"] = len(content["model"]["vocab"])

    old, new = family.open(sentencepiece), family.open(edited(sentencepiece, tmp_path, edit))
    found = match(old, new, tmp_path)
    (pieces,) = spell(old, new, found.fresh)
    assert old.convert_ids_to_tokens(list(pieces)) == ["<0xC5>", "<0xBC>"]


def test_from_sentencepiece_to_byte_level(sentencepiece: Path, tiny_base: Path) -> None:
    old, new = family.open(sentencepiece), family.open(tiny_base)
    found = match(old, new, tiny_base)
    before, after = old.get_vocab(), new.get_vocab()
    assert found.copied[after["<|bos|>"]] == before["<s>"]
    assert found.copied[after["<|eos|>"]] == before["</s>"]
    assert found.copied[after["Ġthe"]] == before["▁the"]
    assert found.copied[after["a"]] == before["a"]  # not <0x61>, which is the same byte
    assert found.copied[after["Å"]] == before["<0xC5>"]
    assert not found.in_place
    spelled = dict(zip(found.fresh.values(), spell(old, new, found.fresh), strict=True))
    assert spelled.pop("<|pad|>")  # an added token is text
    assert spelled
    for token, pieces in spelled.items():
        text = bytes(BYTE_OF[symbol] for symbol in token).decode()
        assert "".join(old.convert_ids_to_tokens(list(pieces))).replace("▁", " ") == text


def test_from_byte_level_to_sentencepiece(sentencepiece: Path, tiny_base: Path) -> None:
    old, new = family.open(tiny_base), family.open(sentencepiece)
    found = match(old, new, sentencepiece)
    before, after = old.get_vocab(), new.get_vocab()
    assert found.copied[after["▁the"]] == before["Ġthe"]
    assert found.copied[after["<0xC5>"]] == before["Å"]
    for token, pieces in zip(found.fresh.values(), spell(old, new, found.fresh), strict=True):
        if after[token] not in new.added_tokens_decoder:
            spelled = "".join(old.convert_ids_to_tokens(list(pieces)))
            assert bytes(BYTE_OF[symbol] for symbol in spelled).decode() == token.replace("▁", " ")


def test_a_part_of_a_letter_is_spelled_by_its_bytes(sentencepiece: Path, tiny_base: Path, tmp_path: Path) -> None:
    folder = edited(tiny_base, tmp_path, with_merges([("Ġ", "Å"), ("Å", "¼"), ("a", "Å¼")], 400))
    old, new = family.open(sentencepiece), family.open(folder)
    spelled = spell(old, new, {400: "ĠÅ", 402: "aÅ¼"})
    assert [old.convert_ids_to_tokens(list(pieces)) for pieces in spelled] == [
        ["▁", "<0xC5>"],
        ["a", "<0xC5>", "<0xBC>"],
    ]


def test_added_tokens_are_spelled_as_text_without_control_tokens(tiny_base: Path, tmp_path: Path) -> None:
    tokenizer = Tokenizer.from_file(str(tiny_base / "tokenizer.json"))
    tokenizer.add_tokens([AddedToken("<|river|>"), AddedToken("<|bos|><|eos|>")])
    content = json.loads(tokenizer.to_str())
    folder = edited(tiny_base, tmp_path, lambda old: old.update(content))
    old, new = family.open(tiny_base), family.open(folder)
    found = match(old, new, folder)
    river, controls = spell(old, new, found.fresh)
    assert list(river) == old("<|river|>", add_special_tokens=False).input_ids
    assert list(controls) == []

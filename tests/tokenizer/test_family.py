import shutil
from pathlib import Path

import pytest
from tokenizers import AddedToken, Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from lingraft.core.errors import InputError
from lingraft.tokenizer import family, kind


def save(folder: Path, model: object, pre_tokenizer: object = None) -> PreTrainedTokenizerFast:
    backend = Tokenizer(model)
    if pre_tokenizer is not None:
        backend.pre_tokenizer = pre_tokenizer
    PreTrainedTokenizerFast(tokenizer_object=backend).save_pretrained(folder)
    return family.open(folder)


def sentencepiece_like() -> models.BPE:
    vocabulary = {"<unk>": 0, **{f"<0x{byte:02X}>": byte + 1 for byte in range(256)}, "▁": 257, "ż": 258, "▁ż": 259}
    return models.BPE(vocab=vocabulary, merges=[("▁", "ż")], unk_token="<unk>", byte_fallback=True)


FAMILIES = {
    "WordPiece": (models.WordPiece({"[UNK]": 0, "a": 1}, unk_token="[UNK]"), pre_tokenizers.Whitespace()),
    "BPE with word-boundary marks": (models.BPE({"a</w>": 0}, [], end_of_word_suffix="</w>"), None),
    "BPE over characters": (models.BPE({"a": 0}, []), pre_tokenizers.Whitespace()),
}


@pytest.mark.parametrize("name", FAMILIES)
def test_families_that_nothing_can_be_added_to_are_named(name: str, tmp_path: Path) -> None:
    tokenizer = save(tmp_path, *FAMILIES[name])
    with pytest.raises(InputError, match=rf"this tokenizer is {name}; only byte-level BPE, (.|\n)*Keep its vocabulary"):
        kind.require_extendable(tokenizer.backend_tokenizer, tmp_path)


def test_families_that_can_be_extended_are_told_apart(
    tiny_base: Path, sentencepiece_base: Path, unigram_base: Path
) -> None:
    families = [
        kind.require_extendable(family.open(folder).backend_tokenizer, folder)
        for folder in (tiny_base, sentencepiece_base, unigram_base)
    ]
    assert families == [kind.BYTE_LEVEL_BPE, kind.SENTENCEPIECE_BPE, kind.UNIGRAM]


def test_open_says_what_is_there_when_tokenizer_json_is_not(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no tokenizer.json here \(the folder is empty\)"):
        family.open(tmp_path)
    (tmp_path / "tokenizer.model").touch()
    with pytest.raises(InputError, match=r"no tokenizer.json here \(tokenizer.model\)(.|\n)*save_pretrained"):
        family.open(tmp_path)
    with pytest.raises(InputError, match="no such folder"):
        family.open(tmp_path / "nowhere")


@pytest.mark.parametrize(("text", "message"), [("{", "JSONDecodeError"), ("{}", "KeyError")])
def test_open_names_a_damaged_file(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=f"does not load: {message}"):
        family.open(tmp_path)


def test_open_takes_off_truncation_and_padding(tiny_base: Path, tmp_path: Path) -> None:
    shutil.copytree(tiny_base, tmp_path / "base")
    backend = Tokenizer.from_file(str(tiny_base / "tokenizer.json"))
    backend.enable_truncation(3)
    backend.enable_padding(length=50)
    backend.save(str(tmp_path / "base" / "tokenizer.json"))
    ids = [ids for _, ids in family.encode(family.open(tmp_path / "base"), ["zzzzzzzzzz", "q"])]
    assert [len(line) for line in ids] == [10, 1]


def test_token_bytes_add_up_to_the_text(tiny_base: Path, polish: list[str]) -> None:
    tokenizer = family.open(tiny_base)
    tokenizer.add_tokens([AddedToken("  ż", special=False, normalized=False)])
    sizes = family.token_bytes(tokenizer)
    assert len(sizes) == len(tokenizer)
    for text in [*polish, "a  żb", "日本語\n\t"]:
        ((_, ids),) = family.encode(tokenizer, [text])
        assert sizes[ids].sum() == len(text.encode())
    assert not sizes[tokenizer("").input_ids].any()
    assert not sizes[tokenizer.all_special_ids].any()


def test_token_bytes_of_a_byte_fallback_tokenizer(tmp_path: Path) -> None:
    tokenizer = save(tmp_path, sentencepiece_like())
    sizes = family.token_bytes(tokenizer)
    by_token = {token: int(sizes[index]) for token, index in tokenizer.get_vocab().items()}
    assert (by_token["<0xC5>"], by_token["▁"], by_token["ż"], by_token["▁ż"]) == (1, 1, 2, 3)

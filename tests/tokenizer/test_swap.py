import json
from collections import Counter
from pathlib import Path

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

from lingraft.core.errors import InputError
from lingraft.tokenizer import family, swap
from lingraft.tokenizer.extension import extend, open_source
from lingraft.tokenizer.method import Texts

bpe = pytest.mark.parametrize("name", ["tiny_base", "sentencepiece_base"])


@pytest.fixture
def base(name: str, request: pytest.FixtureRequest) -> Path:
    return request.getfixturevalue(name)


@bpe
def test_the_vocabulary_is_new_but_for_the_tokens_that_stay(base: Path, tmp_path: Path, polish: list[str]) -> None:
    figures = extend(base, polish * 3, tmp_path, new_tokens=300, method="swap")
    old, new = family.open(base), family.open(tmp_path)
    assert figures["new_tokens"] == 300
    assert sorted(new.get_vocab().values()) == list(range(len(new.get_vocab())))
    assert new.special_tokens_map == old.special_tokens_map
    assert new.get_added_vocab() == old.get_added_vocab()
    assert new.backend_tokenizer.decode(new("żółw").input_ids, skip_special_tokens=True) == "żółw"
    assert figures["text"]["in_base"] < 300
    lengths = [sum(len(ids) for _, ids in family.encode(tokenizer, polish)) for tokenizer in (old, new)]
    assert lengths[1] < 0.8 * lengths[0]


@bpe
def test_every_token_is_reached(base: Path, polish: list[str]) -> None:
    extended = swap.method(open_source(base), Texts(polish * 3), 300)
    model = Tokenizer.from_str(json.dumps(extended.content)).model
    assert [token for token in extended.new_tokens if [part.value for part in model.tokenize(token)] != [token]] == []


def test_bytes_stay_where_tokens_are_characters(sentencepiece_base: Path, polish: list[str]) -> None:
    source = open_source(sentencepiece_base)
    extended = swap.method(source, Texts(polish * 3), 100)
    vocabulary = extended.content["model"]["vocab"]
    assert [vocabulary[f"<0x{byte:02X}>"] for byte in range(256)] == list(range(3, 259))
    tokenizer = Tokenizer.from_str(json.dumps(extended.content))
    assert tokenizer.decode(tokenizer.encode("日本 żółw").ids) == "日本 żółw"


def test_added_tokens_after_all_others_stay_there_and_what_names_them_follows(
    tmp_path: Path, polish: list[str]
) -> None:
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE({symbol: at for at, symbol in enumerate(alphabet)} | {"st": 256}, [("s", "t")]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.add_special_tokens(["<|begin|>", "<|end|>"])
    template = processors.TemplateProcessing(single="<|begin|> $A", special_tokens=[("<|begin|>", 257)])
    tokenizer.post_processor = processors.Sequence([processors.ByteLevel(trim_offsets=False), template])
    folder, new = tmp_path / "base", tmp_path / "new"
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<|begin|>", eos_token="<|end|>").save_pretrained(
        folder
    )
    listed = {"257": {"content": "<|begin|>", "special": True}, "258": {"content": "<|end|>", "special": True}}
    settings = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))
    (folder / "tokenizer_config.json").write_text(json.dumps(settings | {"added_tokens_decoder": listed}))
    extend(folder, polish * 3, new, new_tokens=300, method="swap")
    opened = family.open(new)
    assert (opened.bos_token_id, opened.eos_token_id, len(opened)) == (300, 301, 302)
    assert opened("żółw").input_ids[0] == 300


def test_replay_text_makes_up_its_share(tiny_base: Path, polish: list[str], english: list[str]) -> None:
    source = open_source(tiny_base)
    texts = Texts(polish * 20, replay=english * 100)
    without, half = swap.method(source, texts, 300), swap.method(source, texts, 300, replay_share=0.5)
    replay, target = half.figures["replay"]["bytes"], half.figures["bytes"]
    assert 0.5 <= replay / (replay + target) < 0.51
    assert without.figures["replay"]["bytes"] == 0
    common = {name: Counter(extended.new_tokens)["Ġthe"] for name, extended in (("0", without), ("half", half))}
    assert common == {"0": 0, "half": 1}


def test_replay_text_that_is_not_there_is_missed(tiny_base: Path, polish: list[str]) -> None:
    with pytest.raises(InputError, match=r"share of 0.2 of replay text is asked for, and there is none"):
        swap.method(open_source(tiny_base), Texts(polish), 300, replay_share=0.2)


def test_a_tokenizer_without_merges_is_refused(unigram_base: Path, polish: list[str]) -> None:
    with pytest.raises(InputError, match="method swap works with merges"):
        swap.method(open_source(unigram_base), Texts(polish), 300)

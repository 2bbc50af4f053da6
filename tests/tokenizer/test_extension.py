import json
import shutil
from pathlib import Path

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from lingraft.core.errors import InputError, RecipeError, StageError
from lingraft.tokenizer import extend, open, prove

TEMPLATE = "{% for message in messages %}<|bos|>{{ message['content'] }}{% endfor %}"


def edit(folder: Path, name: str, **values: object) -> None:
    path = folder / name
    path.write_text(json.dumps({**json.loads(path.read_text(encoding="utf-8")), **values}), encoding="utf-8")


@pytest.fixture
def like_llama3(tiny_base: Path, tmp_path: Path) -> Path:
    """Whole words straight from the vocabulary, and special tokens that stand outside of the model, last."""
    folder = tmp_path / "like_llama3"
    shutil.copytree(tiny_base, folder)
    content = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    special = [token["content"] for token in content["added_tokens"]]
    kept = [token for token in content["model"]["vocab"] if token not in special]
    vocabulary = {token: index for index, token in enumerate(kept)}
    vocabulary["Ġzaraz"] = len(vocabulary)  # no merges lead to it
    content["model"] |= {"vocab": vocabulary, "ignore_merges": True}
    for index, token in enumerate(content["added_tokens"]):
        token["id"] = len(vocabulary) + index
    content["post_processor"]["special_tokens"]["<|bos|>"]["ids"] = [len(vocabulary)]
    (folder / "tokenizer.json").write_text(json.dumps(content), encoding="utf-8")
    (folder / "chat_template.jinja").write_text(TEMPLATE, encoding="utf-8")
    return folder


def test_extend_appends_and_reports(tiny_base: Path, tmp_path: Path, polish: list[str]) -> None:
    figures = extend(tiny_base, polish * 3, tmp_path, new_tokens=50)
    assert (figures["old_size"], figures["new_size"], figures["new_tokens"]) == (400, 450, 50)
    assert figures["text"]["documents"] == 24
    assert "ż" in figures["examples"]
    old, new = open(tiny_base), open(tmp_path)
    assert len(new) == 450
    for text in polish:
        before, after = (tokenizer(text, add_special_tokens=False).input_ids for tokenizer in (old, new))
        assert len(after) < len(before)
        assert new.decode(after) == text


def test_extend_is_deterministic(tiny_base: Path, tmp_path: Path, polish: list[str]) -> None:
    for name in "ab":
        extend(tiny_base, iter(polish * 2), tmp_path / name, new_tokens=40)
    assert (tmp_path / "a/tokenizer.json").read_bytes() == (tmp_path / "b/tokenizer.json").read_bytes()


def test_new_merges_rank_below_all_old_ones(tiny_base: Path, tmp_path: Path, english: list[str]) -> None:
    extend(tiny_base, english * 2, tmp_path, new_tokens=20)
    old, new = (json.loads((folder / "tokenizer.json").read_text())["model"] for folder in (tiny_base, tmp_path))
    learned = [merge for merge in new["merges"] if "".join(merge) not in old["vocab"]]
    assert len({"".join(merge) for merge in learned}) == 20
    assert new["merges"][-len(learned) :] == learned
    # Before them the old ones in their order, and what makes an old token of a new one.
    assert [merge for merge in new["merges"][: -len(learned)] if set(merge) <= set(old["vocab"])] == old["merges"]


def test_a_small_text_gives_fewer_tokens_and_says_so(tiny_base: Path, tmp_path: Path) -> None:
    figures = extend(tiny_base, ["żżż ż"], tmp_path, new_tokens=100)
    assert figures["new_tokens"] < figures["new_tokens_asked"] == 100


@pytest.mark.parametrize("texts", [[], [""], ["ż"]])
def test_a_text_without_pairs_is_refused(texts: list[str], tiny_base: Path, tmp_path: Path) -> None:
    with pytest.raises(StageError, match=r"no new token could be learned from [02] bytes(.|\n)*Give more text"):
        extend(tiny_base, texts, tmp_path, new_tokens=10)


def test_an_unknown_method_and_another_family_are_refused(tiny_base: Path, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"no tokenizer method is called(.|\n)*continued_bpe"):
        extend(tiny_base, ["a"], tmp_path / "new", new_tokens=1, method="continued_bpee")
    pieces = Tokenizer(models.WordPiece({"[UNK]": 0, "a": 1}, unk_token="[UNK]"))
    PreTrainedTokenizerFast(tokenizer_object=pieces).save_pretrained(tmp_path / "wordpiece")
    with pytest.raises(InputError, match="WordPiece"):
        extend(tmp_path / "wordpiece", ["a"], tmp_path / "new", new_tokens=1)


def test_special_tokens_outside_of_the_model_stay_where_they_are(
    like_llama3: Path, tmp_path: Path, polish: list[str]
) -> None:
    new = tmp_path / "new"
    extend(like_llama3, [*polish * 2, "zaraz, zarazem i zaraz"], new, new_tokens=60)
    figures = prove(like_llama3, new, polish, ["<|bos|>The old<|eos|> zaraz"])
    assert (figures["old_ids_moved"], figures["unreachable"], figures["new_tokens"]) == (0, 0, 60)
    before, after = AutoTokenizer.from_pretrained(like_llama3), AutoTokenizer.from_pretrained(new)
    assert after.bos_token_id == before.bos_token_id == 398
    assert after.chat_template == TEMPLATE
    assert json.loads(after.backend_tokenizer.to_str())["model"]["ignore_merges"]
    ids = after(" zaraz", add_special_tokens=False).input_ids
    assert after.convert_ids_to_tokens(ids) == ["Ġzaraz"]
    assert min(set(after.get_vocab().values()) - set(before.get_vocab().values())) == len(before)
    assert after.add_tokens(["<|later|>"], special_tokens=True) == 1
    assert after.convert_tokens_to_ids("<|later|>") == len(before) + 60


def test_merges_written_as_words_and_settings_files_are_carried_over(tiny_base: Path, tmp_path: Path) -> None:
    base, new = tmp_path / "base", tmp_path / "new"
    shutil.copytree(tiny_base, base)
    content = json.loads((base / "tokenizer.json").read_text(encoding="utf-8"))
    merges = [" ".join(pair) for pair in content["model"]["merges"]]
    edit(base, "tokenizer.json", model={**content["model"], "merges": merges})
    (base / "additional_chat_templates").mkdir()
    (base / "additional_chat_templates/tools.jinja").write_text("x", encoding="utf-8")
    (base / "merges.txt").write_text("old", encoding="utf-8")
    extend(base, ["żaba żaba"], new, new_tokens=3)
    assert prove(base, new, ["żaba"], [])["unreachable"] == 0
    assert (new / "additional_chat_templates/tools.jinja").read_text(encoding="utf-8") == "x"
    assert not (new / "merges.txt").exists()


def test_a_named_class_that_builds_itself_anew_is_extended_as_it_runs(tiny_base: Path, tmp_path: Path) -> None:
    """transformers makes a GPT2Tokenizer from vocabulary and merges, and forgets what else the file says."""
    base, new = tmp_path / "base", tmp_path / "new"
    shutil.copytree(tiny_base, base)
    edit(base, "tokenizer_config.json", tokenizer_class="GPT2Tokenizer")
    extend(base, ["żółta żaba, żółty żuk"] * 2, new, new_tokens=20)
    assert type(open(new)).__name__ == "GPT2Tokenizer"
    assert prove(base, new, ["żółta żaba"], ["The old"])["unreachable"] == 0


def test_a_normalizer_is_applied_before_learning(tiny_base: Path, tmp_path: Path) -> None:
    base, new = tmp_path / "base", tmp_path / "new"
    shutil.copytree(tiny_base, base)
    edit(
        base,
        "tokenizer.json",
        normalizer={"type": "NFC"},
        pre_tokenizer=json.loads(pre_tokenizers.ByteLevel(add_prefix_space=False).__getstate__()),
    )
    figures = extend(base, ["z\u0307" * 4], new, new_tokens=1)
    assert figures["examples"] == ["ż"]
    assert prove(base, new, ["z\u0307"], [])["round_trip"] == {"documents": 1, "exact": 1, "changed_by_base": 1}

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tokenizers import AddedToken
from transformers import AutoTokenizer

from lingraft.core.errors import StageError
from lingraft.tokenizer import extend, prove


def changed(source: Path, folder: Path, change: Callable[[dict[str, Any]], object]) -> Path:
    shutil.copytree(source, folder)
    content = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    change(content)
    (folder / "tokenizer.json").write_text(json.dumps(content), encoding="utf-8")
    return folder


def test_prove_counts_what_changed_for_the_replay(tiny_base: Path, tmp_path: Path, polish: list[str]) -> None:
    extend(tiny_base, ["żółw " * 3, "zqx zqx"], tmp_path, new_tokens=9)
    figures = prove(tiny_base, tmp_path, polish, ["The old", "zqx zqx", "river"])
    assert figures["round_trip"] == {"documents": len(polish) + 3, "exact": len(polish) + 3, "changed_by_base": 0}
    assert (figures["replay_documents"], figures["replay_documents_resegmented"]) == (3, 1)
    assert -1 < figures["replay_token_change"] < 0
    assert 0 < figures["new_tokens_unused"] < figures["new_tokens"]
    assert figures["special_tokens_unchanged"]
    assert figures["chat_template_unchanged"]
    assert json.dumps(figures)


def test_prove_without_replay_has_no_token_change(tiny_base: Path, tmp_path: Path) -> None:
    extend(tiny_base, ["żółw żółw"], tmp_path, new_tokens=2)
    assert prove(tiny_base, tmp_path, [], [])["replay_token_change"] is None


def test_tokens_without_merges_are_unreachable(tiny_base: Path, tmp_path: Path) -> None:
    new = changed(tiny_base, tmp_path / "new", lambda content: content["model"]["vocab"].update({"Å¼Ã³": 400}))
    with pytest.raises(StageError, match=r"1 new tokens are never produced \('Å¼Ã³'\)(.|\n)*Do not train with it"):
        prove(tiny_base, new, [], [])


def test_growing_the_model_alone_moves_special_tokens(tiny_base: Path, tmp_path: Path) -> None:
    def outside(content: dict[str, Any]) -> None:
        content["added_tokens"].append({**content["added_tokens"][0], "content": "<|last|>", "id": 400})

    def grow(content: dict[str, Any]) -> None:
        content["model"]["vocab"]["Å¼"] = 401
        content["model"]["merges"].append(["Å", "¼"])

    old = changed(tiny_base, tmp_path / "old", outside)
    new = changed(old, tmp_path / "new", grow)
    with pytest.raises(StageError, match=r"1 old tokens lost their ids \('<\|last\|>'\); the special tokens"):
        prove(old, new, [], [])


def test_added_tokens_for_subwords_do_not_decode(tiny_base: Path, tmp_path: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(tiny_base)
    tokenizer.add_tokens([AddedToken("ó", normalized=False)])
    tokenizer.save_pretrained(tmp_path)
    with pytest.raises(StageError, match="1 of 2 texts are not decoded as before"):
        prove(tiny_base, tmp_path, ["góra", "las"], [])


def test_a_lost_chat_template_is_found(tiny_base: Path, tmp_path: Path) -> None:
    shutil.copytree(tiny_base, tmp_path / "old")
    (tmp_path / "old/chat_template.jinja").write_text("{{ messages }}", encoding="utf-8")
    with pytest.raises(StageError, match="the chat template changed"):
        prove(tmp_path / "old", tiny_base, [], [])


def test_another_post_processor_is_found(tiny_base: Path, tmp_path: Path) -> None:
    new = changed(tiny_base, tmp_path / "new", lambda content: content.update(post_processor=None))
    with pytest.raises(StageError, match="how they are put around a text"):
        prove(tiny_base, new, [], [])

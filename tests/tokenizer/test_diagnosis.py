import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sentencepiece import sentencepiece_model_pb2 as proto
from tokenizers import AddedToken
from transformers import AutoTokenizer

from lingraft.core.errors import InputError
from lingraft.tokenizer.diagnosis import Finding, describe, diagnose
from lingraft.tokenizer.extension import extend

NEW = [["ż", "ó"], ["ł", "w"]]


def broken(folder: Path) -> list[Finding]:
    return [finding for finding in diagnose(folder) if not finding.holds]


def changed(source: Path, folder: Path, change: Callable[[dict[str, Any]], object]) -> Path:
    shutil.copytree(source, folder)
    content = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    change(content)
    (folder / "tokenizer.json").write_text(json.dumps(content), encoding="utf-8")
    return folder


def test_a_whole_tokenizer_has_nothing_broken(any_base: Path) -> None:
    findings = diagnose(any_base)
    unhealthy = [finding.what for finding in findings if not finding.holds]
    assert unhealthy == (["4 of 4 texts do not come back as they were"] if "Unigram" in describe(any_base) else [])
    assert len(findings) >= 3


def test_extended_by_continued_bpe_nothing_is_broken(tiny_base: Path, tmp_path: Path, polish: list[str]) -> None:
    extend(tiny_base, polish * 3, tmp_path, new_tokens=60)
    (tmp_path / "config.json").unlink()
    assert broken(tmp_path) == []


def test_subwords_entered_as_added_tokens(tiny_base: Path, tmp_path: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(tiny_base)
    words = [f"{letter}ami" for letter in "abcdefghijkl"]
    tokenizer.add_tokens([AddedToken(word) for word in words])
    tokenizer.save_pretrained(tmp_path)
    [finding] = broken(tmp_path)
    assert finding.what == "12 words were entered with add_tokens"
    assert set(finding.names) < set(words)
    assert "continued_bpe" in finding.remedy


def test_merges_put_ahead_of_the_old(tiny_base: Path, tmp_path: Path, polish: list[str]) -> None:
    extend(tiny_base, polish * 3, tmp_path / "ahead", method="chinese_llama", new_tokens=40)
    found = [finding.what for finding in broken(tmp_path / "ahead")]
    assert any("rank ahead of all others" in what for what in found)


def test_tokens_that_no_merge_reaches(tiny_base: Path, tmp_path: Path) -> None:
    def append(content: dict[str, Any]) -> None:
        content["model"]["vocab"] |= {f"Å¼{symbol}": 400 + at for at, symbol in enumerate("abcdefgh")}

    found = broken(changed(tiny_base, tmp_path / "new", append))
    assert found[0].what == "8 of 405 tokens are never produced (1.98%)"
    assert found[0].names[-1] == "Å¼h"
    # And the model of 400 rows has none for them.
    assert found[1].what == "the model has 400 rows and the tokenizer needs 408"


def test_special_tokens_that_the_vocabulary_grew_under(tiny_base: Path, tmp_path: Path) -> None:
    def outside(content: dict[str, Any]) -> None:
        content["added_tokens"].append({**content["added_tokens"][0], "content": "<|last|>", "id": 400})
        content["model"]["vocab"]["ab"] = 400
        content["model"]["merges"].append(["a", "b"])

    finding = next(
        found for found in broken(changed(tiny_base, tmp_path / "new", outside)) if "another id" in found.what
    )
    assert finding.what.startswith("1 special tokens have another id when loaded")
    assert finding.names == ["<|last|>"]


def test_a_normalizer_that_loses_text(tiny_base: Path, tmp_path: Path) -> None:
    new = changed(tiny_base, tmp_path / "new", lambda content: content.update(normalizer={"type": "StripAccents"}))
    (tmp_path / "new" / "config.json").unlink()
    [finding] = broken(new)
    assert "do not come back" in finding.what


@pytest.mark.parametrize(("score", "said"), [(0.0, "12 pieces of tokenizer.model have score 0"), (-1.0, "agree on")])
def test_the_sentencepiece_file(score: float, said: str, sentencepiece_base: Path, tmp_path: Path) -> None:
    folder = tmp_path / "base"
    shutil.copytree(sentencepiece_base, folder)
    model = proto.ModelProto()
    model.trainer_spec.model_type = 2
    for at, token in enumerate(["<unk>", *(f"piece{at}" for at in range(12))]):
        model.pieces.add(piece=token, score=score, type=2 if at == 0 else 1)
    (folder / "tokenizer.model").write_bytes(model.SerializeToString())
    assert any(said in finding.what for finding in broken(folder))


def test_a_damaged_sentencepiece_file_is_named(sentencepiece_base: Path, tmp_path: Path) -> None:
    folder = tmp_path / "base"
    shutil.copytree(sentencepiece_base, folder)
    model = proto.ModelProto()
    model.trainer_spec.byte_fallback = True
    model.pieces.add(piece="<unk>", type=2)
    (folder / "tokenizer.model").write_bytes(model.SerializeToString())
    with pytest.raises(InputError, match=r"SentencePiece does not load it(.|\n)*Download the file again"):
        diagnose(folder)

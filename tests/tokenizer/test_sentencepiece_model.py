import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from tokenizers import Tokenizer

from lingraft.tokenizer import sentencepiece_model
from lingraft.tokenizer.extension import extend

Adding = Callable[[Path], Path]


@pytest.mark.parametrize(
    ("method", "options"), [("continued_bpe", {}), ("append", {"repair": True}), ("swap", {}), ("replace", {})]
)
def test_both_files_give_the_same_ids(
    method: str, options: dict[str, bool], with_model: Path, tmp_path: Path, polish: list[str], english: list[str]
) -> None:
    texts = [*polish, "Zażółć gęślą jaźń 🐢", "dwa  odstępy"]
    new_tokens = 150 if method == "swap" else 60
    figures = extend(
        with_model, polish * 3, tmp_path / "new", method=method, new_tokens=new_tokens, options=options, replay=english
    )
    assert figures["tokenizer_model"]["before"] == {"documents": 32, "agreeing": 32}
    assert figures["tokenizer_model"]["after"] == {"documents": 32, "agreeing": 32}
    assert sentencepiece_model.agreement(tmp_path / "new", texts) == {"documents": 10, "agreeing": 10}


def test_new_scores_are_below_all_old_ones_also_where_float32_is_coarse(
    with_model: Path, tmp_path: Path, polish: list[str]
) -> None:
    extend(with_model, polish * 3, tmp_path / "new", new_tokens=60)
    old, new = sentencepiece_model.read(with_model), sentencepiece_model.read(tmp_path / "new")
    assert old is not None
    assert new is not None
    scores = [piece.score for piece in new.pieces[len(old.pieces) :]]
    assert len(set(scores)) == 60
    assert scores == sorted(scores, reverse=True)
    assert max(scores) < -1e9
    assert [piece.SerializeToString() for piece in new.pieces[: len(old.pieces)]] == [
        piece.SerializeToString() for piece in old.pieces
    ]
    vocabulary = Tokenizer.from_file(str(tmp_path / "new" / "tokenizer.json")).get_vocab()
    assert {piece.piece: at for at, piece in enumerate(new.pieces)} == vocabulary


def test_a_list_of_tiktoken_ranks_is_no_sentencepiece_file(tiny_base: Path, tmp_path: Path, polish: list[str]) -> None:
    base = tmp_path / "base"
    shutil.copytree(tiny_base, base)
    (base / "tokenizer.model").write_text("IQ== 0\nIg== 1\n", encoding="utf-8")
    figures = extend(base, polish * 2, tmp_path / "new", new_tokens=5)
    assert "tokenizer_model" not in figures
    assert not (tmp_path / "new" / "tokenizer.model").exists()

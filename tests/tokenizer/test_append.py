import gzip
import json
import shutil
from itertools import islice
from pathlib import Path

import pytest
from tokenizers import Tokenizer

from lingraft.core.errors import InputError, StageError
from lingraft.tokenizer import append, content, reach
from lingraft.tokenizer.extension import extend, open_source
from lingraft.tokenizer.method import Texts
from lingraft.tokenizer.proofs import prove
from real_files import REAL, needs_real_files

bpe = pytest.mark.parametrize("name", ["tiny_base", "sentencepiece_base"])


@pytest.fixture
def base(name: str, request: pytest.FixtureRequest) -> Path:
    return request.getfixturevalue(name)


@bpe
def test_new_tokens_and_merges_come_after_the_old(base: Path, polish: list[str]) -> None:
    source = open_source(base)
    extended = append.method(source, Texts(polish * 3), 80)
    old, new = source.content["model"], extended.content["model"]
    assert new["merges"][: len(old["merges"])] == old["merges"]
    assert len(new["merges"]) > len(old["merges"])
    vocabulary = source.tokenizer.get_vocab()
    size = max(vocabulary.values()) + 1
    assert new["vocab"] == vocabulary | {token: size + at for at, token in enumerate(extended.new_tokens)}
    assert len(extended.new_tokens) == 80
    Tokenizer.from_str(json.dumps(extended.content))


@bpe
def test_unreachable_tokens_are_counted_and_refused_by_the_proofs(
    base: Path, tmp_path: Path, polish: list[str]
) -> None:
    figures = extend(base, polish * 3, tmp_path, new_tokens=80, method="append")["text"]
    assert 0 < figures["unreachable"] < 80
    assert len(figures["unreachable_names"]) == min(figures["unreachable"], reach.NUM_NAMED)
    with pytest.raises(StageError, match=f"{figures['unreachable']} new tokens are never produced"):
        prove(base, tmp_path, polish, [])


@bpe
def test_with_repair_every_token_is_reached(base: Path, tmp_path: Path, polish: list[str], english: list[str]) -> None:
    figures = extend(base, polish * 3, tmp_path, new_tokens=80, method="append", options={"repair": True})
    assert (figures["new_tokens"], figures["text"]["unreachable"]) == (80, 0)
    assert figures["text"]["left_out"] > 0
    assert prove(base, tmp_path, polish, english)["unreachable"] == 0


def test_with_repair_another_token_takes_the_place_of_one_left_out(tiny_base: Path, polish: list[str]) -> None:
    source, texts = open_source(tiny_base), Texts(polish * 3)
    plain = append.method(source, texts, 80).new_tokens
    repaired = append.method(source, texts, 80, repair=True)
    left_out = repaired.figures["left_out_names"]
    assert repaired.figures["left_out"] == len(left_out) < reach.NUM_NAMED
    assert [token for token in plain if token not in left_out] == repaired.new_tokens[: 80 - len(left_out)]
    assert repaired.content == content.add(source, repaired.new_tokens)


@pytest.mark.parametrize("repair", [False, True])
def test_little_text_gives_fewer_tokens(tiny_base: Path, repair: bool) -> None:
    extended = append.method(open_source(tiny_base), Texts(["żółw żółw"]), 500, repair=repair)
    assert 0 < len(extended.new_tokens) < 10


def test_a_tokenizer_without_merges_is_refused(unigram_base: Path, polish: list[str]) -> None:
    with pytest.raises(
        InputError, match=r"method append works with merges(.|\n)*Unigram has none(.|\n)*Take method continued_bpe"
    ):
        append.method(open_source(unigram_base), Texts(polish), 10)


@needs_real_files
@pytest.mark.parametrize("name", ["llama3", "llama2"])
def test_merges_reach_less_than_half_of_the_tokens_of_a_real_tokenizer(name: str, tmp_path: Path) -> None:
    shutil.copyfile(REAL / "tokenizers" / name / "tokenizer.json", tmp_path / "tokenizer.json")
    with gzip.open(REAL / "data/mono/pol/novels.jsonl.gz", "rt", encoding="utf-8") as lines:
        texts = [json.loads(line)["text"] for line in islice(lines, 60)]
    figures = append.method(open_source(tmp_path), Texts(texts), 2000).figures
    assert 0.5 < figures["unmerged"] / 2000 < 0.8
    assert (figures["unreachable"] < figures["unmerged"]) == (name == "llama3")

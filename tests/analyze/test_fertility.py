import dataclasses
import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_subjects import grafted, subject
from transformers import AutoTokenizer

from lingraft.analyze import parallel as sources
from lingraft.analyze.fertility import fertility
from lingraft.analyze.subject import Subject
from lingraft.corpus import find
from lingraft.graft import initialize
from lingraft.tokenizer import extend
from lingraft.tokenizer.fertility import parity


def slow_count(folder: Path, text: str) -> int:
    """Tokens of one sentence alone, through transformers."""
    return len(AutoTokenizer.from_pretrained(folder)(text, add_special_tokens=False)["input_ids"])


@pytest.fixture
def given(tiny_base: Path, tmp_path: Path) -> Subject:
    return subject({"base": tiny_base, "graft": grafted(tiny_base, tmp_path / "made")}, tmp_path / "kept")


@pytest.fixture
def pairs(tmp_path: Path, polish: list[str], english: list[str]) -> Path:
    lines = [
        json.dumps({"pl": f"{ours} {number}", "en": f"{theirs} {number}"})
        for number, (ours, theirs) in enumerate(zip(polish * 20, english * 20, strict=False))
    ][:30]
    (tmp_path / "pairs.jsonl").write_text("\n".join(lines), encoding="utf-8")
    return tmp_path / "pairs.jsonl"


def test_every_figure_against_sentences_one_by_one(given: Subject, pairs: Path) -> None:
    found = fertility(given, parallel=pairs)
    assert (found["target"], found["replay"]) == ("Polish", "English")
    assert (found["sentences"], found["source"]) == (30, "pairs.jsonl")
    read = [json.loads(line) for line in pairs.read_text(encoding="utf-8").splitlines()]
    base, graft = found["models"]
    assert (base["added_tokens"], graft["added_tokens"]) == (0, graft["vocabulary"] - base["vocabulary"])
    assert graft["added_tokens"] == 40
    slow: dict[tuple[str, str], int] = {}
    for row in (base, graft):
        for stream, key in (("target", "pl"), ("replay", "en")):
            texts = [record[key] for record in read]
            tokens = sum(slow_count(given.models[row["model"]], text) for text in texts)
            words = sum(len(text.split(" ")) for text in texts)
            size = len("".join(texts).encode())
            assert (found["words"][stream], found["bytes"][stream]) == (words, size)
            assert row[stream]["tokens"] == slow.setdefault((row["model"], stream), tokens) == tokens
            assert row[stream]["tokens_per_word"]["value"] == pytest.approx(tokens / words)
            assert row[stream]["tokens_per_sentence"]["value"] == pytest.approx(tokens / 30)
            assert row[stream]["bytes_per_token"]["value"] == pytest.approx(size / tokens)
        by_definition = parity(
            AutoTokenizer.from_pretrained(given.models[row["model"]]),
            [record["pl"] for record in read],
            [record["en"] for record in read],
        )
        assert row["parity"]["value"] == pytest.approx(by_definition)
    assert base["target"]["change"] is base["replay"]["change"] is None
    change = slow["graft", "target"] / slow["base", "target"] - 1
    assert graft["target"]["change"]["value"] == pytest.approx(change)
    assert graft["target"]["change"]["high"] < 0
    json.dumps(found, allow_nan=False)


def test_intervals_are_those_of_sentences_drawn_again(given: Subject, pairs: Path) -> None:
    """Percentiles over sentences drawn with Python's own generator, one resample after the other."""
    row = fertility(given, parallel=pairs)["models"][1]
    read = [json.loads(line) for line in pairs.read_text(encoding="utf-8").splitlines()]
    counted = [
        (
            slow_count(given.models["graft"], one["pl"]),
            slow_count(given.models["base"], one["pl"]),
            slow_count(given.models["graft"], one["en"]),
            len(one["pl"].split()),
        )
        for one in read
    ]
    draw = random.Random(5)
    resampled: dict[str, list[float]] = {"word": [], "sentence": [], "change": [], "parity": []}
    for _ in range(3000):
        new, old, english, words = (sum(one) for one in zip(*draw.choices(counted, k=30), strict=True))
        resampled["word"].append(new / words)
        resampled["sentence"].append(new / 30)
        resampled["change"].append(new / old - 1)
        resampled["parity"].append(new / english)
    figures = {
        "word": row["target"]["tokens_per_word"],
        "sentence": row["target"]["tokens_per_sentence"],
        "change": row["target"]["change"],
        "parity": row["parity"],
    }
    for name, figure in figures.items():
        low, high = np.quantile(resampled[name], [0.025, 0.975])
        width = high - low
        assert figure["low"] == pytest.approx(low, abs=0.1 * width), name
        assert figure["high"] == pytest.approx(high, abs=0.1 * width), name


def test_the_same_tokenizer_changes_nothing(tiny_base: Path, tmp_path: Path, pairs: Path) -> None:
    extend(tiny_base, [], tmp_path / "tokenizer", new_tokens=0, method="keep")
    initialize(tiny_base, tmp_path / "tokenizer", tmp_path / "same")
    found = fertility(subject({"base": tiny_base, "same": tmp_path / "same"}, tmp_path / "kept"), parallel=pairs)
    assert found["models"][1]["added_tokens"] == 0
    for stream in ("target", "replay"):
        assert found["models"][1][stream]["change"] == {"value": 0, "low": 0, "high": 0}


def test_the_starters_sentences_by_default(given: Subject) -> None:
    found = fertility(given)
    assert found["source"] == "starter"
    assert found["sentences"] == len(sources.shipped("pl", "en"))


def test_where_it_does_not_apply(given: Subject, tmp_path: Path) -> None:
    alone = dataclasses.replace(given, texts=given.texts[:1])
    assert fertility(alone) == {"skipped": "there is no replay text, and so no second language."}
    hungarian = dataclasses.replace(given.texts[0], language=find("hu"))
    other: Any = fertility(dataclasses.replace(given, texts=[hungarian, given.texts[1]]))
    assert other["skipped"].startswith("there are 0 parallel sentences of Hungarian and English, too few")

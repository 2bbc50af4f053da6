import json
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoTokenizer, GPT2Config, GPT2LMHeadModel

from lingraft.analyze import context as module
from lingraft.analyze import needles, positions
from lingraft.analyze.context import context
from lingraft.analyze.subject import Subject
from lingraft.corpus import find
from lingraft.evaluate.evaluate import HeldOut, load
from lingraft.evaluate.generate import Loaded


@pytest.fixture
def loaded(tiny_base: Path) -> Loaded:
    return load(tiny_base)


@pytest.fixture
def texts(polish: list[str]) -> list[HeldOut]:
    """Twelve documents, of which six are longer than 256 bytes."""
    long = [" ".join(polish[at:] + polish[:at]) for at in range(6)]
    return [HeldOut("target", find("pl"), long + polish[:6], ["novels"] * 12)]


def subject_of(texts: list[HeldOut], folder: Path, **models: Path) -> Subject:
    return Subject(models, texts, folder, context_tokens=120, seed=4)


@torch.no_grad()
def test_cells_are_those_of_a_slow_reading(loaded: Loaded, polish: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(positions, "CHUNK_TOKENS", 16)
    document = polish[0] + " " + polish[1]
    (found,) = positions.read(loaded, [HeldOut("target", find("pl"), [document], [""])], 120)["target"]
    ids = loaded.tokenizer(document)["input_ids"]
    logprobs = loaded.model(torch.tensor([ids])).logits[0].log_softmax(dim=1)
    bits, tokens, before = np.zeros(3), np.zeros(3), 0
    for place, token in enumerate(ids[1:]):
        bits[before // 64] -= float(logprobs[place, token]) / np.log(2)
        tokens[before // 64] += 1
        # A letter that two tokens share counts for the second, as the first of them says nothing yet.
        before = len(loaded.tokenizer.decode(ids[1 : place + 2]).rstrip("\ufffd").encode())
    assert found["bytes"] == [64, 64, len(document.encode()) - 128]
    assert found["bits"] == pytest.approx(bits, rel=1e-5)
    assert found["tokens"] == tokens.tolist()


def test_a_document_that_is_too_long_ends_with_a_whole_cell(loaded: Loaded, texts: list[HeldOut]) -> None:
    (found,) = positions.read(loaded, [HeldOut("target", find("pl"), texts[0].texts[:1], [""])], 100)["target"]
    assert set(found["bytes"]) == {64}
    assert 40 < sum(found["tokens"]) <= 99
    assert sum(found["bytes"]) < len(texts[0].texts[0].encode())


def test_learned_positions_end(tiny_base: Path, loaded: Loaded, tmp_path: Path) -> None:
    config = GPT2Config(vocab_size=400, n_embd=16, n_layer=1, n_head=2, n_positions=32, bos_token_id=0, eos_token_id=1)
    GPT2LMHeadModel(config).save_pretrained(tmp_path)
    AutoTokenizer.from_pretrained(tiny_base).save_pretrained(tmp_path)
    assert positions.limit_of(config, 500) == 32
    assert positions.limit_of(loaded.model.config, 500) == 500
    (found,) = positions.read(load(tmp_path), [HeldOut("target", find("pl"), ["Ala ma kota. " * 40], [""])], 500)[
        "target"
    ]
    assert sum(found["tokens"]) <= 31


def test_rows_say_how_many_documents_reach_them(
    tiny_base: Path, tiny_untied_base: Path, texts: list[HeldOut], tmp_path: Path
) -> None:
    subject = subject_of(texts, tmp_path, base=tiny_base, adapted=tiny_untied_base)
    figures = context(subject, most_tokens=300, needle_bytes=[200], haystacks=6)
    json.dumps(figures, allow_nan=False)
    rows = figures["positions"]
    assert [(row["from_byte"], row["to_byte"], row["documents"]) for row in rows] == [(0, 256, 12), (256, 512, 6)]
    first, second = (row["models"] for row in rows)
    for name in ("base", "adapted"):
        assert first[name]["tokens_before"] == 0 < second[name]["tokens_before"]
        assert "against_bin_before" not in first[name]
    gap = first["adapted"]["bits_per_byte"]["value"] - first["base"]["bits_per_byte"]["value"]
    assert first["adapted"]["against_base"]["value"] == pytest.approx(gap)
    cells = positions.read(load(tiny_base), texts, 300)["target"][:6]
    bits = [[sum(c["bits"][:4]) for c in cells], [sum(c["bits"][4:8]) for c in cells]]
    sizes = [[256] * 6, [sum(c["bytes"][4:8]) for c in cells]]
    change = sum(bits[1]) / sum(sizes[1]) - sum(bits[0]) / sum(sizes[0])
    assert second["base"]["against_bin_before"]["value"] == pytest.approx(change), "on the documents that reach both"


def test_too_few_documents_make_no_figure(tiny_base: Path, texts: list[HeldOut], tmp_path: Path) -> None:
    few = [HeldOut("target", find("pl"), texts[0].texts[:4], ["novels"] * 4)]
    figures = context(subject_of(few, tmp_path, base=tiny_base), needle_bytes=[200, 100000])
    assert {row["documents"] for row in figures["positions"]} == {4}
    assert all(not row["models"] for row in figures["positions"] + figures["needles"])
    assert [(row["bytes"], row["haystacks"]) for row in figures["needles"]] == [(200, 4), (100000, 0)]


def test_facts_stand_where_they_should(polish: list[str]) -> None:
    found = needles.needles(polish, 400, 5, seed=2)
    assert len(found) == 5 * 6
    assert found == needles.needles(polish, 400, 5, seed=2)
    for needle in found:
        *lines, asked = needle.question.context.split("\n")
        name = asked.removesuffix(" =")
        right, other = needle.question.answers[:2]
        facts = [line for line in lines if " = " in line]
        assert len(set(needle.question.answers)) == 10
        if needle.depth is None:
            assert not facts
            continue
        assert f"{name} ={right}" in facts
        assert len(facts) == 2
        assert [line for line in facts if line.endswith(other)] != [f"{name} ={right}"]
        assert needle.question.context.count(name) == 2
        text = "\n".join(line for line in lines if line not in facts)
        before = needle.question.context.partition(f"\n{name} =")[0]
        place = len(before) - sum(len(fact) + 2 for fact in facts if fact in before)
        assert place / len(text) == pytest.approx(needle.depth, abs=0.06)
        assert len(needle.question.context.encode()) < 400 + 60


def test_names_are_written_in_the_script_of_the_text() -> None:
    hindi = ["एक समय की बात है, एक छोटे से गाँव में एक बूढ़ा किसान रहता था।"] * 8
    for needle in needles.needles(hindi, 300, 5, seed=0):
        name = needle.question.context.rsplit("\n", 1)[1].removesuffix(" =")
        assert all("\u0900" <= char <= "\u097f" for char in name)


def test_a_model_that_finds_them_is_told_from_one_that_guesses(texts: list[HeldOut]) -> None:
    asked = needles.needles(texts[0].texts, 300, 12, seed=4)
    draw = np.random.default_rng(0)
    chosen = {
        "guesses": [draw.integers(10) for _ in asked],
        "sees": [draw.integers(10 if needle.depth is None else 2) for needle in asked],
        "finds": [draw.integers(10) if needle.depth is None else 0 for needle in asked],
    }
    answered = {name: {"target": {"300": {"chosen": found, "cut_tokens": 0}}} for name, found in chosen.items()}
    rows = {row["depth"]: row["models"] for row in needles.table(answered, {300: asked}, "target", seed=4)}
    assert list(rows) == [0.0, 0.25, 0.5, 0.75, 1.0, "every", "absent"]
    for name, share in (("guesses", 0.1), ("sees", 0.5), ("finds", 1.0)):
        found = rows["every"][name]["found"]
        assert found["low"] <= share <= found["high"]
        assert rows["absent"][name]["found"]["value"] < 0.4
    assert rows["every"]["sees"]["found"]["value"] + rows["every"]["sees"]["other_fact"]["value"] == pytest.approx(1)
    assert rows["every"]["finds"]["against_base"]["low"] > 0.7


@torch.no_grad()
def test_answers_are_the_likeliest(loaded: Loaded, polish: list[str]) -> None:
    asked = needles.needles(polish, 100, 2, seed=1)
    found = needles.answers(loaded, {"target": {100: asked}})["target"]["100"]
    assert found["cut_tokens"] == 0
    for needle, chosen in zip(asked, found["chosen"], strict=True):
        totals = []
        for answer in needle.question.answers:
            ids = loaded.tokenizer(needle.question.context + answer)["input_ids"]
            begin = len(loaded.tokenizer(needle.question.context)["input_ids"])
            logprobs = loaded.model(torch.tensor([ids])).logits[0].log_softmax(dim=1)
            totals.append(sum(float(logprobs[at - 1, ids[at]]) for at in range(begin, len(ids))))
        assert chosen == int(np.argmax(totals))


def test_what_was_measured_is_not_measured_again(
    tiny_base: Path, texts: list[HeldOut], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    subject = subject_of(texts, tmp_path, base=tiny_base)
    figures = context(subject, needle_bytes=[200], haystacks=5)
    monkeypatch.setattr(module, "load", lambda *_, **__: pytest.fail("nothing is left to measure"))
    assert context(subject, needle_bytes=[200], haystacks=5) == figures


def test_lengths_double_to_what_the_context_holds() -> None:
    read = {
        "base": {"target": [{"bytes": [64, 64], "tokens": [32, 32]}]},
        "adapted": {"target": [{"bytes": [64, 64], "tokens": [16, 16]}]},
    }
    assert needles.lengths(read, "target", 1200) == [512, 1024, 2048]

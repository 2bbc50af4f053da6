import json
import shutil
import weakref
from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer
from transformers import AutoModelForCausalLM

from lingraft.corpus.document import Document
from lingraft.corpus.language import find
from lingraft.corpus.shards import ShardWriter
from lingraft.evaluate import bits, evaluate
from lingraft.evaluate.bits import Bits
from lingraft.evaluate.evaluate import HeldOut
from lingraft.evaluate.generate import Loaded

LANGUAGES = {"target": find("pl"), "replay": find("en")}


@pytest.fixture(autouse=True)
def _small_sources_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluate, "LEAST_DOCUMENTS", 2)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory, polish: list[str], english: list[str]) -> Path:
    folder = tmp_path_factory.mktemp("corpus")
    for stream, texts in (("target", polish), ("replay", english)):
        with ShardWriter(folder / stream / "held_out") as writer:
            for index, text in enumerate(texts):
                writer.add(
                    Document(text, "novels" if index // 2 % 2 else "news", None, f"f:{index}"), len(text.encode())
                )
    return folder


@pytest.fixture(scope="module")
def texts(corpus: Path) -> list[HeldOut]:
    return evaluate.held_out(corpus, LANGUAGES, 4)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory, tiny_base: Path) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("adapted")
    shutil.copytree(tiny_base, folder, dirs_exist_ok=True)
    model = AutoModelForCausalLM.from_pretrained(folder)
    with torch.no_grad():
        model.get_input_embeddings().weight.mul_(2)
    model.save_pretrained(folder)
    return {"base": tiny_base, "adapted": folder, "copy": tiny_base}


@pytest.fixture(scope="module")
def measured(
    tmp_path_factory: pytest.TempPathFactory, models: dict[str, Path], texts: list[HeldOut]
) -> dict[str, dict[str, list[Bits]]]:
    return evaluate.measure_bits(models, texts, tmp_path_factory.mktemp("evaluation"), context_tokens=64)


def test_held_out(corpus: Path, polish: list[str], english: list[str], tmp_path: Path) -> None:
    target, replay = evaluate.held_out(corpus, LANGUAGES, None)
    assert (target.stream, target.texts, target.language.tag) == ("target", polish, "pl")
    assert (replay.stream, replay.texts, replay.sources[:3]) == ("replay", english, ["news", "news", "novels"])
    assert [one.texts for one in evaluate.held_out(corpus, LANGUAGES, 3)] == [
        [text[0], text[2], text[5]] for text in (polish, english)
    ]
    assert [one.stream for one in evaluate.held_out(corpus, {"target": find("pl")}, None)] == ["target"]
    shutil.copytree(corpus / "target", tmp_path / "target")
    with ShardWriter(tmp_path / "replay" / "held_out"):
        pass
    assert [one.stream for one in evaluate.held_out(tmp_path, LANGUAGES, None)] == ["target"]


def test_parts(texts: list[HeldOut]) -> None:
    assert texts[0].parts() == ["all", "news", "novels"]
    assert HeldOut("target", LANGUAGES["target"], ["a", "b"], ["one", "one"]).parts() == ["all"]


def test_measured_bits_are_kept_model_by_model(models: dict[str, Path], texts: list[HeldOut], tmp_path: Path) -> None:
    options = {"folder": tmp_path, "context_tokens": 64}
    first = evaluate.measure_bits({"base": models["base"]}, texts, **options)
    loaded = evaluate.load(models["base"])
    assert first["base"]["target"] == bits.measure(loaded.model, loaded.tokenizer, texts[0].texts, context_tokens=64)
    kept = tmp_path / "bits-base.json"
    changed = json.loads(kept.read_text(encoding="utf-8"))
    changed["result"]["target"][0]["bits"] = 1.5
    kept.write_text(json.dumps(changed), encoding="utf-8")
    again = evaluate.measure_bits(models, texts, **options)
    assert again["base"]["target"][0].bits == 1.5
    assert again["base"]["target"][1:] == first["base"]["target"][1:]
    assert again["copy"] == first["base"]
    assert again["adapted"] != first["base"]


def test_bits_of_other_weights_texts_or_context_are_measured_anew(
    models: dict[str, Path], texts: list[HeldOut], tmp_path: Path
) -> None:
    shutil.copytree(models["base"], folder := tmp_path / "model")
    options = {"folder": tmp_path, "context_tokens": 64}
    first = evaluate.measure_bits({"one": folder}, texts, **options)
    shutil.copytree(models["adapted"], folder, dirs_exist_ok=True)
    other = evaluate.measure_bits({"one": folder}, texts, **options)
    assert other["one"] == evaluate.measure_bits({"two": models["adapted"]}, texts, **options)["two"] != first["one"]
    fewer = evaluate.measure_bits({"one": folder}, texts[:1], **options)
    assert fewer["one"] == {"target": other["one"]["target"]}
    assert evaluate.measure_bits({"one": folder}, texts[:1], tmp_path, context_tokens=16) != fewer


def test_bits_table(measured: dict[str, dict[str, list[Bits]]], texts: list[HeldOut]) -> None:
    rows = evaluate.bits_table(measured, texts, seed=3)
    places = [(row["stream"], row["source"], row["model"]) for row in rows]
    assert places == [
        (stream, source, model)
        for stream in ("target", "replay")
        for source in ("all", "news", "novels")
        for model in ("base", "adapted", "copy")
    ]
    for row in rows:
        every = {"all": slice(None), "news": slice(0, None, 2), "novels": slice(1, None, 2)}[row["source"]]
        records = measured[row["model"]][row["stream"]][every]
        base = measured["base"][row["stream"]][every]
        assert row["documents"] == len(records)
        assert row["bytes"] == sum(record.bytes for record in records)
        value = sum(record.bits for record in records) / row["bytes"]
        assert row["bits_per_byte"] == pytest.approx(value)
        assert row["low"] <= row["bits_per_byte"] <= row["high"]
        against = row["against_base"]
        before = sum(record.bits for record in base) / row["bytes"]
        if row["model"] == "base":
            assert against is None
        elif row["model"] == "copy":
            assert against == {"difference": 0, "low": 0, "high": 0, "relative": 0}
        else:
            assert against["difference"] == pytest.approx(value - before)
            assert against["relative"] == pytest.approx(value / before - 1)
            assert against["low"] <= against["difference"] <= against["high"]
    assert evaluate.bits_table(measured, texts, seed=3) == rows


def test_fertility_table(
    measured: dict[str, dict[str, list[Bits]]], texts: list[HeldOut], tiny_base: Path, polish: list[str]
) -> None:
    rows = evaluate.fertility_table(measured, texts)
    assert len(rows) == 6
    tokenizer = Tokenizer.from_file(str(tiny_base / "tokenizer.json"))
    tokens = sum(len(tokenizer.encode(text, add_special_tokens=False).ids) for text in polish[::2])
    words = sum(len(text.split(" ")) for text in polish[::2])
    assert rows[0] == {
        "model": "base",
        "stream": "target",
        "bytes_per_token": sum(len(text.encode()) for text in polish[::2]) / tokens,
        "tokens_per_word": tokens / words,
    }


def test_no_words_are_counted_in_a_script_without_spaces() -> None:
    held_out = HeldOut("target", find("ja"), ["吾輩は猫である"], ["novels"])
    (row,) = evaluate.fertility_table({"base": {"target": [Bits(1.0, 21, 7)]}}, [held_out])
    assert (row["bytes_per_token"], row["tokens_per_word"]) == (3.0, None)


@pytest.mark.parametrize(
    ("text", "beginning"),
    [
        ("short", "short"),
        ("twelve chars", "twelve chars"),
        ("twelve chars and more", "twelve"),
        ("exactly twel ve", "exactly"),
        ("吾輩は猫である。名前はまだ無い。どこで", "吾輩は猫である。名前はま"),
        ("   \n          after white space", "after"),
        ("one\n\ntwo three four", "one\n\ntwo"),
        ("吾輩は 猫である。名前はまだ無い。どこで", "吾輩は 猫である。名前は"),
        ("ภาษาไทย ภาษาไทยภาษาไทย", "ภาษาไทย ภาษา"),
        ("東京 is a large city", "東京 is a"),
        ("donaudampfschifffahrt", "donaudampfsc"),
    ],
)
def test_first_words(text: str, beginning: str) -> None:
    assert evaluate.first_words(text, 12) == beginning


def test_write_samples(
    models: dict[str, Path],
    texts: list[HeldOut],
    polish: list[str],
    tiny_base: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(evaluate, "SPEED_TOKENS", 4)
    load, there = evaluate.load, []

    def load_alone(path: Path, **options: bool) -> Loaded:
        assert all(model() is None for model in there)
        loaded = load(path, **options)
        there.append(weakref.ref(loaded.model))
        return loaded

    monkeypatch.setattr(evaluate, "load", load_alone)
    prompts = [("target", "Stary latarnik"), ("replay", "The old")]
    options = {"max_new_tokens": 5, "temperature": 0.8, "top_p": 0.9, "seed": 3}
    samples, speed = evaluate.write_samples(models, prompts, texts, **options)
    assert [(sample["stream"], sample["prompt"]) for sample in samples] == prompts
    for sample in samples:
        assert list(sample["continuations"]) == list(models)
        assert sample["continuations"]["copy"] == sample["continuations"]["base"]
    assert [row["model"] for row in speed] == list(models)
    tokenizer = Tokenizer.from_file(str(tiny_base / "tokenizer.json"))
    tokens = sum(len(tokenizer.encode(text, add_special_tokens=False).ids) for text in polish[::2])
    for row in speed:
        characters = row["characters_per_second"] / row["tokens_per_second"]
        assert characters == pytest.approx(sum(map(len, polish[::2])) / tokens)


def test_a_source_of_a_few_documents_is_only_in_all(monkeypatch: pytest.MonkeyPatch) -> None:
    sources = ["letters", *["news"] * 5, *["stories"] * 4]
    text = HeldOut("target", find("pl"), ["a"] * 10, sources)
    monkeypatch.setattr(evaluate, "LEAST_DOCUMENTS", 5)
    assert text.parts() == ["all", "news"]
    assert HeldOut("target", find("pl"), ["a"] * 5, ["news"] * 5).parts() == ["all"]

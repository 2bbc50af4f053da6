"""What models write, counted model by model on the same beginnings."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from lingraft.corpus.language import find
from lingraft.evaluate import asking, writing
from lingraft.evaluate.evaluate import HeldOut
from lingraft.evaluate.task import Answer

WRITTEN = {
    "base": "and he walked slowly across the market with bread.",
    "adapted": "Targ otwierano o szóstej, a chleb znikał przed siódmą.",
}


@pytest.fixture
def held_out(polish: list[str], english: list[str]) -> tuple[HeldOut, HeldOut]:
    return tuple(
        HeldOut(stream, find(tag), texts, ["text"] * len(texts))
        for stream, tag, texts in (("target", "pl", polish), ("replay", "en", english))
    )


def measured(tiny_base: Path, held_out: tuple[HeldOut, HeldOut], folder: Path) -> dict:
    target, other = held_out
    return writing.measure(
        {"base": tiny_base, "adapted": tiny_base},
        target,
        other,
        (target.texts, other.texts),
        folder,
        prompts=4,
        max_new_tokens=6,
        temperature=0.8,
        context_tokens=64,
        seed=3,
    )


def test_every_figure_for_every_model(tiny_base: Path, held_out: tuple[HeldOut, HeldOut], tmp_path: Path) -> None:
    found = measured(tiny_base, held_out, tmp_path)
    assert [(row["metric"], row["model"]) for row in found["rows"]] == [
        (metric, model) for metric in writing.METRICS for model in ("base", "adapted")
    ]
    assert found["prompts"] == 4
    assert found["reliability"]["enough"] is False
    assert json.dumps(found, allow_nan=False)
    assert found == measured(tiny_base, held_out, tmp_path)
    # The seed of what is sampled is the same for both, and so are the models.
    base, adapted = (json.loads((tmp_path / "writing" / f"{name}.json").read_text()) for name in ("base", "adapted"))
    assert base == adapted


def test_every_metric_is_tested_and_corrected(
    tiny_base: Path, held_out: tuple[HeldOut, HeldOut], tmp_path: Path
) -> None:
    found = measured(tiny_base, held_out, tmp_path)
    verdicts = [row["against"]["verdict"] for row in found["rows"] if row["against"] and row["against"]["p"]]
    assert set(verdicts) == {"no difference"}
    assert len(verdicts) > 1


def test_text_without_words_is_named_and_nothing_is_asked(
    tiny_base: Path, held_out: tuple[HeldOut, HeldOut], tmp_path: Path
) -> None:
    target, other = held_out
    found = measured(tiny_base, (target, replace(other, texts=["1 2 3"] * 20, sources=["text"] * 20)), tmp_path)
    assert set(found) == {"skipped", "missing"}
    assert "the text in English has no words to learn the language from" in found["skipped"]
    assert found["missing"] == [{"suite": "writing", "why": found["skipped"], "task": None, "model": None}]
    assert not any(tmp_path.iterdir())


def test_a_model_that_writes_another_language_is_told(
    tiny_base: Path, held_out: tuple[HeldOut, HeldOut], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The texts are planted; what is counted of them is real."""
    target, _ = held_out
    items = writing.task(target, 4, 6, 0.8).items

    def planted(*_: object, **__: object) -> tuple[dict, list]:
        return {"writing": {m: [Answer(i.id, text, {}) for i in items] for m, text in WRITTEN.items()}}, []

    monkeypatch.setattr(asking, "ask", planted)
    found = measured(tiny_base, held_out, tmp_path)
    values = {(row["metric"], row["model"]): row["value"] for row in found["rows"]}
    assert (values["in_target", "base"], values["in_target", "adapted"]) == (0, 1)
    assert (values["switched", "base"], values["switched", "adapted"]) == (1, 0)
    assert found["passages"]["base"][0]["count"] == 4
    assert found["passages"]["adapted"] == []


def test_beginnings_are_evenly_spread_and_not_empty() -> None:
    texts = [f"Zdanie numer {number} ma kilka słów." for number in range(10)] + ["   "]
    asked = writing.task(HeldOut("target", find("pl"), texts, ["x"] * 11), 5, 8, 0.0)
    assert [item.id for item in asked.items] == ["0", "2", "4", "6", "8"]
    everything = writing.task(HeldOut("target", find("pl"), texts, ["x"] * 11), 50, 8, 0.0)
    assert len(everything.items) == 10

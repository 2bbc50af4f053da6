import dataclasses
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from made_subjects import SHIPPED, moved, subject
from transformers import AutoModelForCausalLM, AutoTokenizer

from lingraft.analyze import alignment as analysis
from lingraft.analyze.alignment import HEADLINE, alignment, mean_states
from lingraft.analyze.subject import Subject
from lingraft.core.errors import RecipeError
from lingraft.core.registry import check_options
from lingraft.corpus.language import find
from lingraft.evaluate.evaluate import load


def slow_means(folder: Path, text: str, context_tokens: int) -> list[torch.Tensor]:
    """Every layer's states of one sentence alone, by hooks on the layers, averaged without BOS."""
    model, tokenizer = AutoModelForCausalLM.from_pretrained(folder).eval(), AutoTokenizer.from_pretrained(folder)
    ids = [tokenizer.bos_token_id, *tokenizer(text, add_special_tokens=False, split_special_tokens=True)["input_ids"]]
    states = []
    blocks = [model.model.embed_tokens, *model.model.layers[:-1], model.model.norm]
    for block in blocks:
        block.register_forward_hook(
            lambda _, __, out: states.append((out[0] if isinstance(out, tuple) else out).detach())
        )
    with torch.no_grad():
        model(torch.tensor([ids[:context_tokens]]))
    return [layer.reshape(-1, layer.shape[-1])[1:].mean(dim=0) for layer in states]


@pytest.mark.parametrize("context_tokens", [64, 9])
def test_states_against_one_sentence_alone(
    tiny_base: Path, polish: list[str], context_tokens: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(analysis, "BATCH_TOKENS", 3 * context_tokens)
    sentences = ["Tak.", *polish[:4], "<|eos|> jest tekstem"]
    found, cut = mean_states(load(tiny_base), sentences, context_tokens=context_tokens)
    assert found.shape == (3, 6, 32)
    for number, text in enumerate(sentences):
        for layer, expected in enumerate(slow_means(tiny_base, text, context_tokens)):
            assert np.allclose(found[layer, number], expected, atol=1e-6)
    assert cut == (0 if context_tokens == 64 else 5)


def test_eos_stands_before_where_there_is_no_bos(tiny_base: Path) -> None:
    loaded = load(tiny_base)
    with_bos, _ = mean_states(loaded, ["Tak."], context_tokens=64)
    loaded.tokenizer.bos_token = None
    with_eos, _ = mean_states(loaded, ["Tak."], context_tokens=64)
    assert np.allclose(with_bos[0], with_eos[0])  # embeddings do not see what stands before
    assert not np.allclose(with_bos[2], with_eos[2])


@pytest.fixture
def twins(tmp_path: Path) -> Callable[..., Path]:
    """Sentences and the same with other words, so that many are found."""

    def write(number: int) -> Path:
        words = [f"{a} {b}" for a in ("the lamp", "a river", "one horse", "the bread", "our town") for b in range(9)]
        lines = [json.dumps({"pl": f"Here is {text}.", "en": f"There was {text}."}) for text in words[:number]]
        (tmp_path / "twins.jsonl").write_text("\n".join(lines), encoding="utf-8")
        return tmp_path / "twins.jsonl"

    return write


@pytest.fixture
def given(tiny_base: Path, tmp_path: Path) -> Subject:
    return subject({"base": tiny_base, "adapted": moved(tiny_base, tmp_path / "adapted", 0.5)}, tmp_path / "kept")


def test_every_layer_of_every_model(given: Subject, twins: Callable[..., Path]) -> None:
    found = alignment(given, parallel=twins(40))
    assert (found["target"], found["replay"], found["pairs"], found["chance"]) == ("Polish", "English", 40, 1 / 40)
    assert found["spelling"]["value"] > 0.5
    rows = {(row["model"], row["layer"]): row for row in found["layers"]}
    assert list(rows) == [(model, layer) for model in ("base", "adapted") for layer in range(3)]
    sides = [[json.loads(line)[key] for line in twins(40).read_text().splitlines()] for key in ("pl", "en")]
    for model in ("base", "adapted"):
        states = [mean_states(load(given.models[model]), side, context_tokens=64)[0] for side in sides]
        headline = []
        for layer in range(3):
            left, right = (torch.tensor(side[layer]).double() for side in states)
            cosines = torch.stack([torch.cosine_similarity(row[None], right) for row in left])
            forward = (cosines.argmax(dim=1) == torch.arange(40)).double().mean().item()
            backward = (cosines.argmax(dim=0) == torch.arange(40)).double().mean().item()
            accuracy = rows[model, layer]["accuracy"]
            assert accuracy["cosine"]["target_to_replay"]["value"] == pytest.approx(forward)
            assert accuracy["cosine"]["replay_to_target"]["value"] == pytest.approx(backward)
            assert accuracy["cosine"]["both"]["value"] == pytest.approx((forward + backward) / 2)
            headline.append(accuracy[HEADLINE]["both"]["value"])
        row = next(row for row in found["models"] if row["model"] == model)
        assert row["accuracy"]["value"] == pytest.approx(np.mean(headline[1:]))
        beyond = row["accuracy"]["value"] - found["spelling"]["value"]
        assert row["against_spelling"]["value"] == pytest.approx(beyond)
        assert row["best_layer"] == np.argmax(headline)
    gain = rows["adapted", 1]["accuracy"]["margin"]["gain"]
    levels = [rows[model, 1]["accuracy"]["margin"]["both"]["value"] for model in ("adapted", "base")]
    assert gain["value"] == pytest.approx(levels[0] - levels[1])
    assert gain["low"] <= gain["value"] <= gain["high"]
    assert rows["base", 1]["accuracy"]["margin"]["gain"] is None
    json.dumps(found, allow_nan=False)


def test_a_model_gains_nothing_on_itself(tiny_base: Path, tmp_path: Path, twins: Callable[..., Path]) -> None:
    found = alignment(subject({"base": tiny_base, "again": tiny_base}, tmp_path / "kept"), parallel=twins(25))
    assert found["models"][1]["gain"] == {"value": 0, "low": 0, "high": 0}


def test_states_that_carry_nothing_find_by_chance(tiny_base: Path, tmp_path: Path, twins: Callable[..., Path]) -> None:
    nothing = moved(tiny_base, tmp_path / "nothing", 0.0)
    model = AutoModelForCausalLM.from_pretrained(nothing)
    with torch.no_grad():
        model.get_input_embeddings().weight.zero_()
    model.save_pretrained(nothing)
    found = alignment(subject({"base": nothing}, tmp_path / "kept"), parallel=twins(25))
    assert found["models"][0]["accuracy"] == pytest.approx({"value": 0.04, "low": 0.04, "high": 0.04})


def test_planted_alignment_is_found(tmp_path: Path) -> None:
    """Both sides say the same in the language of the base, one with a mark before it."""
    texts = [text.strip() for text in (SHIPPED.parent / "tasks/parallel.jsonl").read_text("utf-8").splitlines()]
    english = [json.loads(text)["en"] for text in texts[:60]]
    (tmp_path / "same.jsonl").write_text(
        "\n".join(json.dumps({"pl": f"Anno said: {text}", "en": text}) for text in english), encoding="utf-8"
    )
    given = subject({"base": SHIPPED}, tmp_path / "kept")
    found = alignment(given, parallel=tmp_path / "same.jsonl")
    assert found["models"][0]["accuracy"]["low"] > 0.9


def test_what_is_measured_is_kept(given: Subject, twins: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    first = alignment(given, parallel=twins(25))
    monkeypatch.delattr(analysis, "load")
    assert alignment(given, parallel=twins(25)) == first
    (given.folder / "alignment-adapted.json").unlink()
    with pytest.raises(NameError):
        alignment(given, parallel=twins(25))


def test_no_more_sentences_than_asked_for(given: Subject, twins: Callable[..., Path]) -> None:
    assert alignment(given, parallel=twins(45), sentences=20)["pairs"] == 20


def test_models_of_other_depths_are_compared_by_their_headline(
    tiny_base: Path, tmp_path: Path, twins: Callable[..., Path]
) -> None:
    shallow = tmp_path / "shallow"
    shutil.copytree(tiny_base, shallow)
    model = AutoModelForCausalLM.from_pretrained(tiny_base)
    model.model.layers = model.model.layers[:1]
    model.config.num_hidden_layers = 1
    model.config.layer_types = None
    model.save_pretrained(shallow)
    found = alignment(subject({"base": tiny_base, "shallow": shallow}, tmp_path / "kept"), parallel=twins(25))
    assert found["models"][1]["gain"] is not None
    assert [row["accuracy"]["cosine"]["gain"] for row in found["layers"] if row["model"] == "shallow"] == [None] * 2


def test_options_are_checked(twins: Callable[..., Path]) -> None:
    check_options(alignment, {"parallel": twins(25), "sentences": 40}, "options")
    with pytest.raises(RecipeError, match="greater than or equal to 20"):
        check_options(alignment, {"sentences": 5}, "options")


def test_where_it_does_not_apply(given: Subject, twins: Callable[..., Path]) -> None:
    alone = dataclasses.replace(given, texts=given.texts[:1])
    assert alignment(alone) == {"skipped": "there is no replay text, and so no second language."}
    few: Any = alignment(given, parallel=twins(19))["skipped"]
    assert few.startswith("there are 19 parallel sentences of Polish and English, too few")
    hungarian = dataclasses.replace(given.texts[0], language=find("hu"))
    other = dataclasses.replace(given, texts=[hungarian, given.texts[1]])
    assert alignment(other)["skipped"].startswith("there are 0 parallel sentences of Hungarian and English")

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from mixtures_for_tests import mixed_slowly, save_mixtral

from lingraft.analyze import experts as module
from lingraft.analyze.expert_figures import by_chance, divergence
from lingraft.analyze.experts import experts
from lingraft.analyze.mixture import MODES, disabled
from lingraft.analyze.mixture import find as find_mixtures
from lingraft.analyze.subject import Subject
from lingraft.corpus import find
from lingraft.evaluate import harness
from lingraft.evaluate.evaluate import HeldOut
from lingraft.evaluate.generate import Loaded
from lingraft.evaluate.task import Item, Task


@pytest.fixture
def texts(english: list[str], polish: list[str]) -> list[HeldOut]:
    return [
        HeldOut("target", find("pl"), polish, ["novels"] * len(polish)),
        HeldOut("replay", find("en"), english, ["novels"] * len(english)),
    ]


@pytest.fixture
def planted(tiny_base: Path, tmp_path: Path) -> Path:
    """Layer 0: expert 1 is never chosen. Layer 1: expert 2 gives nothing."""
    model = save_mixtral(tmp_path / "planted", tiny_base)
    with torch.no_grad():
        for layer in model.model.layers:
            # What a router reads gets one direction that is always large, by which a row can lose for every token.
            layer.mlp.gate.weight[:, 0] = 0
        model.model.embed_tokens.weight[:, 0] = 2
        model.model.layers[0].self_attn.o_proj.weight[0] = 0
        model.model.layers[0].mlp.gate.weight[1, 0] = -30
        model.model.layers[1].mlp.experts.down_proj[2] = 0
    return save_again(model, tmp_path / "planted")


def save_again(model: Any, folder: Path) -> Path:
    model.save_pretrained(folder)
    return folder


def subject_of(models: dict[str, Path], texts: list[HeldOut], folder: Path) -> Subject:
    folder.mkdir(exist_ok=True)
    return Subject(models, texts, folder, context_tokens=64, seed=3)


def test_dead_experts_are_named(planted: Path, texts: list[HeldOut], tmp_path: Path) -> None:
    figures = experts(subject_of({"base": planted}, texts, tmp_path / "work"))["models"]["base"]
    assert [(dead["layer"], dead["expert"]) for dead in figures["dead"]] == [(0, 1), (1, 2)]
    never, empty = (dead["why"] for dead in figures["dead"])
    assert never[0] == "chosen for at most 0.000%, where an even load is 25.0%"
    assert empty == ["without its output bits per byte change by less than 0.0001"]
    for stream in ("target", "replay"):
        assert figures["routing"][stream]["load"][0][1] == {"value": 0, "low": 0, "high": 0}
        for mode in MODES:
            assert not figures["scores"][stream][mode]["change"][0][1]["differs"]
    json.dumps(figures, allow_nan=False)


@torch.no_grad()
def test_changes_are_those_of_a_slow_model(tiny_base: Path, texts: list[HeldOut], tmp_path: Path) -> None:
    model = save_mixtral(tmp_path / "model", tiny_base)
    found = experts(subject_of({"base": tmp_path / "model"}, texts, tmp_path / "work"), documents=3)
    assert found["documents"] == {"target": 3, "replay": 3}
    tokenizer = module.load(tmp_path / "model").tokenizer
    documents = [texts[0].texts[place] for place in (0, 2, 5)]

    def bits_per_byte() -> float:
        total = 0.0
        for text in documents:
            ids = torch.tensor([tokenizer(text)["input_ids"]])
            logprobs = model(ids).logits[0].log_softmax(dim=1)
            total -= sum(float(logprobs[at, token]) for at, token in enumerate(ids[0, 1:])) / np.log(2)
        return total / sum(len(text.encode()) for text in documents)

    score = found["models"]["base"]["scores"]["target"]
    base = bits_per_byte()
    assert score["whole"]["value"] == pytest.approx(base, abs=1e-5)
    for mode, layer, expert in [("zero", 0, 3), ("zero", 1, 0), ("mask", 0, 2), ("mask", 1, 1)]:
        block = model.model.layers[layer].mlp
        block.experts.forward = lambda states, *_, b=block, e=expert, m=mode: mixed_slowly(
            b, states[None], e, m, share_out=True
        )[0]
        change = bits_per_byte() - base
        del block.experts.forward
        cell = score[mode]["change"][layer][expert]
        assert cell["value"] == pytest.approx(change, abs=1e-5)
        assert cell["low"] <= cell["value"] <= cell["high"]
        mean = np.mean([other["value"] for other in score[mode]["change"][layer]])
        assert score[mode]["by_layer"][layer]["value"] == pytest.approx(mean)


def test_load_and_entropy_of_an_even_router(tiny_base: Path, texts: list[HeldOut], tmp_path: Path) -> None:
    model = save_mixtral(tmp_path / "even", tiny_base)
    with torch.no_grad():
        model.model.layers[0].mlp.gate.weight.zero_()
    save_again(model, tmp_path / "even")
    figures = experts(subject_of({"base": tmp_path / "even"}, texts, tmp_path / "work"))["models"]["base"]
    for stream in figures["routing"].values():
        assert stream["entropy"][0]["value"] == pytest.approx(figures["even_entropy"]) == 2
        assert stream["entropy"][1]["value"] < 2
        for layer in stream["load"]:
            assert sum(cell["value"] for cell in layer) == pytest.approx(1)
    (overlap,) = figures["overlap"]
    assert overlap["divergence"][0]["value"] == pytest.approx(0, abs=1e-12), "an even router chooses the same for all"
    (likeness,) = figures["likeness"]
    assert likeness["scores"] == ["target", "replay"]
    assert -1 <= likeness["zero"]["value"] <= 1


def test_what_was_measured_is_not_measured_again(
    planted: Path, texts: list[HeldOut], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    subject = subject_of({"base": planted}, texts, tmp_path / "work")
    whole = experts(subject)
    kept = tmp_path / "work" / "experts-base.json"
    half = json.loads(kept.read_text())
    half["cells"] = half["cells"][:1]
    kept.write_text(json.dumps(half))
    assert experts(subject) == whole
    monkeypatch.setattr(module, "load", lambda *_, **__: pytest.fail("nothing is left to measure"))
    assert experts(subject) == whole


def test_two_models_are_compared(planted: Path, tiny_base: Path, texts: list[HeldOut], tmp_path: Path) -> None:
    save_mixtral(tmp_path / "other", tiny_base)
    save_mixtral(tmp_path / "wider", tiny_base, num_experts=6)
    models = {"base": planted, "same": planted, "other": tmp_path / "other", "wider": tmp_path / "wider"}
    found = experts(subject_of(models, texts, tmp_path / "work"), documents=4)["between_models"]
    assert [row["models"] for row in found] == [["base", "same"], ["base", "other"]], "another number has no like"
    same, other = found
    assert same["likeness"]["replay"]["mask"]["value"] == pytest.approx(1)
    assert same["divergence"]["target"][0]["value"] == 0
    assert other["divergence"]["target"][0]["value"] > 0.01


def test_tasks_have_heat_maps_of_their_own(tiny_base: Path, texts: list[HeldOut], tmp_path: Path) -> None:
    save_mixtral(tmp_path / "model", tiny_base)
    items = tuple(
        Item(str(number), text[: len(text) // 2], (text[len(text) // 2 :], " nic."))
        for number, text in enumerate(texts[0].texts)
    )
    shown = {"suite": "made", "title": "Ends", "language": "pl", "prompt_language": "pl"}
    tasks = (Task("ends", kind="choice", items=items, **shown), Task("written", kind="write", items=items, **shown))
    subject = replace(subject_of({"base": tmp_path / "model"}, texts, tmp_path / "work"), tasks=tasks)
    found = experts(subject, documents=2)
    assert list(found["measures"]) == ["target", "replay", "ends"], "written answers are not measured"
    assert found["measures"]["ends"] == {
        "title": "Ends",
        "metric": "Accuracy",
        "lower_is_better": False,
        "chance": 0.5,
    }
    loaded = module.load(tmp_path / "model")
    ends = found["models"]["base"]["scores"]["ends"]
    assert ends["whole"]["value"] == accuracy(loaded, tasks[0])
    for mode in MODES:
        with disabled(find_mixtures(loaded.model)[1], 2, mode):
            expected = accuracy(loaded, tasks[0]) - ends["whole"]["value"]
        assert ends[mode]["change"][1][2]["value"] == pytest.approx(expected)


def accuracy(loaded: Loaded, task: Task) -> float:
    counts = [answer.counts["accuracy"] for answer in harness.answer(loaded, task, context_tokens=64)]
    return sum(right for right, _ in counts) / len(counts)


def test_a_dense_model_is_skipped(tiny_base: Path, texts: list[HeldOut], tmp_path: Path) -> None:
    found = experts(subject_of({"base": tiny_base}, texts, tmp_path / "work"))
    assert found["skipped"].startswith("no model has experts")


def test_the_divergence_is_that_of_its_definition() -> None:
    first, second = np.array([0.5, 0.5, 0.0]), np.array([0.0, 0.5, 0.5])
    assert divergence(first, second) == pytest.approx(0.5)
    assert divergence(np.array([1.0, 0.0]), np.array([0.0, 1.0])) == 1


def test_documents_of_one_kind_are_as_far_apart_as_chance_has_it() -> None:
    draw = np.random.default_rng(0)
    alike = draw.multinomial(200, [0.4, 0.3, 0.2, 0.1], size=(40, 1)).astype(float)
    apart = divergence(alike[:20].sum(axis=(0, 1)) / 4000, alike[20:].sum(axis=(0, 1)) / 4000)
    assert apart < by_chance(alike, 20, seed=0)[0] < 0.01

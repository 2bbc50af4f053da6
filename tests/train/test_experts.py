import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from lingraft.core.errors import InputError
from lingraft.corpus.shards import sample
from lingraft.evaluate import bits
from lingraft.train import experts, quantize
from lingraft.train.pretrain import pretrain
from lingraft.train.settings import Lora, NewRows, Settings
from lingraft.train.trainable import Trainable

NEW = list(range(380, 400))
LORA = Lora(rank=4, alpha=8, dropout=0.0)

Train = Callable[..., tuple[dict[str, Any], dict[str, torch.Tensor]]]


@pytest.fixture
def train(mixture: Path, packed: Path, corpus: Path, settings: Settings, tmp_path: Path) -> Train:
    def run(**changes: Any) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
        changed = dataclasses.replace(settings, **{"lora": LORA, **changes})
        figures = pretrain(mixture, packed, corpus, tmp_path / "out", changed, new_ids=NEW)
        return figures, load_file(tmp_path / "out" / "model.safetensors")

    return run


def moved(before: dict[str, torch.Tensor], after: dict[str, torch.Tensor], mark: str) -> set[bool]:
    assert before.keys() == after.keys()
    return {not torch.equal(before[name], after[name]) for name in before if mark in name}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"train": "full"}, {"experts": True, "gate.weight": True, "q_proj": True}),
        ({"train": "lora"}, {"experts": True, "gate.weight": False, "q_proj": True}),
        (
            {"train": "lora", "lora": dataclasses.replace(LORA, experts=False, router=True)},
            {"experts": False, "gate.weight": True, "q_proj": True},
        ),
    ],
)
def test_what_moves(changes: dict[str, Any], expected: dict[str, bool], train: Train, mixture: Path) -> None:
    figures, after = train(**changes)
    before = load_file(mixture / "model.safetensors")
    assert {mark: moved(before, after, mark) for mark in expected} == {k: {v} for k, v in expected.items()}
    assert figures["proof"]["did_not_move"] == figures["proof"]["moved_though_frozen"] == []
    loads = [point["expert_load"] for point in figures["held_out_curve"] if "expert_load" in point]
    assert len(loads) == 2
    for layer in loads[0] + loads[1]:
        assert len(layer) == 4
        assert sum(layer) == pytest.approx(1)
        assert max(layer) < 0.5


def test_adapters_of_experts_add_low_rank_matrices(mixture: Path) -> None:
    model = AutoModelForCausalLM.from_pretrained(mixture)
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    ids = torch.arange(40).reshape(2, 20) + 50
    start = model(input_ids=ids).logits
    trainable = Trainable(model, "lora", LORA, NewRows(), ())
    torch.testing.assert_close(model(input_ids=ids).logits, start)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in trainable.named().values():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.1)
    adapters = {
        (layer, name): module.parametrizations[name][-1]
        for layer, block in enumerate(model.model.layers)
        for module in [block.mlp.experts]
        for name in ("gate_up_proj", "down_proj")
    }
    expected = {key: before[f"model.layers.{key[0]}.mlp.experts.{key[1]}"].clone() for key in adapters}
    for key, adapter in adapters.items():
        for expert in range(4):
            expected[key][expert] += 2.0 * adapter.lora_B_EOR[expert].detach() @ adapter.lora_A_ERI[expert].detach()
    trained = model(input_ids=ids).logits
    trainable.finish()
    torch.testing.assert_close(model(input_ids=ids).logits, trained, rtol=1e-4, atol=1e-5)
    for (layer, name), matrices in expected.items():
        torch.testing.assert_close(getattr(model.model.layers[layer].mlp.experts, name).detach(), matrices)
    assert dict(model.named_parameters()).keys() == before.keys()


def test_dora_of_experts(mixture: Path) -> None:
    model = AutoModelForCausalLM.from_pretrained(mixture)
    with pytest.raises(InputError, match="there is no DoRA for experts"):
        Trainable(model, "lora", dataclasses.replace(LORA, variant="dora"), NewRows(), ())


@pytest.mark.parametrize("base", ["mixture", "tiny_untied_base"])
def test_four_bits_hold_every_matrix_of_the_layers(base: str, request: pytest.FixtureRequest) -> None:
    folder = request.getfixturevalue(base)
    model = quantize.load(folder, torch.float32, "bf16", False)
    plain = AutoModelForCausalLM.from_pretrained(folder)
    large = sum(p.numel() for name, p in plain.named_parameters() if "proj" in name)
    packed = {name: p for name, p in model.named_parameters() if p.dtype == torch.uint8}
    assert 2 * sum(p.numel() for p in packed.values()) == large
    assert len(packed) == (12 if base == "mixture" else 14)
    for module, name, matrices in experts.matrices(plain):
        assert matrices.ndim == 3, (module, name)


def test_qlora_ends_as_a_plain_model_in_the_precision_of_the_base(
    train: Train, mixture: Path, corpus: Path, settings: Settings, tmp_path: Path
) -> None:
    figures, after = train(train="qlora")
    before = load_file(mixture / "model.safetensors")
    assert all(after[name].dtype == before[name].dtype for name in before)
    for mark, expected in {"experts": True, "gate.weight": False, "q_proj": True, "norm": False}.items():
        assert moved(before, after, mark) == {expected}
    rows = (before["lm_head.weight"] != after["lm_head.weight"]).any(dim=1).nonzero().flatten().tolist()
    assert rows == NEW
    groups = figures["groups"]
    assert groups["experts"]["parameters"] == sum(t.numel() for name, t in before.items() if "experts" in name)
    assert groups["experts"]["bytes"] == groups["experts"]["parameters"] / 2
    assert figures["proof"]["did_not_move"] == figures["proof"]["moved_though_frozen"] == []
    model, tokenizer = AutoModelForCausalLM.from_pretrained(tmp_path / "out"), AutoTokenizer.from_pretrained(mixture)
    texts = [text for text, _, _ in sample(corpus, "target", "held_out", settings.curve_documents)]
    measured = bits.bits_per_byte(bits.measure(model, tokenizer, texts, context_tokens=settings.sequence_tokens))
    # Four bits round the base, so that what was measured in training is not what the merged model gives.
    curve = [point["bits_per_byte"]["target"] for point in figures["held_out_curve"]]
    assert measured == pytest.approx(curve[-1], rel=0.02)
    assert measured < curve[0] - 0.1


def test_a_matrix_that_cannot_be_quantized(mixture: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lingraft.train.experts.matrices", lambda model: iter(()))
    with pytest.raises(InputError, match=r"4 matrices of this model cannot be quantized: .*experts(.|\n)*to lora"):
        quantize.load(mixture, torch.float32, "bf16", False)

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from bitsandbytes.functional import dequantize_4bit
from bitsandbytes.nn import Linear4bit
from mixtures_for_tests import save_mixtral
from transformers import AutoModelForCausalLM, AutoTokenizer, BitsAndBytesConfig, LlamaConfig, LlamaForCausalLM

from lingraft.analyze import quantization as module
from lingraft.analyze.quantization import load_at, quantization
from lingraft.analyze.subject import Subject
from lingraft.corpus import find
from lingraft.evaluate.evaluate import HeldOut

NF4 = [
    *(-1.0, -0.6961928, -0.5250731, -0.3949175, -0.2844414, -0.1847734, -0.0910500, 0.0),
    *(0.0795803, 0.1609302, 0.2461123, 0.3379152, 0.4407098, 0.5626170, 0.7229568, 1.0),
]
"""The sixteen values of Dettmers et al. 2023, appendix E."""


@pytest.fixture
def texts(polish: list[str]) -> list[HeldOut]:
    return [HeldOut("target", find("pl"), polish, ["novels"] * len(polish))]


@pytest.fixture
def mixture(tiny_base: Path, tmp_path: Path) -> Path:
    save_mixtral(tmp_path / "mixture", tiny_base)
    return tmp_path / "mixture"


def test_figures_of_two_models(tiny_base: Path, tiny_untied_base: Path, texts: list[HeldOut], tmp_path: Path) -> None:
    subject = Subject({"base": tiny_base, "adapted": tiny_untied_base}, texts, tmp_path, context_tokens=64, seed=1)
    found = quantization(subject)
    json.dumps(found, allow_nan=False)
    rows = {(row["model"], row["precision"]): row for row in found["rows"]}
    assert len(rows) == 8
    for (model, precision), row in rows.items():
        assert row["score"]["low"] < row["score"]["value"] < row["score"]["high"]
        assert ("change" in row) == (precision != "unquantized")
        assert ("more_than_before" in row) == (precision != "unquantized" and model == "adapted")
        if "more_than_before" in row:
            gap = row["change"]["value"] - rows["base", precision]["change"]["value"]
            assert row["more_than_before"]["value"] == pytest.approx(gap)
    changes = [abs(rows["base", precision]["change"]["value"]) for precision in ("16", "8", "4")]
    assert changes[0] < changes[2]
    assert all(change < 0.05 for change in changes), "a small model is hurt, not destroyed"


def test_shares_are_those_of_the_types(tiny_base: Path, mixture: Path) -> None:
    layers = 2 * (32 * 32 + 2 * 16 * 32 + 32 * 32 + 3 * 64 * 32)
    dense = AutoModelForCausalLM.from_pretrained(tiny_base).num_parameters()
    for precision, stored in (("8", 8), ("4", 4.127)):
        _, weights = load_at(tiny_base, precision)
        share = layers / dense
        assert weights == {
            "quantized": pytest.approx(share),
            "experts": 0,
            "bits_per_weight": pytest.approx(16 - share * (16 - stored)),
        }
    total = AutoModelForCausalLM.from_pretrained(mixture).num_parameters()
    _, weights = load_at(mixture, "4")
    assert weights["experts"] == pytest.approx(2 * 4 * 3 * 48 * 32 / total)
    assert weights["quantized"] == pytest.approx(2 * (2 * 32 * 32 + 2 * 16 * 32) / total)
    assert load_at(mixture, "16")[1] == {"quantized": 0, "experts": 0, "bits_per_weight": 16}


def test_experts_are_rounded_as_the_papers_have_it(mixture: Path) -> None:
    whole = AutoModelForCausalLM.from_pretrained(mixture, dtype=torch.bfloat16).model.layers[0].mlp.experts.down_proj
    for precision in ("8", "4"):
        rounded = load_at(mixture, precision)[0].model.model.layers[0].mlp.experts.down_proj
        matrix, found = whole[1].float().detach().numpy(), rounded[1].float().detach().numpy()
        if precision == "8":
            scale = np.abs(matrix).max(axis=1, keepdims=True) / 127
            expected = np.round(matrix / scale) * scale
        else:
            blocks = matrix.reshape(-1, 64)
            scale = np.abs(blocks).max(axis=1, keepdims=True)
            nearest = np.abs(blocks[..., None] / scale[..., None] - np.array(NF4)).argmin(axis=-1)
            expected = (np.array(NF4)[nearest] * scale).reshape(matrix.shape)
        # Scales are themselves rounded to 8 bits, values to bfloat16.
        np.testing.assert_allclose(found, expected, rtol=0.02, atol=0.004)


def test_four_bits_are_those_of_bitsandbytes(tmp_path: Path) -> None:
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=100, hidden_size=64, intermediate_size=128, num_hidden_layers=1, num_attention_heads=2
    )
    LlamaForCausalLM(config).to(torch.bfloat16).save_pretrained(tmp_path)
    quantized = BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True)
    expected = AutoModelForCausalLM.from_pretrained(tmp_path, quantization_config=quantized, device_map={"": "cpu"})
    found = round_to_nf4(tmp_path)
    layers = [name for name, layer in expected.named_modules() if isinstance(layer, Linear4bit)]
    assert len(layers) == 7
    for name, layer in found.named_modules():
        if isinstance(layer, torch.nn.Linear) and name != "lm_head":
            weight = expected.get_submodule(name).weight
            assert torch.equal(layer.weight, dequantize_4bit(weight.data, weight.quant_state).to(torch.bfloat16))
            layers.remove(name)
    assert not layers


def round_to_nf4(folder: Path) -> Any:
    """The model of a folder without a tokenizer at four bits."""
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.bfloat16)
    module._round([layer.weight for layer in module._linear_layers(model)], module._to_nf4)
    return model


def test_layers_of_eight_bits_are_near_a_slow_product(tiny_base: Path) -> None:
    states = torch.randn(5, 32, dtype=torch.bfloat16, generator=torch.Generator().manual_seed(0))
    layer = load_at(tiny_base, "8")[0].model.model.layers[0].mlp.up_proj
    weight = AutoModelForCausalLM.from_pretrained(tiny_base, dtype=torch.float32).model.layers[0].mlp.up_proj.weight
    rows = weight.abs().amax(dim=1, keepdim=True) / 127
    tokens = states.float().abs().amax(dim=1, keepdim=True) / 127
    expected = (states.float() / tokens).round() @ (weight / rows).round().T * tokens * rows.T
    torch.testing.assert_close(layer(states).float(), expected, rtol=0.02, atol=0.01)


def test_what_was_measured_is_not_measured_again(
    tiny_base: Path, texts: list[HeldOut], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    subject = Subject({"base": tiny_base}, texts, tmp_path, context_tokens=64, seed=1)
    found = quantization(subject, documents=3)
    assert found["documents"] == {"target": 3}

    def load_at(*_: Any, **__: Any) -> None:
        pytest.fail("nothing is left to measure")

    monkeypatch.setattr(module, "load_at", load_at)
    assert quantization(subject, documents=3) == found


def test_without_bitsandbytes(
    tiny_base: Path, texts: list[HeldOut], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "bitsandbytes", None)
    subject = Subject({"base": tiny_base}, texts, tmp_path, context_tokens=64, seed=1)
    assert quantization(subject) == {"skipped": "bitsandbytes is not installed: pip install 'lingraft[gpu]'."}


def test_the_tokenizer_comes_with_the_model(tiny_base: Path) -> None:
    expected = AutoTokenizer.from_pretrained(tiny_base)("Anna ma kota.")["input_ids"]
    assert load_at(tiny_base, "4")[0].tokenizer("Anna ma kota.")["input_ids"] == expected

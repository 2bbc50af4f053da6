import json
import math
from pathlib import Path

import pytest
import torch
from made_subjects import grafted, moved
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, MixtralConfig, MixtralForCausalLM

from lingraft.analyze import drift


def slow(pairs: list[tuple[torch.Tensor, torch.Tensor]]) -> tuple[float, float]:
    """Relative change and cosine of all pairs as one vector, number by number."""
    before = [x for old, _ in pairs for x in old.flatten().tolist()]
    after = [x for _, new in pairs for x in new.flatten().tolist()]
    gap = math.sqrt(sum((b - a) ** 2 for a, b in zip(before, after, strict=True)))
    norm, other = (math.sqrt(sum(x * x for x in side)) for side in (before, after))
    return gap / norm, sum(a * b for a, b in zip(before, after, strict=True)) / (norm * other)


@pytest.fixture(scope="module")
def models(tiny_untied_base: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A base in one file, and an adapted model in several with an index."""
    folder = tmp_path_factory.mktemp("models")
    return tiny_untied_base, moved(grafted(tiny_untied_base, folder), folder / "adapted", 0.1, shard_size="40KB")


@pytest.mark.parametrize("elements", [1, 100, 1 << 22])
def test_against_both_models_loaded_whole(
    models: tuple[Path, Path], elements: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert len(list(models[1].glob("model-*.safetensors"))) > 1
    monkeypatch.setattr(drift, "PART_ELEMENTS", elements)
    found = drift.matrices(*models)
    before, after = (dict(AutoModelForCausalLM.from_pretrained(folder).named_parameters()) for folder in models)
    inside = [name for name in before if name not in ("model.embed_tokens.weight", "lm_head.weight")]

    def expected(chosen: list[str]) -> dict[str, object]:
        relative, cosine = slow([(before[name], after[name]) for name in chosen])
        parameters = sum(before[name].numel() for name in chosen)
        return {
            "parameters": parameters,
            "relative": pytest.approx(relative, rel=1e-6),
            "cosine": pytest.approx(cosine, rel=1e-6),
        }

    wide = [name for name in inside if before[name].dim() > 1]
    assert found["whole"] == expected(wide)
    for layer in (0, 1):
        assert found["layers"][layer] == {"layer": layer} | expected([name for name in wide if f".{layer}." in name])
    kinds = {row["kind"]: row for row in found["kinds"]}
    assert kinds["mlp.up_proj"] == {"kind": "mlp.up_proj"} | expected([name for name in inside if "up_proj" in name])
    assert len(found["matrices"]) == len(inside) == 19
    at = {(row["layer"], row["kind"]): row for row in found["matrices"]}
    assert at[1, "self_attn.q_proj"] == {"layer": 1, "kind": "self_attn.q_proj"} | expected(
        ["model.layers.1.self_attn.q_proj.weight"]
    )
    assert at[None, "norm"]["parameters"] == 32
    assert found["not_compared"] == []


def test_a_model_and_itself(tiny_base: Path) -> None:
    found = drift.matrices(tiny_base, tiny_base)
    assert found["whole"]["relative"] == 0.0
    assert found["whole"]["cosine"] == pytest.approx(1.0)


def test_what_only_one_model_has_is_named(tiny_base: Path, tmp_path: Path) -> None:
    other = moved(tiny_base, tmp_path / "other", 0.0)
    weights = load_file(other / "model.safetensors")
    weights["model.layers.0.more.weight"] = torch.ones(2)
    weights["model.norm.weight"] = torch.ones(31)
    save_file(weights, other / "model.safetensors", {"format": "pt"})
    assert drift.matrices(tiny_base, other)["not_compared"] == ["model.layers.0.more.weight", "model.norm.weight"]


def test_weights_of_zeros_have_no_relative_change(tiny_base: Path, tmp_path: Path) -> None:
    nothing = moved(tiny_base, tmp_path / "nothing", 0.0)
    weights = load_file(nothing / "model.safetensors")
    save_file({name: torch.zeros_like(t) for name, t in weights.items()}, nothing / "model.safetensors")
    found = drift.matrices(nothing, tiny_base)
    assert (found["whole"]["relative"], found["whole"]["cosine"]) == (None, None)


def test_names_with_and_without_the_prefix_of_the_base_model() -> None:
    pairs, alone = drift.paired(["h.0.attn.weight", "ln.weight", "a"], ["transformer.h.0.attn.weight", "ln.weight"])
    assert pairs == {"h.0.attn.weight": "transformer.h.0.attn.weight", "ln.weight": "ln.weight"}
    assert alone == ["a"]


def test_places() -> None:
    assert drift.place("model.layers.11.self_attn.q_proj.weight") == (11, "self_attn.q_proj")
    assert drift.place("transformer.h.0.attn.c_attn.bias") == (0, "attn.c_attn.bias")
    assert drift.place("model.layers.3.block_sparse_moe.experts.7.w1.weight") == (3, "block_sparse_moe.experts.w1")
    assert drift.place("model.norm.weight") == (None, "norm")


def test_the_experts_of_a_layer_count_together(tiny_base: Path, tmp_path: Path) -> None:
    torch.manual_seed(0)
    sizes = {"vocab_size": 400, "hidden_size": 16, "intermediate_size": 24, "num_attention_heads": 2}
    config = MixtralConfig(**sizes, num_hidden_layers=2, num_key_value_heads=2, num_local_experts=3)
    base = moved(tiny_base, tmp_path / "base", 0.0)
    (base / "model.safetensors").unlink()
    MixtralForCausalLM(config).save_pretrained(base)
    found = drift.matrices(base, moved(base, tmp_path / "adapted", 0.1))
    experts = [row for row in found["kinds"] if "experts" in row["kind"]]
    assert sum(row["parameters"] for row in experts) == 2 * 3 * 3 * 16 * 24
    assert len(experts) <= 3
    assert found["not_compared"] == []


def test_rows_against_one_row_at_a_time() -> None:
    generator = torch.Generator().manual_seed(5)
    before, after = (torch.randn(9, 4, generator=generator) for _ in range(2))
    after[8] = before[0] * 3  # longer, and pointing as before
    found = drift.rows(before, [4, 0, 7], after, [1, 8, 2])
    for at, (old, new) in enumerate(((4, 1), (0, 8), (7, 2))):
        relative, cosine = slow([(before[old], after[new])])
        assert found["relative"][at] == pytest.approx(relative, rel=1e-6)
        assert found["cosine"][at] == pytest.approx(cosine, rel=1e-6)
        assert found["norm"][at] == pytest.approx(math.sqrt(sum(x * x for x in after[new].tolist())), rel=1e-6)
    assert found["degrees"][1] == pytest.approx(0, abs=1e-5)
    assert found["degrees"][0] == pytest.approx(math.degrees(math.acos(found["cosine"][0])))


def test_rows_in_several_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    before, after = torch.randn(2, 9, 4, generator=torch.Generator().manual_seed(5)).unbind()
    whole = drift.rows(before, range(9), after, range(9))
    monkeypatch.setattr(drift, "PART_ELEMENTS", 8)
    parts = drift.rows(before, range(9), after, range(9))
    assert all((whole[name] == parts[name]).all() for name in whole)


def test_a_row_of_zeros_is_left_out_of_the_spread() -> None:
    before, after = torch.zeros(2, 4), torch.ones(2, 4)
    before[1] = 1
    found = drift.rows(before, [0, 1], after, [0, 1])
    assert drift.spread(found["relative"]) == {"mean": 0.0, "quantiles": [0.0] * 21}
    assert drift.spread(found["relative"][:1]) is None
    assert drift.spread(drift.rows(before, [], after, [])["norm"]) is None
    json.dumps({name: drift.spread(values) for name, values in found.items()}, allow_nan=False)


def test_tables_of_tied_and_untied_models(tiny_base: Path, tiny_untied_base: Path) -> None:
    assert drift.is_tied(tiny_base)
    assert not drift.is_tied(tiny_untied_base)
    assert torch.equal(drift.table(tiny_base, "input"), drift.table(tiny_base, "output"))
    weights = load_file(tiny_untied_base / "model.safetensors")
    assert torch.equal(drift.table(tiny_untied_base, "input"), weights["model.embed_tokens.weight"])
    assert torch.equal(drift.table(tiny_untied_base, "output"), weights["lm_head.weight"])

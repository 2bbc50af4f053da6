"""GGUF files: what transformers reads from them, what the gguf package does, and what cannot be told in them."""

import json
import math
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from gguf import GGMLQuantizationType, GGUFReader, TokenType, quants
from mixtures_for_tests import save_mixtral
from safetensors.torch import load_file
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoTokenizer,
    LlamaConfig,
    LlamaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    Qwen2Config,
    Qwen2ForCausalLM,
)
from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

from lingraft.core.errors import InputError, StageError
from lingraft.export import gate
from lingraft.export.gguf import architecture, file, vocabulary
from lingraft.tokenizer import marks
from lingraft.tokenizer.extension import extend
from lingraft.tokenizer.words import GPT2_PATTERN

SIZES = {
    "vocab_size": 400,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 128,
    "initializer_range": 0.3,
}


def values(path: Path) -> dict[str, np.ndarray]:
    """Every tensor of a file, in float32."""
    return {
        tensor.name: quants.dequantize(tensor.data, tensor.tensor_type).reshape(list(reversed(tensor.shape.tolist())))
        for tensor in GGUFReader(path).tensors
    }


def write(model: Path, path: Path, weights: file.Weights) -> dict[str, Any]:
    return file.write(model, path, weights, "a name")


def field(path: Path, name: str) -> Any:
    return GGUFReader(path).fields[name].contents()


def same_logits(folder: Path, path: Path) -> bool:
    ids = AutoTokenizer.from_pretrained(folder)("The lighthouse keeper counted.", return_tensors="pt")["input_ids"]
    ours = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    theirs = AutoModelForCausalLM.from_pretrained(path.parent, gguf_file=path.name, dtype=torch.float32).eval()
    with torch.inference_mode():
        return torch.equal(ours(ids).logits, theirs(ids).logits)


@pytest.fixture(params=["llama", "untied llama", "mistral", "qwen2"])
def dense(request: pytest.FixtureRequest, tmp_path: Path, tiny_base: Path) -> Path:
    if request.param.endswith("llama"):
        return request.getfixturevalue("tiny_base" if request.param == "llama" else "tiny_untied_base")
    torch.manual_seed(0)
    kinds = {"mistral": (MistralConfig, MistralForCausalLM), "qwen2": (Qwen2Config, Qwen2ForCausalLM)}
    config, kind = kinds[request.param]
    shutil.copytree(tiny_base, tmp_path / "model", ignore=shutil.ignore_patterns("config.json", "*.safetensors"))
    kind(config(**SIZES, tie_word_embeddings=False)).to(torch.float32).save_pretrained(tmp_path / "model")
    return tmp_path / "model"


def test_transformers_reads_the_same_model(dense: Path, tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    figures = write(dense, path, "f32")
    assert figures["exact"]
    assert figures["bytes"] == path.stat().st_size
    assert figures["bits_per_weight"] > 32
    assert same_logits(dense, path)
    assert gate.check(dense, dense, ["The lighthouse."], gguf=path)["logits_identical"]
    assert field(path, "general.architecture") in ("llama", "qwen2")
    assert field(path, "general.name") == "a name"
    assert len(field(path, "tokenizer.ggml.tokens")) == 400


def test_the_gate_finds_other_weights(tiny_base: Path, tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    write(tiny_base, path, "q8_0")
    with pytest.raises(StageError, match=r"model\.gguf: the exported file does not give what the model gives"):
        gate.check(tiny_base, tiny_base, ["The lighthouse."], gguf=path)
    path.write_bytes(b"GGUF")
    with pytest.raises(StageError, match="a fresh process could not load the exported file"):
        gate.check(tiny_base, tiny_base, ["The lighthouse."], gguf=path)


def test_experts_are_laid_on_each_other(tiny_base: Path, tmp_path: Path) -> None:
    save_mixtral(tmp_path / "mixture", tiny_base)
    path = tmp_path / "model.gguf"
    assert not write(tmp_path / "mixture", path, "f32")["exact"]
    weights, found = load_file(tmp_path / "mixture" / "model.safetensors"), values(path)
    assert len(found) == len(weights) - 2 * 3 * 4 + 2 * 3
    for part, name in (("w1", "ffn_gate_exps"), ("w2", "ffn_down_exps"), ("w3", "ffn_up_exps")):
        for expert in range(4):
            theirs = weights[f"model.layers.1.block_sparse_moe.experts.{expert}.{part}.weight"].numpy()
            assert np.array_equal(found[f"blk.1.{name}.weight"][expert], theirs)
    assert np.array_equal(found["blk.0.ffn_gate_inp.weight"], weights["model.layers.0.block_sparse_moe.gate.weight"])
    query, head = weights["model.layers.0.self_attn.q_proj.weight"].numpy(), 8
    for row in range(len(query)):  # llama.cpp turns the columns 2i and 2i + 1 of a head, transformers i and i + half
        in_head = row % head
        place = row - in_head + (in_head // 2 if in_head % 2 == 0 else in_head // 2 + head // 2)
        assert np.array_equal(found["blk.0.attn_q.weight"][row], query[place])
    assert (field(path, "llama.expert_count"), field(path, "llama.expert_used_count")) == (4, 2)


def test_weights_of_fewer_bits(tiny_base: Path, tmp_path: Path) -> None:
    sizes = {kind: write(tiny_base, tmp_path / f"{kind}.gguf", kind)["bytes"] for kind in file.TYPES}
    assert sizes["f32"] > sizes["bf16"] == sizes["f16"] > sizes["q8_0"]
    exact, eight = values(tmp_path / "f32.gguf"), values(tmp_path / "q8_0.gguf")
    for tensor in GGUFReader(tmp_path / "q8_0.gguf").tensors:
        one_axis = len(tensor.shape) == 1
        assert tensor.tensor_type == (GGMLQuantizationType.F32 if one_axis else GGMLQuantizationType.Q8_0)
        furthest = np.abs(exact[tensor.name] - eight[tensor.name]).max()
        assert furthest <= (0 if one_axis else np.abs(exact[tensor.name]).max() / 127)


def test_rows_without_a_token_are_named(tiny_base: Path, tmp_path: Path) -> None:
    folder = tmp_path / "padded"
    shutil.copytree(tiny_base, folder)
    model = AutoModelForCausalLM.from_pretrained(folder)
    model.resize_token_embeddings(404)
    model.save_pretrained(folder)
    write(folder, tmp_path / "model.gguf", "f32")
    tokens, types = (field(tmp_path / "model.gguf", f"tokenizer.ggml.{name}") for name in ("tokens", "token_type"))
    assert tokens[400:] == [f"[PAD{row}]" for row in range(400, 404)]
    assert types[400:] == [TokenType.UNUSED] * 4
    assert types[:3] == [TokenType.CONTROL] * 3


def test_a_byte_level_tokenizer(tiny_base: Path, tmp_path: Path, polish: list[str]) -> None:
    extend(tiny_base, polish * 3, tmp_path / "extended", new_tokens=30)
    for name in ("config.json", "model.safetensors"):
        shutil.copy(tiny_base / name, tmp_path / "extended" / name)
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "extended")
    model.resize_token_embeddings(430)
    model.save_pretrained(tmp_path / "extended")
    path = tmp_path / "model.gguf"
    write(tmp_path / "extended", path, "f32")
    content = json.loads((tmp_path / "extended" / "tokenizer.json").read_text(encoding="utf-8"))
    ids = AutoTokenizer.from_pretrained(tmp_path / "extended").get_vocab()
    assert field(path, "tokenizer.ggml.tokens") == sorted(ids, key=ids.get)
    merges = [" ".join(merge) for merge in content["model"]["merges"]]
    assert field(path, "tokenizer.ggml.merges") == merges
    assert (field(path, "tokenizer.ggml.model"), field(path, "tokenizer.ggml.pre")) == ("gpt2", "gpt-2")
    assert [field(path, f"tokenizer.ggml.{name}_token_id") for name in ("bos", "eos")] == [0, 1]
    assert (field(path, "tokenizer.ggml.add_bos_token"), field(path, "tokenizer.ggml.add_eos_token")) == (True, False)


def test_a_sentencepiece_tokenizer(with_model: Path, tmp_path: Path) -> None:
    rows = len(AutoTokenizer.from_pretrained(with_model))
    torch.manual_seed(0)
    config = MistralConfig(**SIZES | {"vocab_size": rows})
    MistralForCausalLM(config).to(torch.float32).save_pretrained(with_model)
    path = tmp_path / "model.gguf"
    write(with_model, path, "f32")
    assert field(path, "tokenizer.ggml.model") == "llama"
    assert field(path, "tokenizer.ggml.add_space_prefix")
    scores, types = field(path, "tokenizer.ggml.scores"), field(path, "tokenizer.ggml.token_type")
    assert len(scores) == len(types) == rows
    assert scores[-1] == -1e9
    assert types[:4] == [TokenType.UNKNOWN, TokenType.CONTROL, TokenType.CONTROL, TokenType.BYTE]
    assert same_logits(with_model, path)
    (with_model / "tokenizer.model").unlink()
    with pytest.raises(InputError, match=r"by the scores of tokenizer\.model, which is not there\.\n  Take the base"):
        write(with_model, path, "f32")


def test_a_unigram_tokenizer_is_refused(unigram_base: Path, tiny_base: Path, tmp_path: Path) -> None:
    shutil.copytree(unigram_base, tmp_path / "model")
    for name in ("config.json", "model.safetensors"):
        shutil.copy(tiny_base / name, tmp_path / "model" / name)
    with pytest.raises(InputError, match="this tokenizer is Unigram, which is not written as GGUF"):
        write(tmp_path / "model", tmp_path / "model.gguf", "f32")


@pytest.mark.parametrize(
    ("pattern", "said"),
    [
        (marks.with_marks(GPT2_PATTERN), r"keeps combining marks on their letters\.\n  Where the tokenizer stage did"),
        (r"\w+|\W+", r"as this tokenizer does, which splits by \\w\+\|\\W\+\.\n  Leave gguf out of format"),
    ],
)
def test_a_split_that_llama_cpp_does_not_know_is_refused(
    pattern: str, said: str, tiny_base: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "model"
    shutil.copytree(tiny_base, folder)
    content = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    split = {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False}
    content["pre_tokenizer"] = {
        "type": "Sequence",
        "pretokenizers": [split, {**content["pre_tokenizer"], "use_regex": False}],
    }
    (folder / "tokenizer.json").write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(InputError, match=said):
        write(folder, tmp_path / "model.gguf", "f32")


def test_words_that_are_tokens_come_out_as_in_llama_cpp(tiny_base: Path, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(tiny_base, folder)
    content = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    content["model"]["ignore_merges"] = True  # where all tokens are made by merges that is the same
    (folder / "tokenizer.json").write_text(json.dumps(content), encoding="utf-8")
    assert vocabulary.read(folder).pre_tokenizer == "gpt-2"
    last = content["model"]["merges"].pop()
    (folder / "tokenizer.json").write_text(json.dumps(content), encoding="utf-8")
    word = "".join(last.split(" ") if isinstance(last, str) else last)
    said = rf'llama\.cpp does not take whole 1 words that are tokens \("{re.escape(word)}"\), where this tokenizer does'
    with pytest.raises(InputError, match=said):
        vocabulary.read(folder)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"normalizer": {"type": "Lowercase"}}, r"as this tokenizer does, which changes them by Lowercase before\."),
        (
            {"pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True}},
            r"as this tokenizer does, which splits by None\.",
        ),
    ],
)
def test_what_else_is_done_to_texts_is_refused(
    changed: dict[str, Any], said: str, tiny_base: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "model"
    shutil.copytree(tiny_base, folder)
    content = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8")) | changed
    (folder / "tokenizer.json").write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(InputError, match=said):
        vocabulary.read(folder)


def test_biases_are_written_and_not_read_back(tiny_base: Path, tmp_path: Path) -> None:
    shutil.copytree(tiny_base, tmp_path / "model", ignore=shutil.ignore_patterns("config.json", "*.safetensors"))
    config = LlamaConfig(**SIZES, attention_bias=True)
    LlamaForCausalLM(config).to(torch.float32).save_pretrained(tmp_path / "model")
    assert not write(tmp_path / "model", tmp_path / "model.gguf", "f32")["exact"]
    assert values(tmp_path / "model.gguf")["blk.0.attn_q.bias"].shape == (32,)


def test_stored_frequencies_are_left_out(tiny_base: Path) -> None:
    names = ["model.layers.0.self_attn.rotary_emb.inv_freq", "model.norm.weight"]
    config = AutoConfig.from_pretrained(tiny_base)
    found = architecture.tensors(architecture.KNOWN["llama"], config, names, tiny_base)
    assert [tensor.name for tensor in found] == ["output_norm.weight"]


def test_positions_scaled_as_llama_3_has_them(tiny_base: Path, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(tiny_base, folder)
    scaling = {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0}
    config = LlamaConfig(
        **SIZES | {"hidden_size": 256, "max_position_embeddings": 131072},
        rope_parameters={**scaling, "original_max_position_embeddings": 8192, "rope_theta": 500000.0},
    )
    factors = architecture.rope_factors(config)
    scaled, _ = ROPE_INIT_FUNCTIONS["llama3"](config, torch.device("cpu"))
    plain = 1 / 500000.0 ** (torch.arange(0, 64, 2) / 64)
    assert torch.allclose(plain / factors, scaled, rtol=1e-5)
    assert {1.0, 8.0} <= {round(float(factor), 5) for factor in factors}
    told = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    told["rope_parameters"] = {**config.rope_parameters, "original_max_position_embeddings": 64}
    (folder / "config.json").write_text(json.dumps(told), encoding="utf-8")
    path = tmp_path / "model.gguf"
    assert not write(folder, path, "f32")["exact"]  # transformers passes them over
    assert values(path)["rope_freqs.weight"].shape == (4,)
    told["rope_parameters"] = {"rope_type": "linear", "factor": 2.0, "rope_theta": 10000.0}
    (folder / "config.json").write_text(json.dumps(told), encoding="utf-8")
    assert not write(folder, path, "f32")["exact"]
    assert field(path, "llama.rope.scaling.factor") == 2.0
    assert "rope_freqs.weight" not in values(path)


def test_what_cannot_be_told_in_gguf(tiny_base: Path) -> None:
    config = AutoConfig.from_pretrained(tiny_base)
    config.rope_parameters = {"rope_type": "yarn", "factor": 4.0, "rope_theta": 1e4}
    with pytest.raises(InputError, match=r"positions that are scaled by yarn are not written as GGUF\.\n  Leave gguf"):
        architecture.of(config, tiny_base)
    config.model_type = "bloom"
    with pytest.raises(InputError, match=r"models of the kind bloom are not written as GGUF; llama, mistral, mixtral,"):
        architecture.of(config, tiny_base)
    config.model_type = "llama"
    with pytest.raises(InputError, match=r'GGUF has no name for the tensor "model\.strange\.weight"'):
        list(architecture.tensors(architecture.KNOWN["llama"], config, ["model.strange.weight"], tiny_base))


def test_bits_of_a_stored_weight(tiny_base: Path, tmp_path: Path) -> None:
    figures = write(tiny_base, tmp_path / "model.gguf", "bf16")
    assert not figures["exact"]  # it is stored in float32
    weights = sum(tensor.numel() for tensor in load_file(tiny_base / "model.safetensors").values())
    assert math.isclose(figures["bits_per_weight"], 8 * figures["bytes"] / weights)

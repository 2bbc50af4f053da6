"""New models: what is refused as an architecture, how weights are drawn, and that it is a causal model."""

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM

from lingraft.core.errors import RecipeError
from lingraft.corpus import StreamTexts
from lingraft.graft.surgery import initialize
from lingraft.tokenizer import extend
from lingraft.train import from_scratch
from lingraft.train.pack import pack
from lingraft.train.pretrain import pretrain
from lingraft.train.settings import Settings

LLAMA = {
    "model_type": "llama",
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 64,
    "tie_word_embeddings": True,
}
MIXTRAL = LLAMA | {"model_type": "mixtral", "num_local_experts": 4, "num_experts_per_tok": 2}
GPT2 = {"model_type": "gpt2", "n_embd": 32, "n_layer": 2, "num_attention_heads": 4, "n_positions": 64}
BERT = {"model_type": "bert", "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4}


@pytest.mark.parametrize("architecture", [LLAMA, MIXTRAL, GPT2, BERT | {"is_decoder": True}])
def test_a_new_model_loads_with_rows_for_bytes_and_control_tokens(architecture: dict[str, Any], tmp_path: Path) -> None:
    from_scratch.make(architecture, tmp_path, seed=1)
    model = AutoModelForCausalLM.from_pretrained(tmp_path)
    assert model.config.model_type == architecture["model_type"]
    assert model.dtype == torch.bfloat16
    assert model.get_input_embeddings().weight.shape == (259, 32)
    assert (model.config.bos_token_id, model.config.eos_token_id, model.config.pad_token_id) == (0, 1, 2)
    assert {path.name for path in tmp_path.iterdir()} == {
        "config.json",
        "generation_config.json",
        "model.safetensors",
        "tokenizer.json",
        "tokenizer_config.json",
    }


@pytest.mark.parametrize("architecture", [LLAMA, MIXTRAL], ids=["dense", "experts"])
def test_from_nothing_to_a_trained_model_twice(
    architecture: dict[str, Any], corpus: Path, settings: Settings, tmp_path: Path
) -> None:
    """All by the functions that adapt a model: its vocabulary grows, new rows are drawn, and text is learned."""
    trained = []
    for folder in (tmp_path / "one", tmp_path / "two"):
        from_scratch.make(architecture, folder / "base", seed=1)
        extend(folder / "base", StreamTexts(corpus, "target", "train"), folder / "tokenizer", new_tokens=60)
        figures = initialize(folder / "base", folder / "tokenizer", folder / "grafted", strategy="gaussian")
        assert figures["new_row_norm"]["mean"] == pytest.approx(figures["old_row_norm"]["mean"], rel=0.05)
        pack(corpus, folder / "grafted", folder / "packed", sequence_tokens=settings.sequence_tokens)
        figures = pretrain(folder / "grafted", folder / "packed", corpus, folder / "trained", settings)
        curve = [point["bits_per_byte"]["target"] for point in figures["held_out_curve"]]
        assert curve[-1] < 0.95 * curve[0]
        trained.append((folder / "trained" / "model.safetensors").read_bytes())
    assert trained[0] == trained[1]


def test_weights_are_drawn_as_transformers_draws_them_by_the_seed_alone(tmp_path: Path) -> None:
    for name, seed in (("one", 1), ("again", 1), ("two", 2)):
        torch.rand(seed)
        state = torch.get_rng_state()
        from_scratch.make(LLAMA | {"initializer_range": 0.1, "dtype": "float32"}, tmp_path / name, seed)
        assert torch.equal(state, torch.get_rng_state())
    weights = {name: (tmp_path / name / "model.safetensors").read_bytes() for name in ("one", "again", "two")}
    assert weights["one"] == weights["again"] != weights["two"]
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "one")
    assert model.dtype == torch.float32
    assert model.model.layers[1].mlp.up_proj.weight.std().item() == pytest.approx(0.1, rel=0.05)
    assert model.model.norm.weight.unique().tolist() == [1.0]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"model_type": None}, r"^architecture\.model_type: model_type is needed\."),
        ({"model_type": "lama"}, r'"lama" is not known to transformers\.\n  Did you mean "llama"\?'),
        ({"model_type": "t5"}, r'^architecture\.model_type: the model type "t5" has no plain causal language model\.'),
        ({"model_type": "gemma3"}, r'the model type "gemma3" has no plain causal language model\.'),
        ({"hiden_size": 3}, r'^architecture\.hiden_size: this key is not known\.\n  Did you mean "hidden_size"\?'),
        ({"vocab_size": 300}, r"^architecture\.vocab_size: this comes from the tokenizer\.\n  Leave it out"),
        ({"transformers_version": "5"}, r"^architecture\.transformers_version: this key is not known\."),
        ({"num_hidden_layers": 0}, r"^architecture\.num_hidden_layers: a size is 1 or more \(got 0\)\."),
        ({"num_attention_heads": -4}, r"^architecture\.num_attention_heads: a size is 1 or more \(got -4\)\."),
        ({"dtype": "int8"}, r"^architecture\.dtype: weights are bfloat16, float16, float32 \(got 'int8'\)\."),
        ({"hidden_size": 32.5}, r"^architecture: Field 'hidden_size' expected int, got float \(value: 32.5"),
        ({"tie_word_embeddings": "yes"}, r"'tie_word_embeddings' expected bool, got str .*\n  See LlamaConfig of"),
        ({"num_attention_heads": 3}, r"^architecture: .*The hidden size \(32\) is not a multiple of .* \(3\)"),
        ({"num_key_value_heads": 3}, r"num_attention_heads \(4\) is no multiple of num_key_value_heads \(3\)\."),
        ({"head_dim": 7}, r"^architecture: RoPE requires an even rotary dimension"),
        ({"hidden_act": "relux"}, r"^architecture: transformers cannot build this model: .*relux"),
    ],
)
def test_what_is_refused(change: dict[str, Any], said: str) -> None:
    with pytest.raises(RecipeError, match=said):
        from_scratch.configuration({k: v for k, v in (LLAMA | change).items() if v is not None})


@pytest.mark.parametrize(
    ("architecture", "said"),
    [
        (MIXTRAL | {"num_experts_per_tok": 5}, r"num_experts_per_tok \(5\) is more than num_local_experts \(4\)\."),
        (
            MIXTRAL | {"num_attention_heads": 5, "num_key_value_heads": 1},
            r"hidden_size \(32\) is no multiple of num_attention_heads \(5\)\.",
        ),
        (GPT2 | {"n_head": 0}, r"architecture\.n_head: a size is 1 or more"),
    ],
)
def test_what_is_refused_of_other_kinds(architecture: dict[str, Any], said: str) -> None:
    with pytest.raises(RecipeError, match=said):
        from_scratch.configuration(architecture)


def test_a_model_that_sees_what_follows(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"a token sees those that follow it.*\n  Set is_decoder: true"):
        from_scratch.make(BERT, tmp_path, seed=1)

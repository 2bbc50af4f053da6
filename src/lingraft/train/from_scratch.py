"""A new model from its architecture alone: random weights, and a tokenizer of bytes for its vocabulary to grow from."""

import re
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import torch
from huggingface_hub.errors import StrictDataclassError
from transformers import AutoModelForCausalLM, PreTrainedConfig, PreTrainedModel
from transformers.models.auto.configuration_auto import CONFIG_MAPPING
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

from lingraft.core.errors import RecipeError
from lingraft.core.registry import did_you_mean
from lingraft.tokenizer import byte_level

WHERE = "architecture"
DTYPES = ("bfloat16", "float16", "float32")
FROM_TOKENIZER = ("vocab_size", "bos_token_id", "eos_token_id", "pad_token_id")
SIZES = (
    "hidden_size",
    "intermediate_size",
    "num_hidden_layers",
    "num_attention_heads",
    "num_key_value_heads",
    "head_dim",
    "max_position_embeddings",
    "num_local_experts",
    "num_experts_per_tok",
)
PROBE_TOKENS = 16


def configuration(architecture: Mapping[str, Any]) -> PreTrainedConfig:
    """The architecture as a config of transformers, its vocabulary the control tokens and the bytes.

    Keys are those of the config class that `model_type` names; what is left out has that class's default, the dtype
    of the weights is bfloat16. Raises RecipeError for what that class does not know, for values of another type, and
    for sizes that do not fit each other.
    """
    kind = _config_class(architecture)
    _check_keys(architecture, kind)
    vocabulary = {
        "vocab_size": len(byte_level.CONTROL) + 256,
        **{f"{name}_token_id": byte_level.IDS[token] for name, token in byte_level.NAMES.items()},
    }
    given = {key: value for key, value in architecture.items() if key != "model_type"}
    try:
        config = kind(**{"dtype": DTYPES[0], **given, **vocabulary})
    except (StrictDataclassError, ValueError, KeyError) as error:
        raise RecipeError(_told(error), where=WHERE, remedy=f"See {kind.__name__} of transformers.") from error
    _check_sizes(config)
    skeleton(config)
    return config


def skeleton(config: PreTrainedConfig) -> PreTrainedModel:
    """The model without the memory of its weights. Raises RecipeError where transformers cannot build it."""
    try:
        with torch.device("meta"):
            return AutoModelForCausalLM.from_config(config)
    except (ValueError, KeyError, RuntimeError) as error:
        raise RecipeError(f"transformers cannot build this model: {_told(error)}", where=WHERE) from error


def make(architecture: Mapping[str, Any], folder: Path, seed: int) -> None:
    """Write a new model to `folder` as a whole Hugging Face folder.

    Weights are drawn in float32 as transformers draws them for this kind of model. Raises RecipeError where a token
    sees those that follow it.
    """
    config = configuration(architecture)
    dtype = config.dtype
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    _check_causal(model)
    model.to(dtype).save_pretrained(folder)
    byte_level.write(folder, getattr(config, "max_position_embeddings", None))


def _config_class(architecture: Mapping[str, Any]) -> type[PreTrainedConfig]:
    kind = architecture.get("model_type")
    known = [name for name in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES if name in CONFIG_MAPPING]
    known = [name for name in known if "vocab_size" in _names(CONFIG_MAPPING[name])]
    if kind not in known:
        what = "has no plain causal language model" if kind in CONFIG_MAPPING else "is not known to transformers"
        raise RecipeError(
            f'the model type "{kind}" {what}.' if kind is not None else "model_type is needed.",
            where=f"{WHERE}.model_type",
            remedy=did_you_mean(str(kind), known),
        )
    return CONFIG_MAPPING[kind]


def _names(kind: type[PreTrainedConfig]) -> set[str]:
    """Every key of a config class, aliases included."""
    return {field.name for field in fields(kind)} | kind.attribute_map.keys()


def _check_keys(architecture: Mapping[str, Any], kind: type[PreTrainedConfig]) -> None:
    sizes = {*SIZES, *(kind.attribute_map.get(size) for size in SIZES)}
    own = {*_names(kind) - {field.name for field in fields(PreTrainedConfig)}, "dtype"} - {*FROM_TOKENIZER}
    for key, value in architecture.items():
        where = f"{WHERE}.{key}"
        if key in FROM_TOKENIZER:
            raise RecipeError(
                "this comes from the tokenizer.",
                where=where,
                remedy="Leave it out; the vocabulary grows by the stages tokenizer and graft.",
            )
        if key not in own and key != "model_type":
            raise RecipeError("this key is not known.", where=where, remedy=did_you_mean(key, sorted(own)))
        if key in sizes and type(value) is int and value < 1:
            raise RecipeError(f"a size is 1 or more (got {value}).", where=where)
    dtype = architecture.get("dtype", DTYPES[0])
    if dtype not in DTYPES:
        raise RecipeError(f"weights are {', '.join(DTYPES)} (got {dtype!r}).", where=f"{WHERE}.dtype")


def _check_sizes(config: PreTrainedConfig) -> None:
    """What transformers finds only when the model runs."""
    sizes = {name: getattr(config, name, None) for name in SIZES}
    pairs = [("num_attention_heads", "num_key_value_heads")]
    if sizes["head_dim"] is None:  # with one the heads together may be wider or narrower than the model
        pairs.append(("hidden_size", "num_attention_heads"))
    for larger, smaller in pairs:
        if sizes[larger] and sizes[smaller] and sizes[larger] % sizes[smaller]:
            raise RecipeError(
                f"{larger} ({sizes[larger]}) is no multiple of {smaller} ({sizes[smaller]}).", where=WHERE
            )
    active, experts = sizes["num_experts_per_tok"], sizes["num_local_experts"]
    if active and experts and active > experts:
        raise RecipeError(f"num_experts_per_tok ({active}) is more than num_local_experts ({experts}).", where=WHERE)


@torch.no_grad()
def _check_causal(model: PreTrainedModel) -> None:
    """Transformers counts encoders such as BERT among its causal models, which read both ways unless told otherwise."""
    ids = torch.arange(PROBE_TOKENS)[None] + len(byte_level.CONTROL)
    other = ids.clone()
    other[0, -1] += 1
    model.eval()
    before, after = (model(input_ids=found, use_cache=False).logits[0, :-1] for found in (ids, other))
    model.train()
    if not torch.allclose(before, after, rtol=1e-4, atol=1e-5):
        raise RecipeError(
            "in this model a token sees those that follow it: it cannot learn to predict them.",
            where=WHERE,
            remedy="Set is_decoder: true where the model type has that, or take a decoder such as llama.",
        )


def _told(error: Exception) -> str:
    """The last line of an error, which names the key and the value, without the error's class."""
    return re.sub(r"^\w+Error: ", "", str(error.args[0]).strip().splitlines()[-1].strip())

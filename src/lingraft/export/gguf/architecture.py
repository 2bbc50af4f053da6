"""What GGUF calls the sizes and the tensors of an architecture."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from gguf import (
    MODEL_ARCH,
    MODEL_ARCH_NAMES,
    MODEL_TENSOR,
    MODEL_TENSOR_SKIP,
    GGUFWriter,
    RopeScalingType,
    get_tensor_name_map,
)

from lingraft.core.errors import InputError

KNOWN = {
    "llama": MODEL_ARCH.LLAMA,
    "mistral": MODEL_ARCH.LLAMA,
    "mixtral": MODEL_ARCH.LLAMA,
    "qwen2": MODEL_ARCH.QWEN2,
}
"""By the `model_type` of the config."""
PAIRS_NEIGHBORS = frozenset({MODEL_ARCH.LLAMA})
"""Where llama.cpp turns columns 2i and 2i + 1 of a head together; transformers turns i and i + half of them."""
EXPERT = re.compile(r"(.*\.block_sparse_moe\.experts)\.(\d+)\.(w\d)\.weight")
LLAMA3_SCALING = "llama3"


@dataclass(frozen=True)
class Named:
    """A tensor of the file: its name there, and what it is made of."""

    name: str
    sources: tuple[str, ...]
    """Names in the folder; several are laid on each other."""
    heads: int | None = None
    """Of queries or keys that are to be put in pairs of neighbors."""

    def laid_out(self, parts: list[torch.Tensor]) -> torch.Tensor:
        """The sources as the file has them."""
        whole = parts[0] if len(parts) == 1 else torch.stack(parts)
        if self.heads is None:
            return whole
        halves = whole.reshape(self.heads, 2, whole.shape[0] // self.heads // 2, *whole.shape[1:])
        return halves.transpose(1, 2).reshape(whole.shape)


def of(config: Any, where: Path) -> MODEL_ARCH:
    """The architecture; InputError where this is no model that the file can tell of."""
    if config.model_type not in KNOWN:
        raise InputError(
            f"models of the kind {config.model_type} are not written as GGUF; {', '.join(KNOWN)} are.",
            where=where,
            remedy="Leave gguf out of format, and try llama.cpp's convert_hf_to_gguf.py on the folder hf.",
        )
    way = scaling(config)
    if way not in ("default", "linear", LLAMA3_SCALING):
        raise InputError(
            f"positions that are scaled by {way} are not written as GGUF.",
            where=where / "config.json",
            remedy="Leave gguf out of format, and try llama.cpp's convert_hf_to_gguf.py on the folder hf.",
        )
    return KNOWN[config.model_type]


def name(architecture: MODEL_ARCH) -> str:
    """As the file has it."""
    return MODEL_ARCH_NAMES[architecture]


def describe(writer: GGUFWriter, config: Any) -> None:
    """Add the sizes."""
    width = head_width(config)
    writer.add_vocab_size(config.vocab_size)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_key_length(width)
    writer.add_value_length(width)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_dimension_count(width)
    writer.add_rope_freq_base(config.rope_parameters["rope_theta"])
    if scaling(config) == "linear":
        writer.add_rope_scaling_type(RopeScalingType.LINEAR)
        writer.add_rope_scaling_factor(config.rope_parameters["factor"])
    if num_experts := getattr(config, "num_local_experts", None):
        writer.add_expert_count(num_experts)
        writer.add_expert_used_count(config.num_experts_per_tok)


def rope_factors(config: Any) -> torch.Tensor | None:
    """By how much each frequency is slowed down, of positions scaled as Llama 3.1 has it; None of all others."""
    if scaling(config) != LLAMA3_SCALING:
        return None
    told = config.rope_parameters
    width = head_width(config)
    wavelengths = 2 * torch.pi * told["rope_theta"] ** (torch.arange(0, width, 2, dtype=torch.float64) / width)
    original = told["original_max_position_embeddings"]
    low, high = told["low_freq_factor"], told["high_freq_factor"]
    smooth = ((original / wavelengths - low) / (high - low)).clamp(0, 1)
    return (1 / ((1 - smooth) / told["factor"] + smooth)).float()


def tensors(architecture: MODEL_ARCH, config: Any, names: list[str], where: Path) -> Iterator[Named]:
    """What the file has of the folder's tensors; InputError where one has no name there.

    Frequencies that old checkpoints store are left out: llama.cpp refuses tensors that it does not read.
    """
    known = get_tensor_name_map(architecture, config.num_hidden_layers)
    experts: dict[str, list[str]] = {}
    for source in names:
        if found := EXPERT.fullmatch(source):
            experts.setdefault(f"{found[1]}.{found[3]}.weight", []).append(source)
            continue
        part, called = _called(known, source, where)
        if part not in MODEL_TENSOR_SKIP.get(architecture, ()):
            yield Named(called, (source,), _heads(architecture, config, source))
    for joined, parts in experts.items():
        in_order = sorted(parts, key=lambda part: int(EXPERT.fullmatch(part)[2]))  # type: ignore[index]
        yield Named(_called(known, joined, where)[1], tuple(in_order))


def head_width(config: Any) -> int:
    """Columns of a head."""
    return getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads


def _called(known: Any, source: str, where: Path) -> tuple[MODEL_TENSOR, str]:
    found: tuple[MODEL_TENSOR, str] | None = known.get_type_and_name(source, try_suffixes=(".weight", ".bias"))
    if found is None:
        raise InputError(
            f'GGUF has no name for the tensor "{source}" of this architecture.',
            where=where,
            remedy="Leave gguf out of format.",
        )
    return found


def _heads(architecture: MODEL_ARCH, config: Any, source: str) -> int | None:
    if architecture not in PAIRS_NEIGHBORS:
        return None
    by_part: Mapping[str, int] = {"q_proj": config.num_attention_heads, "k_proj": config.num_key_value_heads}
    return by_part.get(source.split(".")[-2])


def scaling(config: Any) -> str:
    """How positions are scaled: default is not at all."""
    return config.rope_parameters.get("rope_type", "default")

"""The GGUF file of a model folder: what the model is, its tokens and its weights.

Keys and tensors are named as the GGUF specification (ggml-org/ggml, docs/gguf.md) and the package `gguf` have them.
"""

from collections.abc import Mapping
from contextlib import ExitStack
from math import prod
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from gguf import GGML_QUANT_SIZES, GGMLQuantizationType, GGUFWriter, LlamaFileType, quants
from safetensors import safe_open
from transformers import AutoConfig

from . import architecture, vocabulary

Weights = Literal["bf16", "f16", "f32", "q8_0"]
TYPES = {
    "bf16": (GGMLQuantizationType.BF16, LlamaFileType.MOSTLY_BF16),
    "f16": (GGMLQuantizationType.F16, LlamaFileType.MOSTLY_F16),
    "f32": (GGMLQuantizationType.F32, LlamaFileType.ALL_F32),
    "q8_0": (GGMLQuantizationType.Q8_0, LlamaFileType.MOSTLY_Q8_0),
}
EXACT = {"bf16": torch.bfloat16, "f16": torch.float16, "f32": torch.float32}
EXACTLY_READ = frozenset({"llama", "mistral", "qwen2"})
"""Kinds of models that transformers reads from a GGUF file; it knows no mixture of Mistral's there."""
UNREAD = ("attention_bias", "mlp_bias")
"""What else it passes over in such a file, beside the scaling of positions."""
QUANTIZATION_VERSION = 2
ROPE_FACTORS = "rope_freqs.weight"
ROUTER = "ffn_gate_inp"
"""A router is small, and what it chooses is fragile."""


def write(model: Path, path: Path, weights: Weights, name: str) -> dict[str, Any]:
    """Write the file; its bytes, tensors, bits a weight, and whether transformers reads the same weights from it.

    Matrices are of the type `weights`, what has one axis and routers of float32, as llama.cpp has them. Tensors are
    read and written one at a time. `name` is what programs show. Raises InputError for a model or a tokenizer that
    cannot be told in GGUF.
    """
    config = AutoConfig.from_pretrained(model, local_files_only=True)
    kind = architecture.of(config, model)
    matrices, file_type = TYPES[weights]
    with ExitStack() as stack:
        readers = _readers(model, stack)
        named = list(architecture.tensors(kind, config, sorted(readers), model))
        writer = GGUFWriter(path, architecture.name(kind))
        stack.callback(writer.close)
        writer.add_name(name)
        writer.add_file_type(file_type)
        writer.add_quantization_version(QUANTIZATION_VERSION)
        architecture.describe(writer, config)
        vocabulary.add(writer, model, config.vocab_size)
        factors = architecture.rope_factors(config)
        elements = 0
        if factors is not None:
            writer.add_tensor_info(ROPE_FACTORS, tuple(factors.shape), np.dtype(np.float32), factors.nbytes)
        for tensor in named:
            shape = _shape(tensor, readers)
            elements += prod(shape)
            stored = _stored_as(tensor.name, shape, matrices)
            block, block_bytes = GGML_QUANT_SIZES[stored]
            num_bytes = prod(shape) // block * block_bytes
            writer.add_tensor_info(tensor.name, shape, np.dtype(np.float32), num_bytes, raw_dtype=stored)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_ti_data_to_file()
        if factors is not None:
            writer.write_tensor_data(factors.numpy())
        for tensor in named:
            values = tensor.laid_out([readers[source].get_tensor(source) for source in tensor.sources])
            stored = _stored_as(tensor.name, tuple(values.shape), matrices)
            writer.write_tensor_data(quants.quantize(values.float().contiguous().numpy(), stored))
    size = path.stat().st_size
    held = config.dtype == EXACT.get(weights) or weights == "f32"
    return {
        "weights": weights,
        "bytes": size,
        "tensors": len(named),
        "bits_per_weight": 8 * size / elements,
        "exact": held and _read_exactly(config),
    }


def _read_exactly(config: Any) -> bool:
    """Whether transformers reads the very model from the file, which is what the export's gate compares."""
    plain = architecture.scaling(config) == "default" and not any(getattr(config, key, False) for key in UNREAD)
    return config.model_type in EXACTLY_READ and plain


def _readers(model: Path, stack: ExitStack) -> dict[str, Any]:
    """The open file of every tensor."""
    found = {}
    for path in sorted(model.glob("*.safetensors")):
        reader = stack.enter_context(safe_open(path, framework="pt"))
        found |= dict.fromkeys(reader.keys(), reader)
    return found


def _shape(tensor: architecture.Named, readers: Mapping[str, Any]) -> tuple[int, ...]:
    first = tensor.sources[0]
    one = tuple(readers[first].get_slice(first).get_shape())
    return one if len(tensor.sources) == 1 else (len(tensor.sources), *one)


def _stored_as(name: str, shape: tuple[int, ...], matrices: GGMLQuantizationType) -> GGMLQuantizationType:
    if len(shape) == 1 or ROUTER in name:
        return GGMLQuantizationType.F32
    return matrices if shape[-1] % GGML_QUANT_SIZES[matrices][0] == 0 else GGMLQuantizationType.F16

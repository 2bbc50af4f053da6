"""A base in 4 bits, experts included, for adapters to be trained on (Dettmers et al. 2023, arXiv 2305.14314)."""

from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, BitsAndBytesConfig, PreTrainedModel

from lingraft.core.errors import InputError

from . import experts, four_bits

# Embeddings and LM head are trained beside the adapters; a router is small, and what it chooses is fragile.
KEPT = ("embed", "lm_head", "wte", "wpe", "router", "mlp.gate.weight", "block_sparse_moe.gate.weight")


def load(folder: Path, dtype: torch.dtype, precision: str, trust_remote_code: bool) -> PreTrainedModel:
    """The model with every matrix of its layers as nf4 with double quantization, and the rest in `dtype`.

    Products are of `precision`, bf16 or fp32.

    `expert_shapes` of the model are those of its experts' matrices, which 4 bits do not show.
    Raises InputError where bitsandbytes is missing, or a matrix stayed as it was.
    """
    try:
        from bitsandbytes.nn.parametrize import replace_parameter_4bit
    except ImportError as error:
        raise InputError(
            "qlora needs bitsandbytes, which is not installed.", where=folder, remedy="pip install 'lingraft[gpu]'"
        ) from error
    on_gpu = torch.cuda.is_available()
    if not on_gpu:
        four_bits.mend()
    model = AutoModelForCausalLM.from_pretrained(
        folder,
        dtype=dtype,
        local_files_only=True,
        trust_remote_code=trust_remote_code,
        use_safetensors=True,
        quantization_config=BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=torch.bfloat16 if precision == "bf16" else torch.float32,
        ),
        device_map={"": torch.cuda.current_device() if on_gpu else "cpu"},
    )
    for module in model.modules():
        # On a processor a layer that was once evaluated is packed for that, and gives no gradients from then on.
        if hasattr(module, "support_avx512bf16_for_cpu"):
            module.support_avx512bf16_for_cpu = False
    model.expert_shapes = {}
    for module, name, parameter in experts.matrices(model):
        model.expert_shapes[id(module), name] = tuple(parameter.shape)
        replace_parameter_4bit(module, name, compress_statistics=True, quant_type="nf4")
    left = [name for name, p in model.named_parameters() if p.ndim > 1 and p.dtype != torch.uint8]
    if left := [name for name in left if not _is_kept(name)]:
        raise InputError(
            f"{len(left)} matrices of this model cannot be quantized: {', '.join(left[:3])}.",
            where=folder,
            remedy="Set train to lora.",
        )
    # The Trainer asks for adapters by this mark; they are put in later.
    model._hf_peft_config_loaded = True
    return model


def is_quantized(name: str, parameter: torch.nn.Parameter) -> bool:
    """Whether `load` makes 4 bits of a parameter of the model."""
    return parameter.ndim > 1 and not _is_kept(name)


def _is_kept(name: str) -> bool:
    return any(mark in name for mark in KEPT)

"""Small mixtures of experts, and a slow forward of theirs written from the definition."""

import math
from pathlib import Path
from typing import Any

import torch
from transformers import AutoTokenizer, MixtralConfig, MixtralForCausalLM, Qwen2MoeConfig, Qwen2MoeForCausalLM

SIZES: dict[str, Any] = {
    "vocab_size": 400,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "num_experts_per_tok": 2,
    "max_position_embeddings": 128,
    "bos_token_id": 0,
    "eos_token_id": 1,
    "pad_token_id": 2,
    "initializer_range": 0.3,
}


def save_mixtral(folder: Path, tokenizer: Path, *, num_experts: int = 4) -> MixtralForCausalLM:
    torch.manual_seed(0)
    model = MixtralForCausalLM(MixtralConfig(**SIZES, num_local_experts=num_experts)).to(torch.float32).eval()
    return save(model, folder, tokenizer)


def save_qwen(folder: Path, tokenizer: Path) -> Qwen2MoeForCausalLM:
    """Two experts chosen of four without sharing out their weights again, a shared one beside; layer 0 is dense."""
    torch.manual_seed(0)
    config = Qwen2MoeConfig(
        **SIZES, num_experts=4, moe_intermediate_size=24, shared_expert_intermediate_size=24, mlp_only_layers=[0]
    )
    return save(Qwen2MoeForCausalLM(config).to(torch.float32).eval(), folder, tokenizer)


def save(model: Any, folder: Path, tokenizer: Path) -> Any:
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.ndim == 3 or "gate.weight" in name:
                torch.nn.init.normal_(parameter, std=0.3)
    model.save_pretrained(folder)
    AutoTokenizer.from_pretrained(tokenizer).save_pretrained(folder)
    return model


def mixed_slowly(block: Any, states: torch.Tensor, without: int | None, mode: str, *, share_out: bool) -> torch.Tensor:
    """What a block of experts gives for states (1, N, H), one token at a time."""
    gate, experts = block.gate.weight, block.experts
    out = torch.zeros_like(states)
    for place, state in enumerate(states[0]):
        odds = {expert: math.exp(float(row @ state)) for expert, row in enumerate(gate)}
        if mode == "mask" and without is not None:
            del odds[without]
        best = sorted(odds, key=odds.__getitem__, reverse=True)[:2]
        total = sum(odds[expert] for expert in (best if share_out else odds))
        for expert in best:
            if expert == without:
                continue
            up_and_gate = experts.gate_up_proj[expert] @ state
            half = len(up_and_gate) // 2
            inner = torch.nn.functional.silu(up_and_gate[:half]) * up_and_gate[half:]
            out[0, place] += odds[expert] / total * (experts.down_proj[expert] @ inner)
    return out

"""Which ways of training which sizes of model take how much memory: what `lingraft doctor` shows."""

from collections.abc import Iterator

from transformers import LlamaConfig, MixtralConfig, PretrainedConfig, Qwen2Config

from lingraft.train.settings import Settings

from .planner import memory_bytes

SEQUENCE_TOKENS, NUM_NEW = 2048, 8000
# As the config.json of Qwen2.5, Llama 3.1 and Mixtral v0.1 have it.
SIZES: dict[str, PretrainedConfig] = {
    "Qwen 0.5B": Qwen2Config(
        vocab_size=151936,
        hidden_size=896,
        intermediate_size=4864,
        num_hidden_layers=24,
        num_attention_heads=14,
        num_key_value_heads=2,
        tie_word_embeddings=True,
        dtype="bfloat16",
    ),
    "Qwen 1.5B": Qwen2Config(
        vocab_size=151936,
        hidden_size=1536,
        intermediate_size=8960,
        num_hidden_layers=28,
        num_attention_heads=12,
        num_key_value_heads=2,
        tie_word_embeddings=True,
        dtype="bfloat16",
    ),
    "Llama 8B": LlamaConfig(
        vocab_size=128256,
        hidden_size=4096,
        intermediate_size=14336,
        num_hidden_layers=32,
        num_attention_heads=32,
        num_key_value_heads=8,
        dtype="bfloat16",
    ),
    "Llama 70B": LlamaConfig(
        vocab_size=128256,
        hidden_size=8192,
        intermediate_size=28672,
        num_hidden_layers=80,
        num_attention_heads=64,
        num_key_value_heads=8,
        dtype="bfloat16",
    ),
    "Mixtral 8x7B": MixtralConfig(
        vocab_size=32000,
        hidden_size=4096,
        intermediate_size=14336,
        num_hidden_layers=32,
        num_attention_heads=32,
        num_key_value_heads=8,
        num_local_experts=8,
        num_experts_per_tok=2,
        dtype="bfloat16",
    ),
}
SETTING = "one sequence of\n2048 tokens at once, bf16, gradient checkpointing, 8,000 new tokens"
METHODS = ("full", "top_bottom", "lora", "qlora", "rows")


def sizes() -> Iterator[tuple[str, dict[str, float]]]:
    """Of each size the bytes that each method takes on one device."""
    for name, config in SIZES.items():
        yield name, {method: memory_bytes(config, _settings(method), num_new=NUM_NEW) for method in METHODS}


def _settings(method: str) -> Settings:
    return Settings(
        mix={"target": 1.0},
        sequence_tokens=SEQUENCE_TOKENS,
        batch_tokens=16 * SEQUENCE_TOKENS,
        micro_batch_sequences=1,
        lr=1e-4,
        schedule="cosine",
        warmup_share=0.01,
        weight_decay=0.1,
        max_grad_norm=1.0,
        precision="bf16",
        budget_bytes=None,
        budget_tokens=1e9,
        epochs=None,
        curve_points=2,
        curve_documents=16,
        checkpoint_minutes=10,
        seed=17,
        train=method,
        gradient_checkpointing=True,
    )

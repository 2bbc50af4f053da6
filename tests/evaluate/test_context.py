from pathlib import Path

import pytest
from transformers import BloomConfig, Gemma3Config, GPT2Config, LlamaConfig

from lingraft.core.errors import InputError
from lingraft.evaluate.context import context_tokens, positions

CONFIGS = {
    "llama": (LlamaConfig(max_position_embeddings=96), 96),
    "named otherwise": (GPT2Config(n_positions=64), 64),
    "nested": (Gemma3Config(text_config={"max_position_embeddings": 80}), 80),
    "none": (BloomConfig(), None),
}


@pytest.fixture
def models(tmp_path: Path) -> dict[str, Path]:
    for name, (config, _) in CONFIGS.items():
        config.save_pretrained(tmp_path / name)
    return {name: tmp_path / name for name in CONFIGS}


def test_positions_of_every_family(models: dict[str, Path]) -> None:
    assert {name: positions(path) for name, path in models.items()} == {
        name: expected for name, (_, expected) in CONFIGS.items()
    }


def test_all_models_can_read_what_is_given_to_them(models: dict[str, Path]) -> None:
    assert context_tokens(models, None) == 64
    assert context_tokens(models, 48) == 48
    assert context_tokens({"none": models["none"]}, None) == 2048
    assert context_tokens({"none": models["none"]}, 9999) == 9999
    with pytest.raises(InputError, match="a context of 65 tokens is longer than the 64 positions of named otherwise"):
        context_tokens(models, 65)

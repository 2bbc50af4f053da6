"""config.json and generation_config.json brought in line with the new vocabulary."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from transformers import PretrainedConfig

from lingraft.core.errors import InputError

from .matching import Matching

OF_EVERY_CONFIG = frozenset(PretrainedConfig().to_dict()) - {"model_type"}
# How much text is read, how weights were begun and trained: not what they compute.
NO_ARCHITECTURE = frozenset(
    (
        *("vocab_size", "max_position_embeddings", "sliding_window", "max_window_layers", "use_cache"),
        *("initializer_range", "pretraining_tp", "router_aux_loss_coef", "output_router_logits"),
    )
)


def differences(config: PretrainedConfig, other: PretrainedConfig) -> dict[str, tuple[Any, Any]]:
    """What makes the architectures of two configs differ: the value of both by dotted key; None where one has none."""
    ours, theirs = _flat(config.to_dict()), _flat(other.to_dict())
    keys = [key for key in {**ours, **theirs} if ours.get(key) != theirs.get(key)]
    return {key: (ours.get(key), theirs.get(key)) for key in keys if _of_architecture(key)}


def _of_architecture(key: str) -> bool:
    name = key.rpartition(".")[2]
    unrelated = name in NO_ARCHITECTURE or name.endswith(("_token_id", "dropout", "_pdrop"))
    return not unrelated and key.partition(".")[0] not in OF_EVERY_CONFIG


def _flat(config: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in config.items():
        found |= _flat(value, f"{before}{key}.") if isinstance(value, dict) else {f"{before}{key}": value}
    return found


def write_configs(base: Path, folder: Path, matching: Matching, rows: int, tokenizer: Path) -> None:
    """Both files of `base` in `folder`: the size of the vocabulary, and the ids of control tokens where they moved.

    Byte for byte where the vocabulary is the same. Raises InputError when a control token that they name is gone.
    """
    moved = {old: new for new, old in matching.copied.items()}
    for name in ("config.json", "generation_config.json"):
        path = base / name
        if not path.exists():
            continue
        text = path.read_text(encoding="utf-8")
        content = json.loads(text)
        before = json.dumps(content)
        _move(content, matching, moved, tokenizer)
        if name == "config.json" and not matching.unchanged:
            _resize(content, rows)
        if json.dumps(content) != before:
            text = json.dumps(content, indent=2, ensure_ascii=False) + "\n"
        (folder / name).write_text(text, encoding="utf-8")


def _resize(config: dict[str, Any], rows: int) -> None:
    inner = config.get("text_config")
    if isinstance(inner, dict):
        inner["vocab_size"] = rows
    if "vocab_size" in config or not isinstance(inner, dict):
        config["vocab_size"] = rows


def _move(config: dict[str, Any], matching: Matching, moved: Mapping[int, int], tokenizer: Path) -> None:
    for key, value in config.items():
        if isinstance(value, dict):
            _move(value, matching, moved, tokenizer)
        elif key.endswith("_token_id"):
            ids = value if isinstance(value, list) else [value]
            lost = [index for index in ids if index in matching.dropped]
            if lost:
                raise InputError(
                    f"{key} of the model is {lost[0]}, a token of the base that this tokenizer has not.",
                    where=tokenizer,
                    remedy="Keep the special tokens of the base in the tokenizer.",
                )
            # None, and ids that no token has (some published configs pad with -1), stay as they are.
            kept = [moved.get(index, index) for index in ids]
            config[key] = kept if isinstance(value, list) else kept[0]

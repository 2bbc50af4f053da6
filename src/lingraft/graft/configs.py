"""config.json and generation_config.json brought in line with the new vocabulary."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lingraft.core.errors import InputError

from .matching import Matching


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

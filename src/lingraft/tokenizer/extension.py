"""Grow the vocabulary of a byte-level BPE tokenizer by what a target text needs."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from lingraft.core.errors import StageError
from lingraft.core.progress import SILENT, Progress
from lingraft.core.registry import resolve

from . import METHODS, family
from .kind import require_byte_level_bpe

NUM_EXAMPLES = 60


def extend(
    base: Path,
    target: Iterable[str],
    folder: Path,
    *,
    new_tokens: int,
    method: str = "continued_bpe",
    guard: Iterable[str] = (),
    progress: Progress = SILENT,
) -> dict[str, Any]:
    """Write the extended tokenizer to `folder` and return its figures; every old id keeps its token.

    New ids follow the highest id in use, special tokens included; `new_tokens` in the figures counts what was learned,
    which is less than asked for when the text is small. No text of the `guard` is segmented otherwise than before.
    Raises InputError when the base is not byte-level BPE, StageError when nothing could be learned.
    """
    tokenizer = family.open(base)
    backend = tokenizer.backend_tokenizer
    require_byte_level_bpe(backend, base)
    learned = resolve(METHODS, method, "tokenizer method")(backend, target, new_tokens, guard=guard, progress=progress)
    if not learned.merges:
        raise StageError(
            f"no new token could be learned from {learned.figures['bytes']:,} bytes of target text.",
            remedy="Give more text in the target language: a pair of tokens must occur twice to become one.",
        )
    content = json.loads((base / "tokenizer.json").read_text(encoding="utf-8"))
    old_size = max(tokenizer.get_vocab().values()) + 1
    _enter(content["model"], tokenizer.get_added_vocab(), learned.merges, old_size)
    _write(base, folder, content)
    strings = [left + right for left, right in learned.merges]
    texts = (backend.decoder.decode([string]) for string in strings)
    return {
        "method": method,
        "old_size": old_size,
        "new_size": old_size + len(strings),
        "new_tokens": len(strings),
        "new_tokens_asked": new_tokens,
        "examples": [text for text in texts if "\ufffd" not in text][:NUM_EXAMPLES],
        "text": learned.figures,
    }


def _enter(model: dict[str, Any], added: dict[str, int], merges: list[tuple[str, str]], first_id: int) -> None:
    """Put the merges and their tokens into the model of a tokenizer.json."""
    # Llama-3 has its special tokens only in the list of added ones. There they get ids after the end of the model's
    # vocabulary when the file is loaded: unless they stand in it themselves, growing it would move them.
    model["vocab"].update(added)
    model["vocab"].update({left + right: first_id + rank for rank, (left, right) in enumerate(merges)})
    in_words = bool(model["merges"]) and isinstance(model["merges"][0], str)  # written so before tokenizers 0.20
    model["merges"] += [f"{left} {right}" if in_words else [left, right] for left, right in merges]


def _write(base: Path, folder: Path, content: dict[str, Any]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    # With config.json: transformers picks the class of a tokenizer by the type of the model.
    family.copy(base, folder, (*family.SETTINGS_FILES, "config.json"))
    (folder / "tokenizer.json").write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")

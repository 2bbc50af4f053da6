"""What makes a model an assistant beside its weights: chat template, special tokens, the ends of an answer."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from transformers import PreTrainedTokenizerFast

from lingraft.core.errors import InputError

from .matching import Matching

TEMPLATE = "chat_template.jinja"
TEMPLATE_FILES = (TEMPLATE, "chat_template.json", "additional_chat_templates/*.jinja")


@dataclass(frozen=True)
class Assistant:
    """The settings of an instruct model, its token ids those of another tokenizer."""

    templates: Mapping[str, str]
    """Jinja by name; the one in use is `default`."""
    special: Mapping[str, str]
    """Token by role: `eos_token`, `pad_token`, ..."""
    ids: Mapping[str, Any]
    """What config.json says: `eos_token_id`, ..."""
    generation: Mapping[str, Any] | None
    """The whole of generation_config.json; None where there is none."""
    lost: tuple[str, ...]
    """Special tokens that the other tokenizer has not, and no answer needs."""

    def figures(self) -> dict[str, Any]:
        return {"chat_template": bool(self.templates), "special_tokens_lost": list(self.lost)}


def read(
    folder: Path,
    tokenizer: PreTrainedTokenizerFast,
    other: PreTrainedTokenizerFast,
    matching: Matching,
    where: Path,
) -> Assistant:
    """The settings in `folder`, in the ids of `other`, to which `matching` leads from `tokenizer`.

    Raises InputError when `other`, the tokenizer in `where`, lacks a token of the chat template or an end of an answer.
    """
    moved, known = {old: new for new, old in matching.copied.items()}, other.get_vocab()
    templates = tokenizer.chat_template or {}
    templates = {"default": templates} if isinstance(templates, str) else dict(templates)
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    generation = _content(folder / "generation_config.json")
    roles = {
        role: tokenizer.convert_tokens_to_ids(token)
        for role, token in tokenizer.special_tokens_map.items()
        if isinstance(token, str)
    }
    ends = {index for source in (config, generation or {}) for index in _ids(source.get("eos_token_id"))}
    ends |= {roles["eos_token"]} if "eos_token" in roles else set()
    gone = {index: str(token) for index, token in tokenizer.added_tokens_decoder.items() if index not in moved}
    written = [str(token) for token in tokenizer.added_tokens_decoder.values() if str(token) not in known]
    needed = {tokenizer.convert_ids_to_tokens(index) for index in ends & matching.dropped}
    needed |= {token for token in written if any(token in template for template in templates.values())}
    if needed:
        raise InputError(
            f"the instruct model ends or frames its turns with {', '.join(sorted(needed))}, "
            "which the adapted tokenizer has not.",
            where=where,
            remedy="Take an instruct model whose special tokens the base has.",
        )
    ids = {key: value for key, value in config.items() if key.endswith("_token_id") and value is not None}
    return Assistant(
        templates=templates,
        special={role: other.convert_ids_to_tokens(moved[index]) for role, index in roles.items() if index in moved},
        ids=_in_ids(ids, moved),
        generation=None if generation is None else _in_ids(generation, moved),
        lost=tuple(gone[index] for index in sorted(gone)),
    )


def write(settings: Assistant, folder: Path) -> None:
    """Put the settings into a model folder, in place of its own."""
    for pattern in TEMPLATE_FILES:
        for path in folder.glob(pattern):
            path.unlink()
    for name, template in settings.templates.items():
        path = folder / (TEMPLATE if name == "default" else f"additional_chat_templates/{name}.jinja")
        path.parent.mkdir(exist_ok=True)
        path.write_text(template, encoding="utf-8")
    tokenizer = _content(folder / "tokenizer_config.json") or {}
    tokenizer.pop("chat_template", None)
    _write(folder / "tokenizer_config.json", tokenizer | settings.special)
    if (names := _content(folder / "special_tokens_map.json")) is not None:
        _write(folder / "special_tokens_map.json", names | settings.special)
    _write(folder / "config.json", (_content(folder / "config.json") or {}) | settings.ids)
    generation = settings.generation
    if generation is None:
        generation = (_content(folder / "generation_config.json") or {}) | settings.ids
    _write(folder / "generation_config.json", generation)


def _in_ids(config: Mapping[str, Any], moved: Mapping[int, int]) -> dict[str, Any]:
    """The config with its token ids moved; one whose token is gone is left out."""
    found = dict(config)
    for key, value in config.items():
        if key.endswith("_token_id") and value is not None:
            ids = [moved[index] for index in _ids(value) if index in moved]
            if ids:
                found[key] = ids if isinstance(value, list) else ids[0]
            else:
                del found[key]
    return found


def _ids(value: int | list[int] | None) -> list[int]:
    return [] if value is None else value if isinstance(value, list) else [value]


def _content(path: Path) -> dict[str, Any] | None:
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None


def _write(path: Path, content: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")

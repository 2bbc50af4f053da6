"""Open a tokenizer, measure it, extend it to a language, and prove the result."""

import importlib
from typing import Any

METHODS = {
    "keep": "lingraft.tokenizer.keep:method",
    "continued_bpe": "lingraft.tokenizer.continued_bpe:method",
    "append": "lingraft.tokenizer.append:method",
    "chinese_llama": "lingraft.tokenizer.chinese_llama:method",
    "replace": "lingraft.tokenizer.replace:method",
    "swap": "lingraft.tokenizer.swap:method",
    "prune": "lingraft.tokenizer.prune:method",
}

_PUBLIC = {
    "advise": "advice",
    "extend": "extension",
    "measure": "fertility",
    "open": "family",
    "prove": "proofs",
    "prove_guard": "proofs",
    "segments": "fertility",
    "token_bytes": "family",
}

__all__ = ["METHODS", *_PUBLIC]  # noqa: PLE0604


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f".{_PUBLIC[name]}", __name__), name)

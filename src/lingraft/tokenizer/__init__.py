"""Open a tokenizer, measure it, extend it to a language, and prove the result."""

import importlib
from typing import Any

METHODS = {
    "continued_bpe": "lingraft.tokenizer.continued_bpe:learn",
}

_PUBLIC = {
    "extend": "extend",
    "measure": "fertility",
    "open": "family",
    "prove": "prove",
    "segments": "fertility",
    "token_bytes": "family",
}

__all__ = ["METHODS", *_PUBLIC]  # noqa: PLE0604


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    # Kept, because importing a submodule puts the module in the package under its own name.
    globals()[name] = getattr(importlib.import_module(f".{_PUBLIC[name]}", __name__), name)
    return globals()[name]

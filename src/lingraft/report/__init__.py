"""The one page that shows a whole adaptation with its evidence."""

import importlib
from typing import Any

_PUBLIC = {"write": "page", "summary": "markdown", "answering": "markdown"}


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f".{_PUBLIC[name]}", __name__), name)

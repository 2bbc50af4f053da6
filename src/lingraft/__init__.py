"""Graft a language onto a pretrained LLM."""

import importlib
from types import ModuleType

__all__ = ["corpus", "evaluate", "export", "graft", "report", "tokenizer", "train"]


def __getattr__(name: str) -> ModuleType:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return importlib.import_module(f".{name}", __name__)

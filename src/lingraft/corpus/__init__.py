"""Text in, a clean corpus out: read, deduplicate, split by group, keep in shards."""

import importlib

# `read` and `build` are imported from their modules: a function cannot share its package with a module of its name.
_PUBLIC = {
    "BadRecord": "document",
    "Document": "document",
    "Language": "language",
    "StreamTexts": "shards",
    "documents": "shards",
    "files": "read",
    "find": "language",
}
__all__ = list(_PUBLIC)


def __getattr__(name: str) -> object:
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_PUBLIC[name]}"), name)

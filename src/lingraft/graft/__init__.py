"""Give a model rows for new tokens."""

import importlib
from typing import Any

STRATEGIES = {
    "subwords": "lingraft.graft.subwords:rows",
    "align": "lingraft.graft.align:rows",
    "gaussian": "lingraft.graft.gaussian:rows",
    "xavier_uniform": "lingraft.graft.xavier_uniform:rows",
    "mean_all": "lingraft.graft.mean_all:rows",
    "mean_all_covariance": "lingraft.graft.mean_all_covariance:rows",
    "random_token": "lingraft.graft.random_token:rows",
    "focus": "lingraft.graft.focus:rows",
    "wechsel": "lingraft.graft.wechsel:rows",
    "omp": "lingraft.graft.omp:rows",
    "learned": "lingraft.graft.learned:rows",
    "distill": "lingraft.graft.distill:rows",
}

_PUBLIC = {
    "initialize": "surgery",
}

__all__ = ["STRATEGIES", *_PUBLIC]  # noqa: PLE0604


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f".{_PUBLIC[name]}", __name__), name)

"""Writes docs/methods.md from the docstrings of the methods and strategies themselves: python docs/methods_page.py"""

import importlib
import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lingraft.graft import STRATEGIES
from lingraft.tokenizer import METHODS

PAGE = Path(__file__).with_name("methods.md")
INTRODUCTION = """# Methods

This page is written by `docs/methods_page.py` from the docstrings; do not edit it by hand.
"""
TOKENIZER = """## Making the new tokenizer

`tokenizer: {method: NAME, new_tokens: N, guard: report | replay, options: {...}}`

A new token is made from any two neighbours that spell it. That is how SentencePiece and tiktoken read a vocabulary;
where a tokenizer.json lists merges instead, every such pair is listed, so that all of them mean the same. With
`guard: replay` no replay text of the training is segmented otherwise than before.
"""
GRAFT = """## Starting the new rows

`graft: {strategy: NAME, options: {...}, output_strategy: NAME, output_options: {...}}`

V old rows u, N new tokens v, E(u) the row of u. Where the LM head is a table of its own it gets rows by
`output_strategy`, the same by default. `strategy: auto` tries `candidates` against each other by bits per byte of
target text before any training, and takes the best.
"""


def page() -> str:
    """The whole page as Markdown."""
    parts = [INTRODUCTION, TOKENIZER, *entries(METHODS), GRAFT, *entries(STRATEGIES)]
    return "\n".join(parts)


def entries(table: Mapping[str, str]) -> list[str]:
    return [entry(name, *place.split(":")) for name, place in table.items()]


def entry(name: str, module: str, function: str) -> str:
    """One method: what its file is about, what its function does, and its options."""
    found = importlib.import_module(module)
    called = getattr(found, function)
    parts = [f"### {name}", inspect.getdoc(found) or "", inspect.getdoc(called) or "", options(called)]
    return "\n\n".join(part.rstrip() for part in parts if part) + "\n"


def options(function: Any) -> str:
    rows = []
    for name, parameter in inspect.signature(function).parameters.items():
        if parameter.kind is parameter.KEYWORD_ONLY and name != "progress":
            default = "needed" if parameter.default is parameter.empty else f"`{parameter.default}`"
            rows.append(f"| `{name}` | {default} |")
    return "\n".join(["| option | default |", "|---|---|", *rows]) if rows else ""


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")

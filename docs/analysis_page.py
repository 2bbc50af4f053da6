"""Writes docs/analysis.md from the docstrings of the analyses themselves: python docs/analysis_page.py"""

import inspect
from pathlib import Path
from typing import Any

from lingraft.analyze import ANALYSES
from lingraft.core.registry import resolve

PAGE = Path(__file__).with_name("analysis.md")
INTRODUCTION = """# Analyses

This page is written by `docs/analysis_page.py` from the docstrings; do not edit it by hand.

`analyze: {models: [base, graft, pretrain], analyses: [NAME, {analysis: NAME, options: {...}}]}`

What changed inside the models, and what it cost. The first model is the base, the last the adapted one. Every estimate
has an interval of 95 %, from resampling documents, sentences or items, paired where models are compared. An analysis
that does not apply says why, and the rest goes on; each keeps what is finished, so that a stopped one goes on from
there.
"""


def page() -> str:
    """The whole page as Markdown."""
    return "\n".join([INTRODUCTION, *(section(name) for name in ANALYSES)])


def section(name: str) -> str:
    """One analysis: its module's first words, what it gives, its options."""
    function = resolve(ANALYSES, name, "analysis")
    module = inspect.getmodule(function).__doc__.split("\n\n")
    about = [part for part in module if not part.lstrip()[:2].strip().isupper()]
    parts = [f"## {name}", about[0].strip(), inspect.getdoc(function), options(function)]
    return "\n\n".join(part for part in parts if part) + "\n"


def options(function: Any) -> str:
    """A table of its options."""
    parameters = inspect.signature(function).parameters.values()
    rows = [f"| `{one.name}` | `{one.default}` |" for one in parameters if one.kind is one.KEYWORD_ONLY]
    return "\n".join(["| option | default |", "|---|---|", *rows]) if rows else ""


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")

"""Writes docs/suites.md from the docstrings of the suites themselves: python docs/suites_page.py"""

import importlib
import inspect
import re
from pathlib import Path
from typing import Any

from lingraft.evaluate.suites import SUITES
from lingraft.evaluate.suites.source import ENDINGS

PAGE = Path(__file__).with_name("suites.md")
INTRODUCTION = f"""# Suites of tasks

This page is written by `docs/suites_page.py` from the docstrings; do not edit it by hand.

`evaluate: {{suites: [bits, NAME, {{suite: NAME, data: FOLDER, shots: 5, options: {{...}}}}]}}`

With `data` a suite is read from files in that folder, without it from the hub. A file ends in
{", ".join(f"`{ending}`" for ending in ENDINGS)}, plain or with `.gz`, and has the columns that are named below,
as the data set was published. `{{iso1}}` stands for `pl`, `{{iso3}}` for `pol`, `{{flores}}` for `pol_Latn`.

Solved examples come from a part of the data that is not asked; one whose text is asked all the same is dropped. An
answer follows its prompt with a space, and without one where the prompt's language puts none between words.
"""


def page() -> str:
    """The whole page as Markdown."""
    told = {name: Told(name, *place.split(":")) for name, place in SUITES.items()}
    cells = ((f"[{name}](#{name})", one.what, one.part("Languages"), one.part("Metric")) for name, one in told.items())
    rows = [f"| {' | '.join(row)} |" for row in cells]
    table = ["| suite | what | languages | metric |", "|---|---|---|---|", *rows]
    return "\n".join([INTRODUCTION, *table, "", *(one.section() for one in told.values())])


class Told:
    """What a suite says of itself."""

    def __init__(self, name: str, module: str, function: str) -> None:
        found = importlib.import_module(module)
        self.name, self.paper, self.function = name, found.PAPER, getattr(found, function)
        first, *others = inspect.getdoc(self.function).split("\n\n")
        self.what = " ".join(first.split())
        self.more, self.labelled = others[:-1], others[-1]

    def part(self, label: str) -> str:
        """What stands behind one of the labels."""
        found = re.search(rf"^{label}: (.*?)(?=^[A-Z]\w+: |\Z)", self.labelled, re.MULTILINE | re.DOTALL)
        return " ".join(found[1].split())

    def section(self) -> str:
        """The suite by itself."""
        lines = [
            f"- {title}: {text}"
            for title, text in (
                ("source", self.paper),
                ("examples", self.part("Shots")),
                ("files", self.part("Files")),
                ("hub", self.part("Hub")),
            )
        ]
        parts = [f"## {self.name}", *self.more, "\n".join(lines), options(self.function)]
        return "\n\n".join(part for part in parts if part) + "\n"


def options(function: Any) -> str:
    """A table of a suite's own options."""
    rows = []
    for name, parameter in inspect.signature(function).parameters.items():
        if parameter.kind is parameter.KEYWORD_ONLY:
            default = "needed" if parameter.default is parameter.empty else f"`{parameter.default}`"
            rows.append(f"| `{name}` | {default} |")
    return "\n".join(["| option | default |", "|---|---|", *rows]) if rows else ""


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")

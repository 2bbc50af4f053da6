"""The headline of a report as Markdown, for the model card."""

import re
from collections.abc import Mapping
from typing import Any

from .headline import changes, sentence


def summary(report: Mapping[str, Any]) -> str:
    """A sentence, and a table of base against adapted where the report compares them; empty without an evaluation."""
    rows, told = changes(report), sentence(report)
    if not rows:
        return f"{_escape(told)}\n" if told else ""
    lines = ["| | Base | Adapted | Change |", "|---|---:|---:|---|"]
    for row in rows:
        base, adapted = f"{row.base} {row.base_interval}".strip(), f"{row.adapted} {row.adapted_interval}".strip()
        change = " · ".join(part for part in (row.verdict, row.difference) if part)
        lines.append(f"| {_escape(row.label)} ({row.unit}) | {base} | {adapted} | {change} |")
    return "\n".join([*([_escape(told), ""] if told else []), *lines, ""])


def _escape(text: str) -> str:
    return re.sub(r"([\\|`*_<>\[\]])", r"\\\1", text)

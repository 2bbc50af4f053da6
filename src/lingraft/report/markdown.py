"""The headline of a report and how a model was made to answer as Markdown, for the model card."""

import re
from collections.abc import Mapping
from typing import Any

from . import format as fmt
from . import tuning
from .forest import share
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


def answering(report: Mapping[str, Any]) -> list[str]:
    """A paragraph for each fine-tuning and training on preferences, and one on the chat template."""
    told, template = [], None
    for training in report.get("training", []):
        if training["kind"] == "pretrain":
            continue
        figures = training["figures"]
        template = template or figures["template"]  # the first gave it, the others found it there
        streams = tuning.streams(report, training, "streams")
        if training["kind"] == "sft":
            counts = [f"{fmt.count(found['conversations'])} {name}" for _, name, found in streams]
            sentences = [f"Fine-tuned on {' and '.join(counts)} conversations, on what the assistant says in them."]
        else:
            counts = [f"{fmt.count(found['pairs'] or found['judged'])} {name}" for _, name, found in streams]
            way = f"by {figures['loss']} with beta {figures['beta']:g}"
            sentences = [f"Trained on {' and '.join(counts)} preferences {way}."]
        for _, name, found in tuning.streams(report, training, "held_out"):
            if training["kind"] == "sft":
                before, after = (
                    f"{fmt.decimal(one['value'])} {fmt.interval(one['low'], one['high'])}"
                    for one in (found["before"], found["after"])
                )
                sentences.append(f"Held-out {name} answers: {before} bits per byte before, {after} after.")
            else:
                preferred = f"{share(found['accuracy']['after'])} of {fmt.count(found['pairs'])}"
                sentences.append(f"Of held-out {name} pairs it prefers the chosen answer in {preferred}.")
        told.append(_escape(" ".join(sentences)))
    if template is not None:
        system = "takes system messages" if template["takes_system"] else "takes no system messages"
        name = "its base's own" if template["name"] == "own" else template["name"]
        told.append(_escape(f"Chat template: {name}; it {system}."))
    return told


def _escape(text: str) -> str:
    return re.sub(r"([\\|`*_<>\[\]])", r"\\\1", text)

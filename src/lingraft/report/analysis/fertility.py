"""What the same sentences cost in tokens with the tokenizer of every model."""

from collections.abc import Mapping
from typing import Any

from lingraft.report import format as fmt
from lingraft.report.figures import Axis, axis

from .roles import roles

STREAMS = ("target", "replay")


def models(report: Mapping[str, Any]) -> tuple[Axis, list[dict[str, Any]]]:
    """Tokens per word of the target language by model, with the change of its tokens on the first and a verdict."""
    found = report["analysis"]["fertility"]
    role = roles(row["model"] for row in found["models"])
    shown = [
        {
            **row,
            "role": role[row["model"]],
            "per_word": row["target"]["tokens_per_word"],
            "added": fmt.signed(row["added_tokens"], 0) if row["added_tokens"] else "",
            "changed": _changed(row["target"]["change"]),
            "verdict": _verdict(row["target"]["change"]),
        }
        for row in found["models"]
    ]
    ends = [row["per_word"][end] for row in shown for end in ("low", "high")]
    return axis(ends), shown


def languages(report: Mapping[str, Any]) -> list[tuple[str, str, list[dict[str, Any]]]]:
    """Stream and name of each language, with the costs of every model."""
    found = report["analysis"]["fertility"]
    role = roles(row["model"] for row in found["models"])
    return [
        (
            stream,
            found[stream],
            [
                {
                    **row[stream],
                    "model": row["model"],
                    "role": role[row["model"]],
                    "changed": _changed(row[stream]["change"]),
                }
                for row in found["models"]
            ],
        )
        for stream in STREAMS
    ]


def _changed(change: Mapping[str, float] | None) -> str:
    if change is None:
        return ""
    low, high = (fmt.signed_percent(change[end]) for end in ("low", "high"))
    return f"{fmt.signed_percent(change['value'])} [{low}, {high}]"


def _verdict(change: Mapping[str, float] | None) -> str:
    if change is None:
        return ""
    if change["low"] <= 0 <= change["high"]:
        return "no difference"
    return "better" if change["value"] < 0 else "worse"

"""What the page shows of conversations and preferences: what was kept, what was left out and why."""

from collections.abc import Mapping
from typing import Any

from . import format as fmt
from .headline import language

MANY = 0.05
"""Of a stream's records: so many left out are warned of."""
OTHER_WORDS = {
    "longer than max_record_bytes": "longer than the limit",
    "composed to NFC": "letters and their accents composed (NFC)",
}
"""Where a reason is in the words of settings."""


def languages(stream: Mapping[str, Any]) -> str:
    """What the languages of the answers are: 219 in the language, 7 too short to tell."""
    found = stream.get("answer_languages") or {}
    return ", ".join(f"{fmt.count(number)} {where}" for where, number in found.items())


def lengths(stream: Mapping[str, Any]) -> str:
    """How long answers are in the middle, and the longest."""
    found = stream.get("answer_bytes") or {}
    return f"median {fmt.size(found['p50'])}, longest {fmt.size(found['p100'])}" if found else ""


def counted(reasons: Mapping[str, int] | None) -> list[str]:
    """Reasons in a reader's words, each with how often."""
    return [f"{fmt.count(number)} × {OTHER_WORDS.get(why, why)}" for why, number in (reasons or {}).items()]


def sources(figures: Mapping[str, Any]) -> list[str]:
    """How much of each source was kept."""
    return [
        f"{found['source']}: {fmt.count(found['kept'])} of {fmt.count(found['records'])} kept"
        for found in figures.get("sources") or []
    ]


def translated(figures: Mapping[str, Any]) -> str:
    """What was added to the target by translation."""
    found = figures.get("translation")
    if not found:
        return ""
    told = f"{fmt.count(found['translated'])} of {fmt.count(found['records'])} records"
    back = (found.get("back") or {}).get("median_chrf")
    return told + (f", median chrF++ of the way back {fmt.decimal(back, 1)}" if back is not None else "")


def on_policy(figures: Mapping[str, Any]) -> str:
    """What became of the model's own answers when they were judged two by two."""
    found = figures.get("on_policy")
    if not found:
        return ""
    became = ", ".join(f"{fmt.count(number)} {what}" for what, number in found["became"].items())
    return f"of {fmt.count(found['prompts'])} prompts, judged by {found['judge']}: {became}"


def warnings(report: Mapping[str, Any]) -> list[str]:
    """Streams and translations of which much was left out."""
    told = []
    for made in report.get("records", []):
        figures, by_stream = made["figures"], {}
        if found := figures.get("translation"):
            told += _left_out(
                f"translations of {made['name']}", found["records"], found["translated"], figures["quarantined"]
            )
            continue  # its sources are those of what it read
        for source in figures.get("sources") or []:
            by_stream.setdefault(source["stream"], []).append(source)
        for stream, those in by_stream.items():
            reasons: dict[str, int] = {}
            for source in those:
                for why, number in source.items():
                    if why not in ("stream", "source", "records", "kept"):
                        reasons[why] = reasons.get(why, 0) + number
            records, kept = (sum(source[key] for source in those) for key in ("records", "kept"))
            told += _left_out(f"{language(report, stream)['name']} records of {made['name']}", records, kept, reasons)
    return told


def _left_out(what: str, records: int, kept: int, reasons: Mapping[str, int]) -> list[str]:
    if not records or (records - kept) / records <= MANY:
        return []
    share = fmt.percent((records - kept) / records, 0)
    return [
        f"{fmt.count(records - kept)} of {fmt.count(records)} {what} ({share}) were left out: "
        f"{', '.join(counted(reasons))}."
    ]

"""What an adaptation changed, in a sentence and a handful of figures; the page and the model card share it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from . import format as fmt

BASE = "base"


@dataclass(frozen=True)
class Change:
    """One measured quantity under the base and under the adapted model, as text."""

    label: str
    unit: str
    base: str
    adapted: str
    difference: str
    base_interval: str = ""
    adapted_interval: str = ""
    verdict: str = ""
    """better, worse or no difference; empty where no interval of the difference was measured"""
    kept: bool = False
    """Whether it is about the language of the base, which is to be kept."""
    fell: bool = False
    """Whether it was counted, has no interval, and became smaller where more is better."""


def language(report: Mapping[str, Any], stream: str) -> Mapping[str, Any]:
    """The run's language of the target or replay stream; the stream's own word as the name where none is given."""
    found = report["run"].get("language" if stream == "target" else stream)
    return found or {"name": stream, "tag": "", "direction": "auto"}


def from_scratch(report: Mapping[str, Any]) -> bool:
    """Whether the base is a new model, which knows nothing."""
    return bool(report["run"].get("base", {}).get("from_scratch"))


def title(report: Mapping[str, Any]) -> str:
    """What the run is about."""
    name = language(report, "target")["name"]
    if from_scratch(report):
        return f"{name} from scratch"
    return f"{name} grafted onto {report['run']['base']['model'].rstrip('/').rpartition('/')[2]}"


def adapted_model(report: Mapping[str, Any]) -> str | None:
    """The last model of the evaluation that is not the base."""
    models = [model for model in report.get("evaluation", {}).get("models", []) if model != BASE]
    return models[-1] if models else None


def verdict(against_base: Mapping[str, float] | None) -> str:
    """Better, worse or no difference: bits per byte fell, rose, or the interval of the difference contains 0."""
    if against_base is None:
        return ""
    if against_base["low"] <= 0 <= against_base["high"]:
        return "no difference"
    return "better" if against_base["difference"] < 0 else "worse"


def bits_row(report: Mapping[str, Any], model: str | None, stream: str) -> Mapping[str, Any] | None:
    """The bits per byte of a model over all sources of a stream."""
    rows = report.get("evaluation", {}).get("bits", [])
    wanted = (model, stream, "all")
    return next((row for row in rows if (row["model"], row["stream"], row["source"]) == wanted), None)


def bits_change(report: Mapping[str, Any], stream: str) -> Change | None:
    """Bits per byte of held-out text; None unless base and adapted model were both measured."""
    base, adapted = bits_row(report, BASE, stream), bits_row(report, adapted_model(report), stream)
    if base is None or adapted is None:
        return None
    against = adapted["against_base"]
    difference = ""
    if against is not None:
        difference = f"{fmt.signed(against['difference'])} {fmt.signed_interval(against['low'], against['high'])}"
        if verdict(against) != "no difference":
            difference += f", {fmt.signed_percent(against['relative'])}"
    return Change(
        label=f"Held-out {language(report, stream)['name']}",
        unit="bits per byte",
        base=fmt.decimal(base["bits_per_byte"]),
        adapted=fmt.decimal(adapted["bits_per_byte"]),
        difference=difference,
        base_interval=fmt.interval(base["low"], base["high"]),
        adapted_interval=fmt.interval(adapted["low"], adapted["high"]),
        verdict=verdict(against),
        kept=stream == "replay",
    )


def fertility_change(report: Mapping[str, Any]) -> Change | None:
    """Bytes of target text per token, as evaluated, or else as measured when the tokenizer was made."""
    rows = {row["model"]: row for row in report.get("evaluation", {}).get("fertility", []) if row["stream"] == "target"}
    base, adapted = rows.get(BASE), rows.get(adapted_model(report))
    if (base is None or adapted is None) and not from_scratch(report):
        measured = report.get("tokenizer", {}).get("fertility", {}).get("target", {})
        base, adapted = measured.get("old"), measured.get("new")
    label = f"{language(report, 'target')['name']} text in a token"
    return _ratio(label, "bytes per token", base, adapted, "bytes_per_token", 2)


def speed_change(report: Mapping[str, Any]) -> Change | None:
    """Characters of text that a model writes in a second."""
    rows = {row["model"]: row for row in report.get("evaluation", {}).get("speed", [])}
    base, adapted = rows.get(BASE), rows.get(adapted_model(report))
    label = f"{language(report, 'target')['name']} text written"
    return _ratio(label, "characters per second", base, adapted, "characters_per_second", 0)


def changes(report: Mapping[str, Any]) -> list[Change]:
    """Everything the headline can show, most important first."""
    found = [bits_change(report, "target"), bits_change(report, "replay"), fertility_change(report)]
    return [change for change in (*found, speed_change(report)) if change is not None]


def sentence(report: Mapping[str, Any]) -> str:
    """What came of it in plain words; empty where nothing was evaluated."""
    told = []
    for stream in ("target", "replay"):
        row = bits_row(report, adapted_model(report), stream)
        if row is None:
            continue
        name, against = language(report, stream)["name"], row["against_base"]
        if against is None:
            told.append(f"Held-out {name} takes {fmt.decimal(row['bits_per_byte'])} bits per byte.")
        elif verdict(against) == "no difference":
            told.append(f"{name} shows no difference.")
        else:
            improved = against["difference"] < 0
            change, direction = ("improved", "fewer") if improved else ("got worse", "more")
            share = fmt.percent(abs(against["relative"]))
            told.append(f"{name} {change}: held-out text takes {share} {direction} bits per byte than under the base.")
    return " ".join(told)


def _ratio(
    label: str, unit: str, base: Mapping[str, Any] | None, adapted: Mapping[str, Any] | None, key: str, digits: int
) -> Change | None:
    if base is None or adapted is None:
        return None
    old, new = base[key], adapted[key]
    change = fmt.signed_percent(new / old - 1)
    return Change(label, unit, fmt.decimal(old, digits), fmt.decimal(new, digits), change, fell=new < old)

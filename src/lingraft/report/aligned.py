"""What fine-tuning and preferences changed, in a sentence and a few figures at the top of the page."""

from collections.abc import Mapping
from typing import Any

from . import format as fmt
from . import tuning
from .answers import in_language
from .forest import PERCENT, before_and_after, share
from .headline import Change, language


def changes(report: Mapping[str, Any]) -> list[Change]:
    """The language of the answers, held-out answers and held-out preferences, each where it was measured."""
    found = [_answers_in_language(report), _held_out_answers(report), _preferences(report)]
    return [change for change in found if change is not None]


def sentence(report: Mapping[str, Any]) -> str:
    """The language of the answers and the accuracy on preferences in plain words; empty where neither was measured."""
    clauses = []
    if rows := in_language(report):
        first, last = rows
        clauses.append(
            f"Of {fmt.count(last['items'])} prompts {first['model']} answers {fmt.percent(first['value'], 0)} in "
            f"{language(report, 'target')['name']}, {last['model']} {share(last)}."
        )
    if found := _last_preferences(report):
        name, held_out = found
        clauses.append(
            f"On {fmt.count(held_out['pairs'])} held-out {name} preferences the chosen answer is preferred in "
            f"{share(held_out['accuracy']['after'])}, where chance is 50%."
        )
    return " ".join(clauses)


def _answers_in_language(report: Mapping[str, Any]) -> Change | None:
    rows = in_language(report)
    if rows is None:
        return None
    first, last = rows
    against, difference = last["against"] or {}, ""
    if against:
        gap, low, high = (PERCENT * against[end] for end in ("difference", "low", "high"))
        difference = f"{fmt.signed(gap, 0)} {fmt.signed_interval(low, high, 0)}"
    return Change(
        f"Answers in {language(report, 'target')['name']}",
        f"% of {fmt.count(last['items'])} prompts, {first['model']} → {last['model']}",
        fmt.decimal(PERCENT * first["value"], 0),
        fmt.decimal(PERCENT * last["value"], 0),
        difference,
        *(fmt.interval(PERCENT * one["low"], PERCENT * one["high"], 0) for one in rows),
        against.get("verdict") or "",
    )


def _held_out_answers(report: Mapping[str, Any]) -> Change | None:
    for training in reversed(tuning.trainings(report, "sft")):
        for _, name, found in tuning.streams(report, training, "held_out")[:1]:
            label = f"Held-out {name} answers"
            return _change(label, f"bits per byte, by {training['name']}", found, 3, lower_is_better=True)
    return None


def _preferences(report: Mapping[str, Any]) -> Change | None:
    for training in reversed(tuning.trainings(report, "dpo")):
        for _, name, found in tuning.streams(report, training, "held_out")[:1]:
            unit = f"% of {fmt.count(found['pairs'])} pairs, by {training['name']}"
            label = f"Held-out {name} preferences"
            return _change(label, unit, found["accuracy"], 0, lower_is_better=False, factor=PERCENT)
    return None


def _last_preferences(report: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]] | None:
    for training in reversed(tuning.trainings(report, "dpo")):
        for _, name, found in tuning.streams(report, training, "held_out"):
            return name, found
    return None


def _change(
    label: str, unit: str, found: Mapping[str, Any], digits: int, *, lower_is_better: bool, factor: float = 1.0
) -> Change:
    before, after = before_and_after(found, lower_is_better=lower_is_better, digits=digits, factor=factor)
    return Change(
        label,
        unit,
        fmt.decimal(before.value, digits),
        fmt.decimal(after.value, digits),
        after.beside,
        fmt.interval(before.low, before.high, digits),
        fmt.interval(after.low, after.high, digits),
        after.verdict,
    )

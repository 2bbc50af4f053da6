"""What was gained, what was lost and what it cost: the three cards with which the page begins."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from . import aligned, headline, tables, tasks
from . import format as fmt
from .analysis import forgetting
from .headline import BASE, Change

FEW = 3
"""Tasks that are named; more are counted."""


@dataclass(frozen=True)
class Card:
    """One side of the balance."""

    title: str
    sign: str
    changes: list[Change]
    told: list[str]
    """Sentences under the figures."""


def balance(report: Mapping[str, Any]) -> list[Card]:
    """Gains and losses; empty where nothing was compared with the base.

    A loss is what got worse. What shows no difference stands where it was looked for: the language of the base among
    the losses, everything else among the gains.
    """
    found = [*headline.changes(report), *aligned.changes(report)]
    if not found:
        return []
    lost = [change for change in found if _is_worse(change) or (change.kept and change.verdict == "no difference")]
    gained = [change for change in found if change not in lost]
    better, worse = _tasks(report)
    told = []
    if headline.bits_change(report, "replay") is None:
        told.append(f"What became of {_kept_language(report)} was not measured.")
    elif not worse and not any(map(_is_worse, lost)) and not forgetting.forgotten(report):
        told.append("Nothing that was measured got worse.")
    return [Card("Gained", "+", gained, better), Card("Lost", "−", lost, [*worse, *told])]


def costs(report: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """What the run took, each with what stands under it: time, text, memory, energy, and how the model grew."""
    run, trainings = report["run"], report.get("training", [])
    found = []
    if run.get("seconds"):
        found.append(("Time", fmt.duration(run["seconds"]), _machine(report)))
    if trainings:
        figures = [training["figures"] for training in trainings]
        read = fmt.size(sum(one["bytes"] for one in figures))
        each = [f"{training['name']} {fmt.size(training['figures']['bytes'])}" for training in trainings]
        found.append(("Text trained on", read, " · ".join(each) if len(each) > 1 else _shares(report, trainings[0])))
        memory = [tables.peak_memory(report, training) for training in trainings]
        if None not in memory:
            found.append(("Memory", fmt.size(max(memory)), "at most, in a training"))
        found.append(("Energy of training", *_energy(figures)))
        before, after = run["base"].get("parameters"), figures[-1]["parameters"]
        if before and before != after and not headline.from_scratch(report):
            larger = f"{fmt.signed_percent(after / before - 1)} parameters"
            found.append(("Size of the model", f"{fmt.amount(before)} → {fmt.amount(after)}", larger))
    return found


def _kept_language(report: Mapping[str, Any]) -> str:
    return headline.language(report, "replay")["name"] if report["run"].get("replay") else "the language of the base"


def _is_worse(change: Change) -> bool:
    return change.verdict == "worse" or change.fell


def _tasks(report: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    """A sentence on the tasks that got better, and one on those that got worse; none where there is no base."""
    if report.get("evaluation", {}).get("models", [])[:1] != [BASE]:
        return [], []
    rows = [
        row for scale in tasks.scales(report) for task in scale.tasks for row in task.rows if row["role"] == "adapted"
    ]
    compared = [row for row in rows if row["against"]]
    sentences = []
    for verdict in ("better", "worse"):
        names = [row["title"] for row in compared if row["against"]["verdict"] == verdict]
        named = ", ".join(names[:FEW]) + (" and others" if len(names) > FEW else "")
        of = f"{fmt.count(len(names))} of {fmt.count(len(compared))} tasks"
        sentences.append([f"{verdict.capitalize()} in {of}: {named}."] if names else [])
    return sentences[0], sentences[1]


def _machine(report: Mapping[str, Any]) -> str:
    """The machine of the step that took the longest."""
    longest = max(report["steps"], key=lambda step: step.get("seconds") or 0)
    machine = longest.get("machine") or {}
    gpus = machine.get("gpu") or []
    gpus = [gpus] if isinstance(gpus, str) else gpus
    if gpus:
        return f"on {len(gpus)} × {gpus[0]}" if len(gpus) > 1 else f"on {gpus[0]}"
    cores = f", {machine['cores']} cores" if machine.get("cores") else ""
    return f"on {machine['cpu']}{cores}" if machine.get("cpu") else ""


def _shares(report: Mapping[str, Any], training: Mapping[str, Any]) -> str:
    mix = training["figures"].get("realized_mix") or {}
    parts = (f"{fmt.percent(share)} {headline.language(report, stream)['name']}" for stream, share in mix.items())
    return ", ".join(parts)


def _energy(figures: list[Mapping[str, Any]]) -> tuple[str, str]:
    counted = [one["energy"] for one in figures if one.get("energy")]
    if len(counted) < len(figures):
        return "not counted", ""
    sums = {key: sum(one[key] for one in counted) for key in ("kg_co2", "cost") if _all_have(counted, key)}
    told = [f"{fmt.mass(sums['kg_co2'])} CO₂"] if "kg_co2" in sums else []
    told += [f"cost {fmt.decimal(sums['cost'], 2)}"] if "cost" in sums else []
    return fmt.energy(sum(one["kwh"] for one in counted)), " · ".join(told)


def _all_have(figures: list[Mapping[str, Any]], key: str) -> bool:
    return all(one.get(key) is not None for one in figures)

"""What the page shows of people's votes; `found` is one of `judgements`."""

from collections.abc import Mapping
from typing import Any

from . import format as fmt
from .forest import share, with_interval

LEVEL = 0.05


def warnings(figures: Mapping[str, Any]) -> list[str]:
    """Attention checks that were failed, and a preference for a side."""
    people, told = figures.get("people") or {}, []
    attention, place = people.get("attention") or {}, people.get("position")
    if attention.get("num_failed"):
        told.append(
            f"People failed {fmt.count(attention['num_failed'])} of {fmt.count(attention['num_checks'])} "
            "attention checks."
        )
    if place and place["p"] < LEVEL:
        told.append(f"People chose the left answer in {share(place['left_share'])} of their votes for one side.")
    return told


def pairs(figures: Mapping[str, Any]) -> list[dict[str, Any]]:
    """People's comparisons, turned so that the first model is the one that is compared with."""
    turned = []
    places = {model: place for place, model in enumerate(figures["models"])}
    for found in (figures.get("people") or {}).get("pairs", []):
        (model, against), rate, wins = found["models"], found["win_rate"], found["wins"]
        if places.get(model, len(places)) < places.get(against, len(places)):
            model, against, wins = against, model, wins[::-1]
            rate = {end: 1 - rate[other] for end, other in (("value", "value"), ("low", "high"), ("high", "low"))}
        ties = found["ties"] + found["both_bad"]
        turned.append(
            {**found, "model": model, "against": against, "win_rate": rate}
            | {"wins": wins[0], "losses": wins[1], "ties": ties}
        )
    return turned


def told(found: Mapping[str, Any]) -> str:
    """How many voted, on what, how fast and how carefully; empty where nobody did."""
    figures = found["figures"].get("people")
    if not figures:
        return ""
    annotators, attention, place = figures["annotators"], figures["attention"], figures.get("position")
    seconds = sorted(one["median_seconds"] for one in annotators)
    asked = f"{fmt.count(figures['num_votes'])} votes of {fmt.count(len(annotators))} people"
    said = [f"{asked} on {fmt.count(figures['num_items'])} prompts"]
    if seconds:
        said.append(f"medians of {fmt.duration(seconds[0])} to {fmt.duration(seconds[-1])} a vote")
    if attention["num_checks"]:
        checks = f"{fmt.count(attention['num_failed'])} of {fmt.count(attention['num_checks'])}"
        said.append(f"{checks} attention checks failed")
    if place and place["left_share"]["value"] is not None:
        said.append(f"the left answer was chosen in {share(place['left_share'])} of votes for one side")
    return "; ".join(said) + "."


def ratings(found: Mapping[str, Any]) -> list[tuple[str, int, list[tuple[str, str]]]]:
    """By model: its votes, and people's mean of each axis with its interval; harmlessness is the last."""
    by_model = (found["figures"].get("people") or {}).get("ratings", {})
    return [
        (
            model,
            said["num_votes"],
            [(axis, with_interval(mean)) for axis, mean in said.items() if isinstance(mean, Mapping)],
        )
        for model, said in by_model.items()
    ]

"""What the page shows of what judges and people said of answers; `found` is one entry of `judgements`."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from . import answers, people
from . import format as fmt
from .forest import PERCENT, Forest, Group, Row, forest, row, share, with_interval

RELIABILITY = (
    ("The same in both orders", "higher is better"),
    ("Beyond a judge that does not look", "0 for such a judge, 1 at best"),
    ("The answer shown first is chosen", "50% without a preference"),
    ("The longer answer wins", "a better model may write more"),
)
"""What is told of a judge, and what it would be of one to be believed."""
LEAST_P = 0.0005
MAJORITY, PEOPLE = "most of the judges", "people"


@dataclass(frozen=True)
class Reliability:
    """What a judge's verdicts on a pair of models are worth."""

    judge: str
    pair: str
    cells: tuple[tuple[str, str], ...]
    """A share with its interval and of how many, one for each of RELIABILITY."""
    told: str
    """What was not judged."""


@dataclass(frozen=True)
class Agreement:
    """How far those who judged agree on one thing."""

    what: str
    items: int
    two: list[tuple[str, str]]
    """Each two of them, by Cohen's kappa."""
    fleiss: str
    krippendorff: str


def warnings(report: Mapping[str, Any]) -> list[str]:
    """Judges not to be believed, models that answer in another language or do not stop, and what is missing."""
    told = []
    for found in report.get("judgements", []):
        figures = found["figures"]
        told += answers.warnings(report, figures)
        told += figures.get("warnings", [])
        told += [f"{one['suite']} is missing: {one['why']}" for one in figures.get("missing", [])]
        told += people.warnings(figures)
    return told


def scores(found: Mapping[str, Any]) -> dict[str, list[answers.Figure]]:
    """Of every judge, the axes; harmlessness apart."""
    by_judge = found["figures"].get("axes", {}).get("judges", {})
    return {judge: answers.figures(of_judge["rows"]) for judge, of_judge in by_judge.items() if of_judge["rows"]}


def prompts_scored(found: Mapping[str, Any], judge: str) -> int:
    """To how many prompts every model's answer has this judge's scores."""
    return found["figures"]["axes"]["judges"][judge]["prompts"]


def comparisons(found: Mapping[str, Any]) -> Forest | None:
    """For every pair of models each judge, what most of several judges say, and people."""
    figures = found["figures"]
    groups: dict[tuple[str, str], list[Row]] = {}
    facts: dict[tuple[str, str], list[str]] = {}
    for of_pair in figures.get("pairwise", []):
        pair = (of_pair["model"], of_pair["against"])
        by_judge = of_pair["judges"]
        groups[pair] = [_row(judge, "between", said) for judge, said in by_judge.items()]
        facts[pair] = [f"{fmt.count(max(said['pairs'] for said in by_judge.values()))} prompts"]
        if "majority" in of_pair:
            groups[pair].append(_row(MAJORITY, "adapted", of_pair["majority"]))
    for of_pair in people.pairs(figures):
        pair = (of_pair["model"], of_pair["against"])
        groups.setdefault(pair, []).append(_row(PEOPLE, "adapted", of_pair))
        told = f"{fmt.count(of_pair['num_votes'])} votes of people on {fmt.count(of_pair['num_items'])}"
        facts.setdefault(pair, []).append(told)
    return forest(
        "Win rates",
        "% of prompts won, a tie being half; the dashed line is as many won as lost",
        ("Models", "Says", "Win rate, %", "Counts"),
        [
            Group(f"{model} against {against}", tuple(facts[model, against]), "", tuple(rows))
            for (model, against), rows in groups.items()
        ],
        digits=0,
        chance=PERCENT / 2,
    )


def reliability(found: Mapping[str, Any]) -> list[Reliability]:
    """How far each judge looks at the answers rather than at their place and length."""
    rows = []
    for of_pair in found["figures"].get("pairwise", []):
        for judge, said in of_pair["judges"].items():
            same, place, longer = said["consistency"], said["position"], said["length"]["longer_wins"]
            left_out = [
                *([f"{fmt.count(said['alike'])} with the same answer of both, a tie"] if said["alike"] else []),
                *([f"{fmt.count(said['failed'])} without a readable verdict"] if said["failed"] else []),
            ]
            cells = (
                _share_of(same["share"], same["pairs"], "pairs"),
                (with_interval(same["beyond_chance"]), ""),
                _share_of(place["first_share"], place["first"] + place["second"], "verdicts"),
                _share_of(longer["win_rate"], longer["pairs"], "pairs"),
            )
            rows.append(
                Reliability(judge, f"{of_pair['model']} against {of_pair['against']}", cells, "; ".join(left_out))
            )
    return rows


def doubts(found: Mapping[str, Any]) -> list[str]:
    """What the judges' own figures say against believing them."""
    figures = found["figures"]
    of_pairs = [
        f"{of_pair['model']} against {of_pair['against']}: {told}"
        for of_pair in figures.get("pairwise", [])
        for said in of_pair["judges"].values()
        for told in said["warnings"]
    ]
    of_axes = figures.get("axes", {}).get("judges", {}).values()
    return of_pairs + [told for said in of_axes for told in said["warnings"]]


def agreement(found: Mapping[str, Any]) -> list[Agreement]:
    """How far judges agree on pairs and on each axis, with people, and people with each other."""
    figures, told = found["figures"], []
    for of_pair in figures.get("pairwise", []):
        pair = f"{of_pair['model']} against {of_pair['against']}"
        if "agreement" in of_pair:
            told.append(_agreement(pair, of_pair["agreement"]))
        for judge, said in of_pair.get("with_people", {}).get("judges", {}).items():
            two = [(f"{judge}, {PEOPLE}", with_interval(said["kappa"]))]
            told.append(Agreement(pair, said["pairs"], two, "", ""))
    for axis, of_axis in (figures.get("axes", {}).get("agreement") or {}).items():
        told.append(_agreement(axis, of_axis))
    for axis, by_judge in figures.get("axes", {}).get("with_people", {}).items():
        for judge, said in by_judge.items():
            told.append(
                Agreement(axis, said["answers"], [(f"{judge}, {PEOPLE}", with_interval(said["kappa"]))], "", "")
            )
    alphas = (figures.get("people") or {}).get("agreement") or {}
    for axis, of_people in ({"comparisons": alphas} if "krippendorff_alpha" in alphas else alphas).items():
        alpha = with_interval(of_people["krippendorff_alpha"])
        told.append(Agreement(f"{axis}, {PEOPLE} alone", of_people["num_questions"], [], "", alpha))
    return told


def spent(found: Mapping[str, Any]) -> list[str]:
    """What each judge was asked, and what that cost."""
    told = []
    for judge, of_judge in found["figures"].get("spent", {}).items():
        asked = f"{judge} was asked {fmt.count(of_judge['requests'])} questions"
        read, written = (fmt.amount(of_judge[key]) for key in ("tokens_read", "tokens_written"))
        price = of_judge.get("price")
        cost = "" if price is None else f", which cost {fmt.decimal(price, 2)}"
        told.append(f"{asked}, {read} tokens read and {written} written{cost}.")
    return told


def _agreement(what: str, found: Mapping[str, Any]) -> Agreement:
    two = [(judges, with_interval(value)) for judges, value in found["cohen"].items()]
    return Agreement(what, found["items"], two, with_interval(found["fleiss"]), with_interval(found["krippendorff"]))


def _share_of(found: Mapping[str, float | None], number: int, unit: str) -> tuple[str, str]:
    return ("none", "") if found["value"] is None else (share(found), f"of {fmt.count(number)} {unit}")


def _row(who: str, role: str, said: Mapping[str, Any]) -> Row:
    beside = ", ".join(
        f"{fmt.count(said[key])} {word}" for key, word in (("wins", "won"), ("ties", "tied"), ("losses", "lost"))
    )
    low, high, verdict = said["win_rate"]["low"], said["win_rate"]["high"], ""
    if low is not None:
        is_apart = said["p"] < people.LEVEL if "p" in said else not low <= 0.5 <= high
        verdict = ("better" if said["win_rate"]["value"] > 0.5 else "worse") if is_apart else "no difference"
    told = "" if "p" not in said else "p < 0.001" if said["p"] < LEAST_P else f"p {fmt.decimal(said['p'])}"
    return row(who, role, said["win_rate"], PERCENT, beside=beside, verdict=verdict, told=told)

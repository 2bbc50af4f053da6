"""What the page shows of what judges and people said of answers; `found` is one entry of `judgements`."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from . import answers, people
from . import format as fmt
from .forest import PERCENT, Forest, Group, Row, forest, row, share, with_interval

MAJORITY, PEOPLE = "most of the judges", "people"


@dataclass(frozen=True)
class Reliability:
    """What a judge's verdicts on a pair of models are worth."""

    judge: str
    pair: str
    facts: list[tuple[str, str, str]]
    """What, how much, and what it would be of a judge to be believed."""
    warnings: list[str]


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
    told = []
    for of_pair in found["figures"].get("pairwise", []):
        for judge, said in of_pair["judges"].items():
            same, place, length = said["consistency"], said["position"], said["length"]
            facts = [
                ("the same in both orders", _share_of(same["share"], same["pairs"], "pairs"), "higher is better"),
                (
                    "beyond a judge that does not look",
                    with_interval(same["beyond_chance"]),
                    "0 for such a judge, 1 at best",
                ),
                (
                    "the answer shown first is chosen",
                    _share_of(place["first_share"], place["first"] + place["second"], "verdicts"),
                    "50% without a preference",
                ),
                (
                    "the longer answer wins",
                    _share_of(length["longer_wins"]["win_rate"], length["longer_wins"]["pairs"], "pairs"),
                    "a better model may write more",
                ),
            ]
            if said["alike"]:
                facts.append(("the same answer of both", fmt.count(said["alike"]), "a tie, not asked about"))
            if said["failed"]:
                facts.append(("without a readable verdict", fmt.count(said["failed"]), ", ".join(said["failures"])))
            told.append(Reliability(judge, f"{of_pair['model']} against {of_pair['against']}", facts, said["warnings"]))
    return told


def agreement(found: Mapping[str, Any]) -> list[tuple[str, str, str, int]]:
    """Of what, between whom and by which coefficient, how far they agree, and on how many items."""
    figures, told = found["figures"], []
    for of_pair in figures.get("pairwise", []):
        pair = f"{of_pair['model']} against {of_pair['against']}"
        if "agreement" in of_pair:
            told += _coefficients(pair, of_pair["agreement"])
        for judge, said in of_pair.get("with_people", {}).get("judges", {}).items():
            told.append((pair, f"{judge}, {PEOPLE}: Cohen’s kappa", with_interval(said["kappa"]), said["pairs"]))
    for axis, of_axis in (figures.get("axes", {}).get("agreement") or {}).items():
        told += _coefficients(axis, of_axis)
    alphas = (figures.get("people") or {}).get("agreement") or {}
    for axis, of_people in ({"comparisons": alphas} if "krippendorff_alpha" in alphas else alphas).items():
        alpha = of_people["krippendorff_alpha"]
        told.append((axis, f"{PEOPLE}: Krippendorff’s alpha", with_interval(alpha), of_people["num_questions"]))
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


def _coefficients(what: str, found: Mapping[str, Any]) -> list[tuple[str, str, str, int]]:
    names = {f"{judges}: Cohen’s kappa": value for judges, value in found["cohen"].items()}
    names |= {"all: Fleiss’ kappa": found["fleiss"], "all: Krippendorff’s alpha": found["krippendorff"]}
    return [(what, name, with_interval(value), found["items"]) for name, value in names.items()]


def _share_of(found: Mapping[str, float | None], number: int, unit: str) -> str:
    return "none" if found["value"] is None else f"{share(found)} of {fmt.count(number)} {unit}"


def _row(who: str, role: str, said: Mapping[str, Any]) -> Row:
    beside = ", ".join(
        f"{fmt.count(said[key])} {word}" for key, word in (("wins", "won"), ("ties", "tied"), ("losses", "lost"))
    )
    low, high, verdict = said["win_rate"]["low"], said["win_rate"]["high"], ""
    if low is not None:
        is_apart = said["p"] < people.LEVEL if "p" in said else not low <= 0.5 <= high
        verdict = ("better" if said["win_rate"]["value"] > 0.5 else "worse") if is_apart else "no difference"
    told = f"p {fmt.decimal(said['p'])}" if "p" in said else ""
    return row(who, role, said["win_rate"], PERCENT, beside=beside, verdict=verdict, told=told)

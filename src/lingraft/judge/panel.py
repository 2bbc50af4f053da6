"""Several judges: how far they agree with each other and with people, and what most of them say."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import fmean, median_low
from typing import Any

from lingraft.core.errors import InputError

from . import agreement
from .axes import Scored
from .human.votes import Vote
from .pairwise import LOSS, WIN, Compared
from .questions import AXES, BEST
from .win_rate import outcomes, plain, rate

OUTCOMES = (LOSS, "tie", WIN)
"""From the worst for a model to the best, as ordinal agreement takes them."""


@dataclass(frozen=True)
class Votes:
    """What people said, by item."""

    pairs: dict[str, list[tuple[frozenset[str], str | None]]]
    """The two models that a person was shown, and the one preferred; None is neither."""
    ratings: dict[str, dict[str, list[dict[str, int]]]]
    """By model, each person's scores on the axes."""


def majority(said: Sequence[str | None]) -> str | None:
    """What more than any other outcome was said; a tie where two outcomes have as many, None where nothing was said."""
    counts = Counter(one for one in said if one is not None).most_common()
    if not counts:
        return None
    return "tie" if len(counts) > 1 and counts[0][1] == counts[1][1] else counts[0][0]


def of_outcomes(by_judge: Mapping[str, Sequence[Compared]], *, seed: int) -> dict[str, Any]:
    """Agreement of judges on the outcomes of pairs, alike ones aside, and the figures of their majority."""
    rated = {judge: [None if one.alike else one.outcome for one in compared] for judge, compared in by_judge.items()}
    of_all = [majority([one.outcome for one in pair]) for pair in zip(*by_judge.values(), strict=True)]
    places = {outcome: place for place, outcome in enumerate(OUTCOMES)}
    numbers = {judge: [None if one is None else places[one] for one in said] for judge, said in rated.items()}
    return {"majority": outcomes(of_all, seed=seed), "agreement": _agreement(numbers, len(OUTCOMES), None, seed)}


def of_scores(by_judge: Mapping[str, Sequence[Scored]], models: Sequence[str], *, seed: int) -> dict[str, Any]:
    """Agreement of judges on each axis, over all answers; the kappas of two are weighted quadratically."""
    found = {}
    for axis in AXES:
        numbers = {
            judge: [one.scores.get(model, {}).get(axis) for one in scored for model in models]
            for judge, scored in by_judge.items()
        }
        found[axis] = _agreement(numbers, 4, "quadratic", seed)
    return found


def of_answers(cast: Sequence[Vote], items: Collection[str], models: Collection[str]) -> tuple[list[Vote], list[str]]:
    """The votes on these items and models, and what is to be told of the others.

    Raises InputError where there is none.
    """
    of_these = [vote for vote in cast if vote.item in items and {*vote.shown} - {None} <= {*models}]
    if all(vote.planted is not None for vote in of_these):
        raise InputError(
            f"none of {len(cast):,} votes is on the answers of this step.",
            where="votes",
            remedy="Have people vote on its answers.jsonl: ids of items and names of models have to be the same.",
        )
    others = len(cast) - len(of_these)
    told = f"{others:,} of {len(cast):,} votes are on other items or models, and are left out."
    return of_these, [told] if others else []


def of_people(cast: Iterable[Vote]) -> Votes:
    """What people said, by item; attention checks are left out."""
    found = Votes({}, {})
    for vote in cast:
        if vote.planted is not None:
            continue
        if isinstance(vote.choice, dict):
            found.ratings.setdefault(vote.item, {}).setdefault(vote.shown[0], []).append(vote.choice)
        else:
            found.pairs.setdefault(vote.item, []).append((frozenset(vote.shown), vote.better))
    return found


def with_people(
    by_judge: Mapping[str, Sequence[Compared]], model: str, against: str, votes: Votes, *, seed: int
) -> dict[str, Any]:
    """How far each judge agrees with what most people said of a pair, on the pairs that people were shown."""
    pair = frozenset((model, against))
    ids = [one.id for one in next(iter(by_judge.values()))]
    of_pair = [[better for shown, better in votes.pairs.get(item, ()) if shown == pair] for item in ids]
    people = [majority([_outcome(better, model) for better in said]) for said in of_pair]
    judges = {}
    for judge, compared in by_judge.items():
        both = [
            (said, one.outcome) for said, one in zip(people, compared, strict=True) if None not in (said, one.outcome)
        ]
        kappa = agreement.cohen([said for said, _ in both], [judged for _, judged in both])
        same = [float(said == judged) for said, judged in both]
        judges[judge] = {"pairs": len(both), "same": rate(same, seed=seed), "kappa": plain(kappa.interval(seed))}
    told = sum(one is not None for one in people)
    return {"pairs": told, "people": outcomes(people, seed=seed), "judges": judges}


def scores_with_people(by_judge: Mapping[str, Sequence[Scored]], votes: Votes, *, seed: int) -> dict[str, Any]:
    """How far each judge's scores agree with the median of people's, axis by axis, and how much higher they are."""
    found: dict[str, Any] = {}
    for axis in AXES:
        found[axis] = {}
        for judge, scored in by_judge.items():
            both = [
                (one.scores[model][axis], [rating[axis] for rating in ratings])
                for one in scored
                for model, ratings in votes.ratings.get(one.id, {}).items()
                if model in one.scores
            ]
            medians = [median_low(people) for _, people in both]
            kappa = agreement.cohen([said for said, _ in both], medians, weights="quadratic")
            higher = rate([said - fmean(people) for said, people in both], seed=seed, least=-BEST, most=BEST)
            found[axis][judge] = {"answers": len(both), "kappa": plain(kappa.interval(seed)), "higher": higher}
    return found


def _outcome(better: str | None, model: str) -> str:
    if better is None:
        return "tie"
    return WIN if better == model else LOSS


def _agreement(
    numbers: Mapping[str, Sequence[int | None]], categories: int, weights: agreement.Weights | None, seed: int
) -> dict[str, Any]:
    whole = [unit for unit in zip(*numbers.values(), strict=True) if None not in unit]
    pairs = {
        f"{first}, {second}": agreement.cohen(numbers[first], numbers[second], weights=weights)
        for first, second in combinations(numbers, 2)
    }
    fleiss = agreement.fleiss([[unit.count(place) for place in range(categories)] for unit in whole])
    alpha = agreement.krippendorff(list(numbers.values()), "ordinal")
    return {
        "items": len(whole),
        "cohen": {names: plain(kappa.interval(seed)) for names, kappa in pairs.items()},
        "weights": weights,
        "fleiss": plain(fleiss.interval(seed)),
        "krippendorff": plain(alpha.interval(seed)),
        "level": "ordinal",
    }

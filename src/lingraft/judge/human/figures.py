"""What the votes of people say, with how sure it is: win rates, ratings, agreement, and how carefully was voted.

Planted questions count as attention checks alone.
"""

import itertools
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Sequence
from statistics import fmean, median
from typing import Any

from lingraft.evaluate.metrics import ratio
from lingraft.evaluate.statistics import estimate, exact_share, sign_test
from lingraft.judge.agreement import Level, krippendorff
from lingraft.judge.axes import AVERAGED
from lingraft.judge.questions import AXES
from lingraft.judge.win_rate import plain

from .votes import BOTH_BAD, LEFT, RIGHT, TIE, Vote


def figures(votes: Sequence[Vote], *, seed: int = 0) -> dict[str, Any]:
    """Everything that is said of a set of votes, as JSON holds it; intervals come from resampling items."""
    real = [vote for vote in votes if vote.planted is None]
    compared = [vote for vote in real if isinstance(vote.choice, str)]
    rated = [vote for vote in real if isinstance(vote.choice, dict)]
    found: dict[str, Any] = {
        "num_votes": len(real),
        "num_items": len({vote.item for vote in real}),
        "annotators": _annotators(votes),
        "attention": _attention(votes),
    }
    if compared:
        found["pairs"] = _pairs(compared, seed)
        found["position"] = _position(compared)
        found["agreement"] = _agreement(compared, lambda vote: vote.better or vote.choice, "nominal", seed)
    if rated:
        found["ratings"] = _ratings(rated, seed)
        found["agreement"] = {
            axis: _agreement(rated, lambda vote, axis=axis: vote.choice[axis], "ordinal", seed) for axis in AXES
        }
    return found


def _pairs(votes: Sequence[Vote], seed: int) -> list[dict[str, Any]]:
    """How often the first model of each pair wins over the second; a tie, good or bad, is half a win."""
    by_pair: dict[tuple[str, str], list[Vote]] = defaultdict(list)
    for vote in votes:
        by_pair[tuple(sorted(vote.shown))].append(vote)
    rows = []
    for (first, second), those in sorted(by_pair.items()):
        points = [1.0 if vote.better == first else 0.0 if vote.better == second else 0.5 for vote in those]
        rows.append(
            {
                "models": [first, second],
                "num_votes": len(those),
                "num_items": len({vote.item for vote in those}),
                "win_rate": _mean(points, those, seed),
                "wins": [sum(vote.better == model for vote in those) for model in (first, second)],
                "ties": sum(vote.choice == TIE for vote in those),
                "both_bad": sum(vote.choice == BOTH_BAD for vote in those),
            }
        )
    return rows


def _ratings(votes: Sequence[Vote], seed: int) -> dict[str, Any]:
    """The mean of each axis, and of all but harmlessness, for each model."""
    by_model: dict[str, list[Vote]] = defaultdict(list)
    for vote in votes:
        by_model[vote.shown[0]].append(vote)
    found = {}
    for model, those in sorted(by_model.items()):
        found[model] = {
            "num_votes": len(those),
            "mean": _mean([fmean(vote.choice[axis] for axis in AVERAGED) for vote in those], those, seed),
            **{axis: _mean([vote.choice[axis] for vote in those], those, seed) for axis in AXES},
        }
    return found


def _position(votes: Sequence[Vote]) -> dict[str, Any]:
    """Of the votes for one side, how many are for the left one.

    Sides are drawn by chance, so without a preference for one it is a half, whatever the answers are.
    """
    left, right = (sum(vote.choice == side for vote in votes) for side in (LEFT, RIGHT))
    share = exact_share(left, left + right)
    return {"left": left, "right": right, "left_share": plain(share), "p": sign_test(left, right)}


def _agreement(votes: Sequence[Vote], said: Callable[[Vote], Any], level: Level, seed: int) -> dict[str, Any]:
    """Krippendorff's alpha over all annotators, and of each two the share of questions on which they say the same."""
    questions = sorted({_question(vote) for vote in votes})
    by_annotator: dict[str, dict[Hashable, Any]] = defaultdict(dict)
    for vote in votes:
        by_annotator[vote.annotator][_question(vote)] = said(vote)
    alpha = krippendorff([[given.get(question) for question in questions] for given in by_annotator.values()], level)
    same = Counter()
    for first, second in itertools.combinations(by_annotator.values(), 2):
        both = first.keys() & second.keys()
        same.update(num=len(both), same=sum(first[question] == second[question] for question in both))
    return {
        "krippendorff_alpha": {**plain(alpha.interval(seed)), "value": alpha.value},
        "num_questions": alpha.units,
        "num_pairs": same["num"],
        "same_share": same["same"] / same["num"] if same["num"] else None,
    }


def _annotators(votes: Iterable[Vote]) -> list[dict[str, Any]]:
    by_annotator: dict[str, list[Vote]] = defaultdict(list)
    for vote in votes:
        by_annotator[vote.annotator].append(vote)
    return [
        {
            "annotator": name,
            "num_votes": sum(vote.planted is None for vote in those),
            "median_seconds": median(vote.seconds for vote in those),
            "num_changed": sum(bool(vote.earlier) for vote in those),
            "num_comments": sum(bool(vote.comment) for vote in those),
            "attention": _attention(those),
        }
        for name, those in by_annotator.items()
    ]


def _attention(votes: Iterable[Vote]) -> dict[str, int]:
    checks = [vote for vote in votes if vote.planted is not None]
    return {
        "num_checks": len(checks),
        "num_failed": sum(bool(vote.failed) for vote in checks),
        "num_both_bad": sum(vote.choice == BOTH_BAD for vote in checks),
    }


def _question(vote: Vote) -> tuple[str, ...]:
    return (vote.item, *sorted(vote.shown))


def _mean(values: Sequence[float], votes: Sequence[Vote], seed: int) -> dict[str, float | None]:
    counts = [(value, 1.0) for value in values]
    return plain(estimate(counts, ratio, seed=seed, groups=[vote.item for vote in votes]))

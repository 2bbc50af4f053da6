"""What the votes of people say, with how sure it is: win rates, ratings, agreement, and how carefully was voted.

Planted questions count as attention checks alone.
"""

import itertools
import json
import math
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from statistics import fmean, median
from typing import Any

from lingraft.evaluate.metrics import ratio
from lingraft.evaluate.statistics import Interval, estimate, exact_share, sign_test
from lingraft.judge.agreement import Coefficient, Level, krippendorff
from lingraft.judge.axes import AVERAGED
from lingraft.judge.questions import AXES, BEST
from lingraft.judge.win_rate import plain

from .votes import BOTH_BAD, LEFT, RIGHT, TIE, Vote


def figures(votes: Sequence[Vote], *, alike: Mapping[str, int] | None = None, seed: int = 0) -> dict[str, Any]:
    """`alike` (of `questions.alike`) are ties that nobody was asked about, one vote an item; in no agreement.

    Everything that is said of a set of votes, as JSON holds it; intervals come from resampling items.

    Items that are all alike leave nothing to resample: see `_mean` and `_with_interval`.
    """
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
        found["pairs"] = _pairs(compared, alike or {}, seed)
        found["position"] = _position(compared)
        found["agreement"] = _agreement(compared, lambda vote: vote.better or vote.choice, "nominal", seed)
    if rated:
        found["ratings"] = _ratings(rated, seed)
        found["agreement"] = {
            axis: _agreement(rated, lambda vote, axis=axis: vote.choice[axis], "ordinal", seed) for axis in AXES
        }
    return found


def _pairs(votes: Sequence[Vote], alike: Mapping[str, int], seed: int) -> list[dict[str, Any]]:
    """How often the first model of each pair wins over the second; a tie, good or bad, is half a win."""
    by_pair: dict[tuple[str, str], list[Vote]] = defaultdict(list)
    for vote in votes:
        by_pair[tuple(sorted(vote.shown))].append(vote)
    rows = []
    for (first, second), those in sorted(by_pair.items()):
        same = alike.get(json.dumps([first, second]), 0)
        points = [1.0 if vote.better == first else 0.0 if vote.better == second else 0.5 for vote in those]
        items = [f"item {vote.item}" for vote in those]
        rows.append(
            {
                "models": [first, second],
                "num_votes": len(those),
                "num_items": len({vote.item for vote in those}),
                "alike": same,
                "win_rate": _mean(points + [0.5] * same, items + [f"alike {n}" for n in range(same)], seed),
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
        items = [vote.item for vote in those]
        found[model] = {
            "num_votes": len(those),
            "mean": _mean([fmean(vote.choice[axis] for axis in AVERAGED) for vote in those], items, seed, (0, BEST)),
            **{axis: _mean([vote.choice[axis] for vote in those], items, seed, (0, BEST)) for axis in AXES},
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
    items = [item for item, *_ in questions if sum((item, *_) in given for given in by_annotator.values()) > 1]
    alpha = krippendorff([[given.get(question) for question in questions] for given in by_annotator.values()], level)
    same = Counter()
    for first, second in itertools.combinations(by_annotator.values(), 2):
        both = first.keys() & second.keys()
        same.update(num=len(both), same=sum(first[question] == second[question] for question in both))
    return {
        "krippendorff_alpha": _with_interval(alpha, items, seed),
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


def _with_interval(alpha: Coefficient, items: Sequence[str], seed: int) -> dict[str, float | None]:
    """Without ends where all items say the same: there is nothing to draw them from."""
    if alpha.value is None:
        return {"value": None, "low": None, "high": None}
    found = estimate(alpha.counts_ND, alpha.of_sums, seed=seed, groups=items)
    is_one = math.isclose(found.low, found.high, abs_tol=1e-12)
    return {**plain(found), "value": alpha.value, **({"low": None, "high": None} if is_one else {})}


def _mean(
    values: Sequence[float], items: Sequence[str], seed: int, scale: tuple[float, float] = (0.0, 1.0)
) -> dict[str, float | None]:
    """With an interval from resampling items; where these are all alike, an exact one.

    Then items that are not like them are a share of all whose exact upper end is known, and each of those has a mean at
    one of the ends of `scale` at worst. For a win rate of 0 or 1 that is the exact interval of a share.
    """
    found = estimate([(value, 1.0) for value in values], ratio, seed=seed, groups=items)
    if math.isclose(found.low, found.high, abs_tol=1e-12):
        others, (least, most) = exact_share(0, len(set(items))).high, scale
        low, high = (found.value + others * (end - found.value) for end in (least, most))
        found = Interval(found.value, low, high)
    return plain(found)

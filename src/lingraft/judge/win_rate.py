"""What the verdicts of a judge come to, and what they are worth: win rate, position bias, length bias."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from lingraft.evaluate import statistics
from lingraft.evaluate.metrics import ratio
from lingraft.evaluate.statistics import Interval

from . import pairwise
from .pairwise import LOSS, SCORES, WIN, Compared
from .questions import FIRST, SECOND, TIE

LEVEL = 0.05
LIKE_LENGTH = 0.8
"""Two answers are of like length when the shorter one has at least this share of the longer one's characters."""

_NOTHING = Interval(math.nan, math.nan, math.nan)


def figures(judge: str, compared: Sequence[Compared], *, seed: int) -> dict[str, Any]:
    """Everything that is told of a judge and two models, with warnings in plain sentences."""
    found = {
        **outcomes([one.outcome for one in compared], seed=seed),
        "pairs": len(compared),
        "alike": sum(one.alike for one in compared),
        "failed": sum(one.outcome is None for one in compared),
        "failures": pairwise.failures(compared),
        "consistency": consistency(compared, seed=seed),
        "position": position(compared),
        "length": length(compared, seed=seed),
    }
    return {**found, "warnings": warnings(judge, found)}


def outcomes(said: Sequence[str | None], *, seed: int) -> dict[str, Any]:
    """Wins, ties and losses of a model, and its win rate, in which a tie is half a win; None is left out.

    The test is of as many wins as losses: the exact sign test, which leaves ties out.
    """
    counts = Counter(said)
    return {
        "wins": counts[WIN],
        "ties": counts["tie"],
        "losses": counts[LOSS],
        "win_rate": rate([SCORES[one] for one in said if one is not None], seed=seed),
        "p": statistics.sign_test(counts[WIN], counts[LOSS]),
    }


def consistency(compared: Sequence[Compared], *, seed: int) -> dict[str, Any]:
    """How often both orders lead to the same outcome, and how far beyond what a judge that does not look would reach.

    Such a judge says `A`, `B` and `TIE` with the same chances whatever is shown, and so comes to the same outcome in
    2 P(A) P(B) + P(TIE)^2 of the pairs. `beyond_chance` is 0 for it, and 1 where both orders always agree.
    """
    both = [one for one in compared if one.is_read]
    counts = [
        [float(bool(one.consistent)), *(float(one.verdicts.count(said)) for said in (FIRST, SECOND, TIE))]
        for one in both
    ]
    found = statistics.estimate(counts, _beyond_chance, seed=seed) if both else _NOTHING
    share = rate([same for same, *_ in counts], seed=seed)
    if len({same for same, *_ in counts}) == 1:  # the exact ends of the share, for the verdicts that were given
        _, *verdicts = np.sum(counts, axis=0)
        ends = [[end * len(both), *verdicts] for end in (share["low"], share["high"])]
        found = Interval(found.value, *map(float, _beyond_chance(np.array(ends))))
    return {
        "pairs": len(both),
        "inconsistent": sum(not one.consistent for one in both),
        "share": share,
        "beyond_chance": plain(found),
    }


def _beyond_chance(sums_RD: np.ndarray) -> np.ndarray:
    verdicts_R = sums_RD[:, 1:].sum(axis=1)
    first_R, second_R, tie_R = (sums_RD[:, 1:] / verdicts_R[:, None]).T
    by_chance_R = 2 * first_R * second_R + tie_R**2
    return ratio(np.stack([2 * sums_RD[:, 0] / verdicts_R - by_chance_R, 1 - by_chance_R], axis=1))


def position(compared: Sequence[Compared]) -> dict[str, Any]:
    """Where the preferred answer stood, over single verdicts of pairs that were read in both orders.

    Without a preference for a place each pair gives as many firsts as seconds, whatever its answers are, so half of the
    verdicts are for the first. The binomial test and interval take verdicts as independent coins; a judge that looks at
    the answers varies less than that, so that they err on the safe side.
    """
    counts = Counter(said for one in compared if one.is_read for said in one.verdicts)
    first, second = counts[FIRST], counts[SECOND]
    return {
        "first": first,
        "second": second,
        "tie": counts[TIE],
        "first_share": plain(statistics.exact_share(first, first + second)),
        "p": statistics.sign_test(first, second),
    }


def length(compared: Sequence[Compared], *, seed: int) -> dict[str, Any]:
    """Whether longer answers win: of the model where its answer is longer, where it is shorter, where they are alike.

    A better model may write more. A judge that likes length is one by whom the same model wins where it wrote more and
    loses where it wrote less.
    """
    told = [one for one in compared if one.outcome is not None and not one.alike]
    uneven = [one for one in told if one.lengths[0] != one.lengths[1]]
    like = [one for one in told if min(one.lengths) >= LIKE_LENGTH * max(one.lengths)]

    def won(pairs: Sequence[Compared]) -> dict[str, Any]:
        scores = [SCORES[one.outcome] for one in pairs]
        return {"pairs": len(pairs), "win_rate": rate(scores, seed=seed)}

    longer = [SCORES[one.outcome] if one.lengths[0] > one.lengths[1] else 1 - SCORES[one.outcome] for one in uneven]
    return {
        "longer_wins": {"pairs": len(uneven), "win_rate": rate(longer, seed=seed)},
        "where_longer": won([one for one in uneven if one.lengths[0] > one.lengths[1]]),
        "where_shorter": won([one for one in uneven if one.lengths[0] < one.lengths[1]]),
        "like_length": won(like),
    }


def warnings(judge: str, found: dict[str, Any]) -> list[str]:
    """What a reader has to know before believing the win rate."""
    told = []
    where, same, long = found["position"], found["consistency"], found["length"]
    share, beyond = where["first_share"], same["beyond_chance"]
    if where["p"] < LEVEL:
        place, chosen = ("first", share["value"]) if share["value"] > 0.5 else ("second", 1 - share["value"])
        told.append(
            f"{judge} prefers the answer that is shown {place}: it chose that one in {chosen:.0%} of "
            f"{where['first'] + where['second']:,} verdicts, where 50% would be without a preference."
        )
    if same["pairs"] and where["first"] + where["second"] == 0:
        told.append(f"{judge} never chose: all of its verdicts are ties, and they say nothing of the answers.")
    elif beyond["low"] is not None and beyond["low"] <= 0 and same["share"]["value"] == 1:
        told.append(
            f"{judge}'s verdicts are too few to say anything of the answers: shown the same two in the other order it "
            f"came to the same outcome in all of {same['pairs']:,} pairs, and so might a judge that does not look."
        )
    elif beyond["low"] is not None and beyond["low"] <= 0:
        told.append(
            f"{judge}'s verdicts say nothing of the answers: shown the same two in the other order it came to the same "
            f"outcome in {same['share']['value']:.0%} of {same['pairs']:,} pairs. A judge that does not look would do "
            "so as often."
        )
    longer, shorter = long["where_longer"]["win_rate"], long["where_shorter"]["win_rate"]
    if None not in (longer["low"], shorter["high"]) and longer["low"] > 0.5 > shorter["high"]:
        told.append(
            f"{judge} prefers the longer answer: the same model won {longer['value']:.0%} where it wrote more and "
            f"{shorter['value']:.0%} where it wrote less."
        )
    if found["failed"]:
        told.append(f"{judge} gave no readable verdict on {found['failed']:,} of {found['pairs']:,} pairs.")
    return told


def rate(scores: Sequence[float], *, seed: int, least: float = 0.0, most: float = 1.0) -> dict[str, float | None]:
    """A mean with its interval from resampling pairs; where all are the same, from the range that they can be of."""
    if not scores:
        return plain(_NOTHING)
    if len(set(scores)) == 1:
        return plain(statistics.unanimous(scores[0], len(scores), least, most))
    return plain(statistics.estimate([[score, 1.0] for score in scores], ratio, seed=seed))


def plain(interval: Interval) -> dict[str, float | None]:
    """As plain JSON, which has no nan."""
    return {name: None if math.isnan(value) else value for name, value in asdict(interval).items()}

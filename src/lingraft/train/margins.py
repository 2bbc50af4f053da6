"""How far a model prefers the chosen answers of held-out pairs, and whether it goes by their length.

N pairs; log-probabilities are natural logarithms.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from lingraft.evaluate import statistics
from lingraft.evaluate.metrics import ratio

from .pairs import Pair

TIE = 1e-3
"""In nats of a whole answer: what two orders of summation differ by is no preference."""


@dataclass(frozen=True)
class Margins:
    """Log-probabilities of pairs under a model and under the one that it is compared with, each of shape (N, 2)."""

    pairs: Sequence[Pair]
    policy_N2: np.ndarray
    reference_N2: np.ndarray
    beta: float

    def rewards(self) -> np.ndarray:
        """Implicit reward of chosen less that of rejected (Rafailov et al. 2023, equation 5), shape (N,)."""
        gains_N2 = self.policy_N2 - self.reference_N2
        return self.beta * (gains_N2[:, 0] - gains_N2[:, 1])

    def likelihoods(self) -> np.ndarray:
        """Mean log-probability of a byte of chosen less that of rejected, shape (N,): of the model alone."""
        bytes_N2 = np.array([[max(1, pair.chosen_bytes), max(1, pair.rejected_bytes)] for pair in self.pairs])
        means_N2 = self.policy_N2 / bytes_N2
        return means_N2[:, 0] - means_N2[:, 1]

    def accuracy(self) -> float:
        """The share of pairs of which the reward is higher for the chosen answer; ties are half."""
        return float(self.right().mean())

    def right(self) -> np.ndarray:
        """1 where the reward is higher for the chosen answer, a half where the two are as good as equal."""
        return _right(self.rewards(), self.beta * TIE)


def compared(before: Margins, after: Margins, *, seed: int) -> dict[str, Any]:
    """Accuracies and margins with intervals from resampling pairs, and their differences on the same pairs.

    `accuracy` is by reward, which says what training changed: before it every pair is a tie. `by_likelihood` is whether
    the model finds a byte of the chosen answer likelier: no reference, so that trainings can be compared by it.
    """
    found: dict[str, Any] = {"pairs": len(after.pairs)}
    for name, sides in (
        ("accuracy", [side.right() for side in (before, after)]),
        ("margin", [side.rewards() for side in (before, after)]),
        ("by_likelihood", [_right(side.likelihoods()) for side in (before, after)]),
    ):
        counts = [[[float(value), 1.0] for value in side] for side in sides]
        found[name] = {
            "before": asdict(statistics.estimate(counts[0], ratio, seed=seed)),
            "after": asdict(statistics.estimate(counts[1], ratio, seed=seed)),
            "difference": asdict(statistics.paired(counts[1], counts[0], ratio, seed=seed)),
        }
    return found


def length_bias(margins: Margins, seed: int) -> dict[str, Any]:
    """Whether longer answers win: the share of pairs in which the longer one does, and accuracies by which is longer.

    A model that has learned nothing but length prefers the longer answer whichever is the chosen one.
    """
    rewards = margins.rewards()
    gaps = np.array([pair.chosen_bytes - pair.rejected_bytes for pair in margins.pairs])
    found: dict[str, Any] = {"chosen_longer": float((gaps > 0).sum() / max(1, (gaps != 0).sum()))}
    for name, values in (
        ("longer_preferred", _right(rewards * np.sign(gaps), margins.beta * TIE)[gaps != 0]),
        ("accuracy_chosen_longer", margins.right()[gaps > 0]),
        ("accuracy_chosen_shorter", margins.right()[gaps < 0]),
    ):
        counts = [[float(value), 1.0] for value in values]
        found[name] = asdict(statistics.estimate(counts, ratio, seed=seed)) if counts else None
    return found


def _right(margins_N: np.ndarray, tie: float = 0.0) -> np.ndarray:
    return np.where(np.abs(margins_N) <= tie, 0.5, margins_N > 0)

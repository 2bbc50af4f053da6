"""Whether the translation of a sentence is its nearest neighbor among the sentences of the other language.

N sentences, D columns of their states.
"""

from collections import Counter
from collections.abc import Sequence

import numpy as np

RUN_LETTERS = 3
NEIGHBORS = 4
"""As in Artetxe and Schwenk 2019."""


def centered(states_ND: np.ndarray) -> np.ndarray:
    """States less their mean, which for the sentences of one language is what tells the language."""
    return states_ND - states_ND.mean(axis=0)


def cosines(left_ND: np.ndarray, right_ND: np.ndarray) -> np.ndarray:
    """The cosine of every left with every right sentence (N, N), in float64; zero for states of zeros."""
    return _unit(left_ND) @ _unit(right_ND).T


def margins(cosines_NN: np.ndarray) -> np.ndarray:
    """Cosines less the mean of those to the 4 nearest neighbors on both sides.

    The distance margin of Artetxe and Schwenk 2019 (arXiv 1811.01136, section 3.2), which ranks as the CSLS of Conneau
    et al. 2018 (arXiv 1710.04087): no sentence is near to all others. Their ratio of the two, which they prefer, has
    no sense where means of centered states are negative.
    """
    k = min(NEIGHBORS, len(cosines_NN))
    right_of_left_N = np.partition(cosines_NN, -k, axis=1)[:, -k:].mean(axis=1)
    left_of_right_N = np.partition(cosines_NN, -k, axis=0)[-k:].mean(axis=0)
    return cosines_NN - (right_of_left_N[:, None] + left_of_right_N[None]) / 2


def found(scores_NN: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For every left sentence whether its own right one scores best, and for every right one its left.

    1 or 0; of several that score best each counts its part, so that states which are all the same find 1/N.
    """
    own_N = np.diagonal(scores_NN)
    answers = []
    for axis in (1, 0):
        best_N = scores_NN.max(axis=axis)
        ties_N = (scores_NN == np.expand_dims(best_N, axis)).sum(axis=axis)
        answers.append((own_N == best_N) / ties_N)
    return answers[0], answers[1]


def separation(cosines_NN: np.ndarray) -> np.ndarray:
    """By how much the cosine of each pair is above the mean cosine of its two sentences with all others."""
    num = len(cosines_NN)
    own_N = np.diagonal(cosines_NN)
    others_N = (cosines_NN.sum(axis=0) + cosines_NN.sum(axis=1) - 2 * own_N) / (2 * (num - 1))
    return own_N - others_N


def spelling(left: Sequence[str], right: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """How often each run of three letters stands in every sentence, as states: what names and numbers alone tell."""
    runs = [
        [Counter(text[at : at + RUN_LETTERS] for at in range(len(text) - RUN_LETTERS + 1)) for text in side]
        for side in (left, right)
    ]
    columns = {run: at for at, run in enumerate(sorted({run for side in runs for counts in side for run in counts}))}
    states = [np.zeros((len(side), len(columns)), dtype=np.float32) for side in runs]
    for side, states_ND in zip(runs, states, strict=True):
        for row, counts in zip(states_ND, side, strict=True):
            row[[columns[run] for run in counts]] = list(counts.values())
    return states[0], states[1]


def _unit(states_ND: np.ndarray) -> np.ndarray:
    states_ND = states_ND.astype(np.float64)
    norms_N1 = np.linalg.norm(states_ND, axis=1, keepdims=True)
    return states_ND / np.where(norms_N1 == 0, 1, norms_N1)

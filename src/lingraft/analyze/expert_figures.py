"""What is made of counts by document: loads, heat maps, how alike two of them are, experts that are dead.

R resamples, of which the first is the sample itself; N documents, L layers with experts, E experts, D counts, C cells.
"""

import math
from collections.abc import Mapping
from itertools import combinations
from typing import Any

import numpy as np

from lingraft.evaluate.metrics import pearson_of, rank_counts
from lingraft.evaluate.statistics import holm

from .measures import Measure
from .mixture import MODES
from .resampling import Resampling, interval, p_value

SIGNIFICANT = 0.05
NOTHING = 1e-4
"""Bits per byte: a change whose whole interval is nearer to zero is none."""


class ModelFigures:
    """What is made of the counts of one model."""

    def __init__(self, kept: Mapping[str, Any], scored: Mapping[str, Measure], seed: int) -> None:
        self.layers, self.num_experts = kept["layers"], kept["num_experts"]
        self.streams, self.scored, self.seed = list(kept["routing"]), list(scored), seed
        self.chosen_NLE, self.load_RLE, self.entropy_RL, self.score_R = {}, {}, {}, {}
        self.change_RLE: dict[tuple[str, str], np.ndarray] = {}
        for stream, counts in kept["routing"].items():
            routing = {key: np.array(values, dtype=float) for key, values in counts.items()}
            draws = Resampling(len(routing["tokens"]), seed)
            self.chosen_NLE[stream] = routing["chosen"]
            self.load_RLE[stream] = _shares(draws.sums(routing["chosen"]))
            self.entropy_RL[stream] = draws.sums(routing["entropy"]) / draws.sums(routing["tokens"])[:, None]
        for name, measure in scored.items():
            of_sums, draws = measure.metric.of_sums, Resampling(len(kept["base"][name]), seed)
            self.score_R[name] = of_sums(draws.sums(np.array(kept["base"][name])))
            for mode in MODES:
                without_LEND = np.array([[cell[mode][name] for cell in row] for row in kept["cells"]])
                sums_RLED = draws.sums(without_LEND.transpose(2, 0, 1, 3))
                scores_RLE = of_sums(sums_RLED.reshape(-1, sums_RLED.shape[-1])).reshape(sums_RLED.shape[:-1])
                self.change_RLE[mode, name] = scores_RLE - self.score_R[name][:, None, None]

    def of_model(self, dead_share: float) -> dict[str, Any]:
        """Figures of every stream, what they have in common, and the experts that are dead."""
        return {
            "layers": self.layers,
            "num_experts": self.num_experts,
            "even_entropy": math.log2(self.num_experts),
            "routing": {
                stream: {
                    "load": _cells(self.load_RLE[stream]),
                    "entropy": [interval(values_R) for values_R in self.entropy_RL[stream].T],
                }
                for stream in self.streams
            },
            "scores": {
                name: {"whole": interval(self.score_R[name]), **{mode: self._heat_map(mode, name) for mode in MODES}}
                for name in self.scored
            },
            "overlap": [self._overlap(*pair) for pair in combinations(self.streams, 2)],
            "likeness": [self._likeness(*pair) for pair in combinations(self.scored, 2)],
            "dead": self._dead(dead_share),
        }

    def _heat_map(self, mode: str, name: str) -> dict[str, Any]:
        """Changes with intervals; those that differ from zero after correction for all cells of the map."""
        change_RLE = self.change_RLE[mode, name]
        cells = _cells(change_RLE)
        flat = [cell for row in cells for cell in row]
        p_values = [p_value(values_R) for values_R in change_RLE.reshape(len(change_RLE), -1).T]
        for cell, p, corrected in zip(flat, p_values, holm(p_values), strict=True):
            cell |= {"p": p, "p_holm": corrected, "differs": corrected < SIGNIFICANT}
        return {
            "change": cells,
            "by_layer": [interval(values_R) for values_R in change_RLE.mean(axis=2).T],
            "noise": float(np.median([(cell["high"] - cell["low"]) / 2 for cell in flat])),
            "num_differ": sum(cell["differs"] for cell in flat),
        }

    def _overlap(self, first: str, second: str) -> dict[str, Any]:
        """How differently two streams are routed.

        Resampling can only drive two loads apart, so that the interval of a divergence lies high: `by_chance` is what
        it is to be held against.
        """
        apart_RL = divergence(self.load_RLE[first], self.load_RLE[second])
        both_NLE = np.concatenate([self.chosen_NLE[first], self.chosen_NLE[second]])
        chance_L = by_chance(both_NLE, len(self.chosen_NLE[first]), self.seed)
        return {
            "streams": [first, second],
            "divergence": [
                interval(values_R) | {"by_chance": float(chance)}
                for values_R, chance in zip(apart_RL.T, chance_L, strict=True)
            ],
        }

    def _likeness(self, first: str, second: str) -> dict[str, Any]:
        """How alike two heat maps are."""
        return {"scores": [first, second]} | {
            mode: interval(_correlation(self.change_RLE[mode, first], self.change_RLE[mode, second])) for mode in MODES
        }

    def _dead(self, dead_share: float) -> list[dict[str, Any]]:
        found = []
        for row, layer in enumerate(self.layers):
            for expert in range(self.num_experts):
                loads = [self.load_RLE[stream][0, row, expert] for stream in self.streams]
                changes = [self.change_RLE["zero", stream][:, row, expert] for stream in self.streams]
                why = []
                if max(loads) < dead_share / self.num_experts:
                    why.append(f"chosen for at most {max(loads):.3%}, where an even load is {1 / self.num_experts:.1%}")
                if all(np.abs(list(interval(values_R).values())).max() < NOTHING for values_R in changes):
                    why.append(f"without its output bits per byte change by less than {NOTHING}")
                if why:
                    found.append({"layer": layer, "expert": expert, "why": why})
        return found


def between(figures: Mapping[str, ModelFigures]) -> list[dict[str, Any]]:
    """How much the routing of the first model, and the worth of its experts, changed in each of the others."""
    (first, base), *others = figures.items()
    return [
        {
            "models": [first, name],
            "divergence": {
                stream: [interval(values_R) for values_R in divergence(base.load_RLE[stream], load_RLE).T]
                for stream, load_RLE in other.load_RLE.items()
            },
            "likeness": {
                score: {
                    mode: interval(_correlation(base.change_RLE[mode, score], other.change_RLE[mode, score]))
                    for mode in MODES
                }
                for score in other.scored
            },
        }
        for name, other in others
        if (other.layers, other.num_experts) == (base.layers, base.num_experts)
    ]


def _shares(counts: np.ndarray) -> np.ndarray:
    return counts / counts.sum(axis=-1, keepdims=True)


def _cells(values_RLE: np.ndarray) -> list[list[dict[str, Any]]]:
    return [
        [interval(values_RLE[:, row, expert]) for expert in range(values_RLE.shape[2])]
        for row in range(values_RLE.shape[1])
    ]


def divergence(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """The Jensen-Shannon divergence of two loads in bits: 0 where they are equal, 1 where no expert is shared."""
    middle = (first + second) / 2
    return (_relative_entropy(first, middle) + _relative_entropy(second, middle)) / 2


def _relative_entropy(shares: np.ndarray, against: np.ndarray) -> np.ndarray:
    with np.errstate(divide="ignore", invalid="ignore"):
        terms = np.where(shares > 0, shares * np.log2(shares / against), 0)
    return terms.sum(axis=-1)


def by_chance(both_NLE: np.ndarray, size: int, seed: int) -> np.ndarray:
    """The divergence that documents of both streams, dealt out at random, stay below 95 times in 100."""
    draw = np.random.default_rng(seed)
    total_LE = both_NLE.sum(axis=0)
    found = []
    for _ in range(1000):
        part_LE = both_NLE[draw.permutation(len(both_NLE))[:size]].sum(axis=0)
        found.append(divergence(_shares(part_LE), _shares(total_LE - part_LE)))
    return np.quantile(found, 0.95, axis=0)


def _correlation(first_RLE: np.ndarray, second_RLE: np.ndarray) -> np.ndarray:
    """Spearman's, of the cells of two heat maps: one expert that is worth most of all would decide Pearson's."""
    pairs = zip(first_RLE.reshape(len(first_RLE), -1), second_RLE.reshape(len(second_RLE), -1), strict=True)
    return pearson_of(np.array([np.sum(rank_counts(*pair), axis=0) for pair in pairs]))

"""Calls of strategies: each table its own strategy and options, one call for tables that share both.

N new rows, D columns.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import torch

from lingraft.core.registry import check_options, resolve

from . import STRATEGIES
from .strategy import Grafting

RANDOM = frozenset({"gaussian", "mean_all_covariance", "random_token", "xavier_uniform"})
"""Strategies that draw every row without a look at its token."""


@dataclass(frozen=True)
class Choice:
    """A strategy with its options."""

    strategy: str = "subwords"
    options: Mapping[str, Any] = field(default_factory=dict)

    def check(self, where: str) -> None:
        """Raise RecipeError when there is no such strategy, or it does not take these options."""
        check_options(resolve(STRATEGIES, self.strategy, "graft strategy"), self.options, where)


def start(
    grafting: Grafting, choices: Mapping[str, Choice]
) -> tuple[dict[str, torch.Tensor], dict[str, dict[str, Any]]]:
    """The rows (N, D) of each side by the strategy chosen for it, and its figures.

    Here spellings may be empty: no strategy sees such a token, its row is drawn by `gaussian`.
    """
    spelled = [at for at, pieces in enumerate(grafting.spellings) if pieces]
    unspelled = [at for at, pieces in enumerate(grafting.spellings) if not pieces]
    rows = {side: table.new_empty(len(grafting.new_ids), table.shape[1]) for side, table in grafting.tables.items()}
    figures: dict[str, dict[str, Any]] = {}
    for position, (choice, sides) in enumerate(_calls(choices)):
        # Two calls draw apart, as two tables do within one.
        call = replace(grafting, seed=grafting.seed + position, figures={})
        if spelled:
            _fill(rows, sides, spelled, call, choice)
        num_random = call.figures.pop("random", len(spelled) if choice.strategy in RANDOM else 0)
        if unspelled:
            _fill(rows, sides, unspelled, call, Choice("gaussian"))
        for side in sides:
            figures[side] = {
                "strategy": choice.strategy,
                **({"options": dict(choice.options)} if choice.options else {}),
                "rows_random": num_random + len(unspelled),
                **call.figures,
            }
    return rows, figures


def _calls(choices: Mapping[str, Choice]) -> list[tuple[Choice, list[str]]]:
    calls: list[tuple[Choice, list[str]]] = []
    for side, choice in choices.items():
        sides = next((sides for known, sides in calls if known == choice), None)
        if sides is None:
            calls.append((choice, [side]))
        else:
            sides.append(side)
    return calls


def _fill(
    rows: dict[str, torch.Tensor], sides: list[str], positions: list[int], grafting: Grafting, choice: Choice
) -> None:
    part = replace(
        grafting,
        tables={side: grafting.tables[side] for side in sides},
        new_ids=[grafting.new_ids[at] for at in positions],
        spellings=[grafting.spellings[at] for at in positions],
    )
    strategy = resolve(STRATEGIES, choice.strategy, "graft strategy")
    for side, found in strategy(part, **choice.options).items():
        rows[side][positions] = found

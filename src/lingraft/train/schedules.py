"""How the learning rate goes over the steps of a training."""

import math
from collections.abc import Callable

SCHEDULES = ("cosine", "linear", "constant", "wsd")


def factor(schedule: str, num_steps: int, warmup_share: float, decay_share: float) -> Callable[[int], float]:
    """The share of the highest learning rate at a step, from 0: a linear rise, then as the schedule says.

    `wsd` (warmup, stable, decay) stays at 1 and falls over the last `decay_share` of the steps as 1 - sqrt of the way
    (Hägele et al. 2024, arXiv 2405.18392); any step before that is one to go on from with another budget.
    """
    warmup = math.ceil(warmup_share * num_steps)
    decay = max(1, math.ceil(decay_share * num_steps))

    def at(step: int) -> float:
        if step < warmup:
            return step / max(1, warmup)
        way = min(1.0, (step - warmup) / max(1, num_steps - warmup))
        match schedule:
            case "cosine":
                return max(0.0, 0.5 * (1 + math.cos(math.pi * way)))
            case "linear":
                return 1 - way
            case "wsd":
                return 1 - math.sqrt(max(0.0, step - (num_steps - decay)) / decay) if step < num_steps else 0.0
        return 1.0

    return at

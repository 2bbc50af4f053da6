"""What each further token gains on held-out text, and what it costs a model."""

from dataclasses import dataclass
from typing import Any

from .method import Learned

LADDER = (0, 250, 500, 1000, 2000, 4000, 8000, 12_000, 16_000, 24_000, 32_000, 48_000, 64_000)
EVIDENCE = 100
"""How often a new token should stand in the text that trains its row; Token Distillation (arXiv 2505.20133) takes as
many snippets for each."""
WITHIN = 0.01
"""Of the cheapest size: the smallest vocabulary that comes so close is the one to take."""


@dataclass(frozen=True)
class Shape:
    """What of a model its vocabulary does not change, and what it does."""

    body_parameters: int
    """Without embedding and LM head."""
    hidden_size: int
    rows: int
    tied: bool


def curve(learned: Learned, num_bytes: int, model: Shape | None) -> list[dict[str, Any]]:
    """The points of a round number of new tokens, and the last: gain on held-out text of `num_bytes`, and cost.

    `flops_per_byte` is that of a forward pass, two for each weight that a token meets (attention left out);
    `occurrences` is how often the last token of the point stood in the training text.
    """
    sizes = sorted({*(size for size in LADDER if size < len(learned.tokens)), len(learned.tokens)})
    points = []
    for size in sizes:
        point: dict[str, Any] = {
            "new_tokens": size,
            "bytes_per_token": num_bytes / learned.held_out_tokens[size],
            "occurrences": learned.counts[size - 1] if size else None,
        }
        if model is not None:
            point |= {
                "parameters_added": size * model.hidden_size * (1 if model.tied else 2),
                "softmax_flops_per_token": 2 * model.hidden_size * (model.rows + size),
                "flops_per_byte": _flops_per_byte(size, learned, num_bytes, model),
            }
        points.append(point)
    return points


def recommend(learned: Learned, num_bytes: int, model: Shape | None) -> dict[str, Any]:
    """The smallest vocabulary within 1 % of the cheapest forward pass per byte, of those whose tokens have evidence.

    Learned tokens come in the order of their counts, so those with evidence are the first ones.
    """
    supported = sum(count >= EVIDENCE for count in learned.counts)
    costs = [_flops_per_byte(size, learned, num_bytes, model) for size in range(supported + 1)]
    bearable = min(costs) * (1 + WITHIN)
    size = next(size for size, cost in enumerate(costs) if cost <= bearable)
    return {
        "new_tokens": size,
        "bytes_per_token": num_bytes / learned.held_out_tokens[size],
        "flops_per_byte_change": costs[size] / costs[0] - 1,
        "most_supported": supported,
        "least_occurrences": EVIDENCE,
    }


def _flops_per_byte(size: int, learned: Learned, num_bytes: int, model: Shape | None) -> float:
    weights = 1 if model is None else model.body_parameters + model.hidden_size * (model.rows + size)
    return 2 * weights * learned.held_out_tokens[size] / num_bytes

"""Training of a few rows of a table, all other weights frozen.

V rows of a table, N rows that move, D columns.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence

import torch
from transformers import PreTrainedModel

from .model import set_rows, weight


def train_rows(
    model: PreTrainedModel,
    ids: Sequence[int],
    rows: Mapping[str, torch.Tensor],
    batches: Iterable[object],
    loss_of: Callable[..., torch.Tensor],
    *,
    steps: int,
    lr: float,
) -> tuple[dict[str, torch.Tensor], list[float]]:
    """The rows (N, D) of each side in float32 after AdamW without weight decay, and the loss of every step.

    The model reads them from its own tables at `ids`; the optimizer holds state for them alone. The rate falls to zero
    along a cosine.
    """
    moving = {side: torch.nn.Parameter(start.to(model.device, torch.float32)) for side, start in rows.items()}
    optimizer = torch.optim.AdamW(moving.values(), lr=lr, weight_decay=0.0)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: (1 + math.cos(math.pi * min(step, steps) / steps)) / 2
    )
    index = torch.as_tensor(ids, device=model.device)
    losses = []
    for side in moving:
        weight(model, side).requires_grad_(True)
        set_rows(model, side, ids, moving[side].data)
    for batch in batches:
        loss = loss_of(model, batch)
        loss.backward()
        for side, parameter in moving.items():
            table = weight(model, side)
            parameter.grad = table.grad[index].float()
            table.grad = None
        optimizer.step()
        schedule.step()
        for side, parameter in moving.items():
            set_rows(model, side, ids, parameter.data)
        losses.append(loss.item())
    for side in moving:
        weight(model, side).requires_grad_(False)
    return {side: parameter.data.cpu() for side, parameter in moving.items()}, losses

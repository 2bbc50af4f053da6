"""Rows of new tokens drawn from a normal distribution: the baseline."""

import torch

from .strategy import Grafting


def rows(grafting: Grafting, *, std: float | None = None) -> dict[str, torch.Tensor]:
    """Each column from a normal with the mean and deviation of the old column; with `std` from N(0, std^2).

    SambaLingo (arXiv 2404.05829) names a normal without its parameters; the old columns' own are ours. With the model's
    `initializer_range` as `std` (0.02 for Llama) it is Random-Init of Design Choices, arXiv 2406.14670.
    """
    generator = torch.Generator().manual_seed(grafting.seed)
    drawn = {}
    for side, table_VD in grafting.tables.items():
        noise = torch.randn(len(grafting.new_ids), table_VD.shape[1], generator=generator)
        if std is None:
            mean, deviation = moments(table_VD)
            drawn[side] = (mean + deviation * noise).to(table_VD.dtype)
        else:
            drawn[side] = (std * noise).to(table_VD.dtype)
    return drawn


def moments(table_VD: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and standard deviation of every column (D,), in float64 over parts of the table, never a whole copy."""
    total = torch.zeros(table_VD.shape[1], dtype=torch.float64)
    squares = torch.zeros_like(total)
    for part in table_VD.split(4096):
        total += part.double().sum(dim=0)
    mean = total / len(table_VD)
    for part in table_VD.split(4096):
        squares += (part.double() - mean).square().sum(dim=0)
    return mean.float(), (squares / max(1, len(table_VD) - 1)).sqrt().float()

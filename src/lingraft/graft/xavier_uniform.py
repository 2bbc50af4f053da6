"""Rows of new tokens drawn from a uniform distribution scaled by the size of the table."""

import torch

from .strategy import Grafting


def rows(grafting: Grafting) -> dict[str, torch.Tensor]:
    """U(-a, a) with a = sqrt(6 / (fan_in + fan_out)), the fans being the rows of the grown table and its columns.

    Glorot and Bengio 2010, eq. 16; one of the four that SambaLingo compares (arXiv 2404.05829), which does not say over
    which shape: over the whole table, as it would be if the table were initialized anew.
    """
    generator = torch.Generator().manual_seed(grafting.seed)
    drawn = {}
    for side, table_VD in grafting.tables.items():
        num_new, columns = len(grafting.new_ids), table_VD.shape[1]
        bound = (6 / (len(table_VD) + num_new + columns)) ** 0.5
        uniform = torch.rand(num_new, columns, generator=generator)
        drawn[side] = ((2 * uniform - 1) * bound).to(table_VD.dtype)
    return drawn

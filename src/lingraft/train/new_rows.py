"""Rows of new tokens as a parameter of their own, beside the table that they belong to.

V rows of a table, N new rows, D columns.
"""

from collections.abc import Sequence

import torch
from torch.nn.utils import parametrize


class NewRows(torch.nn.Module):
    """Some rows of a table, which stand in for those of the table itself.

    An optimizer can so treat them by themselves or move them alone, and needs no state for the others. A table that is
    input and output at once has one such module for both uses.
    """

    def __init__(self, table_VD: torch.Tensor, ids: Sequence[int]) -> None:
        super().__init__()
        self.register_buffer("ids_N", torch.tensor(ids, device=table_VD.device), persistent=False)
        self.rows_ND = torch.nn.Parameter(table_VD.detach()[self.ids_N].float())

    def forward(self, table_VD: torch.Tensor) -> torch.Tensor:
        return table_VD.index_copy(0, self.ids_N, self.rows_ND.to(table_VD.dtype))


def part(model: torch.nn.Module, ids: Sequence[int]) -> list[NewRows]:
    """Take the rows of these ids out of the model's tables; what came about, by table."""
    tables = tables_of(model)
    made: dict[int, NewRows] = {}
    for module in tables:
        new = made.setdefault(id(module.weight), NewRows(module.weight, ids))
        parametrize.register_parametrization(module, "weight", new)
    return list(made.values())


def join(model: torch.nn.Module) -> None:
    """Write the rows back into their tables; nothing where they were not taken out."""
    tables = tables_of(model)
    if not parametrize.is_parametrized(tables[0], "weight"):
        return
    tied = len({id(module.parametrizations.weight.original) for module in tables}) < len(tables)
    for module in tables:
        parametrize.remove_parametrizations(module, "weight", leave_parametrized=True)
    if tied:
        tables[1].weight = tables[0].weight


def tables_of(model: torch.nn.Module) -> list[torch.nn.Module]:
    """The embedding and, where there is one, the LM head."""
    found = model.get_input_embeddings(), model.get_output_embeddings()
    return [module for module in found if module is not None]

"""Rows of new tokens as the mean of the rows of the old tokens that spell them."""

from collections.abc import Sequence

import torch


def rows(old_rows_VD: torch.Tensor, spellings: Sequence[Sequence[int]]) -> torch.Tensor:
    """One row per spelling (N, D): E(v) = the mean of the old rows of v's pieces, a repeated piece counted each time.

    Computed in float32. FVT (Gee et al. 2022, EMNLP industry track); "avg_subwords" of SambaLingo, arXiv 2404.05829;
    "Mean" of Design Choices, arXiv 2406.14670.
    """
    means = [old_rows_VD[list(pieces)].float().mean(dim=0) for pieces in spellings]
    return torch.stack(means).to(old_rows_VD.dtype)

"""Rows of new tokens drawn at random around the old ones: the baseline."""

from collections.abc import Sequence

import torch


def rows(old_rows_VD: torch.Tensor, spellings: Sequence[Sequence[int]], *, seed: int = 0) -> torch.Tensor:
    """One row per spelling (N, D), each column drawn from a normal with the mean and deviation of the old column.

    Hewitt 2021, "Initializing New Word Embeddings for Pretrained Language Models", with the covariance kept to its
    diagonal: the full one needs more old rows than D and buys nothing in the mean.
    """
    generator = torch.Generator().manual_seed(seed)
    old = old_rows_VD.float()
    noise = torch.randn(len(spellings), old.shape[1], generator=generator)
    return (old.mean(dim=0) + old.std(dim=0) * noise).to(old_rows_VD.dtype)

"""Rows of new tokens as the mean of the rows of the old tokens that spell them."""

from collections.abc import Sequence
from typing import Literal

import torch
from torch.nn.functional import embedding_bag

from lingraft.tokenizer import family

from .strategy import Grafting

# Pieces at once: their rows are gathered in float32.
CHUNK = 16384


def rows(grafting: Grafting, *, weighting: Literal["plain", "length"] = "plain") -> dict[str, torch.Tensor]:
    """E(v) = sum over the pieces p of v of w(p) E(p), the weights of each v adding up to 1; computed in float32.

    `plain`: every piece alike, a repeated one counted each time. FVT (Gee et al. 2022, EMNLP industry track);
    "avg_subwords" of SambaLingo, arXiv 2404.05829; "Mean" of Design Choices, arXiv 2406.14670.
    `length`: a piece weighs as many bytes as it spells, as in TokenAdapt's local heuristic, arXiv 2505.09738,
    where characters are counted.
    """
    if weighting == "plain":
        weights = [[1 / len(pieces)] * len(pieces) for pieces in grafting.spellings]
    else:
        sizes = family.token_bytes(grafting.old)
        lengths = [[max(1, int(sizes[piece])) for piece in pieces] for pieces in grafting.spellings]
        weights = [[length / sum(found) for length in found] for found in lengths]
    return {side: weighted(table_VD, grafting.spellings, weights) for side, table_VD in grafting.tables.items()}


def weighted(
    table_VD: torch.Tensor, pieces: Sequence[Sequence[int]], weights: Sequence[Sequence[float]]
) -> torch.Tensor:
    """One row (N, D) for each list of old ids: the sum of their rows, weighted, in float32, in the table's dtype."""
    sizes_N = torch.tensor([len(found) for found in pieces])
    # A row's pieces are never divided: the chunk in which they end has them all.
    chunk_N = sizes_N.cumsum(0) // CHUNK
    parts = []
    first = 0
    for rows in chunk_N.unique_consecutive(return_counts=True)[1].tolist():
        here = slice(first, first + rows)
        first += rows
        ids = torch.tensor([piece for found in pieces[here] for piece in found])
        used, index = ids.unique(return_inverse=True)
        flat = torch.tensor([weight for found in weights[here] for weight in found])
        offsets = sizes_N[here].cumsum(0) - sizes_N[here]
        sums = embedding_bag(index, table_VD[used].float(), offsets, mode="sum", per_sample_weights=flat)
        parts.append(sums.to(table_VD.dtype))
    return torch.cat(parts)

"""Every new token the mean of all old rows."""

import torch

from .gaussian import moments
from .strategy import Grafting


def rows(grafting: Grafting) -> dict[str, torch.Tensor]:
    """E(v) = (1/V) sum of all old E(u), one vector for all: no new token can take more than its share of probability.

    Hewitt 2021, "Initializing New Word Embeddings for Pretrained Language Models"; "avg_all" of SambaLingo,
    arXiv 2404.05829.
    """
    return {
        side: moments(table_VD)[0].to(table_VD.dtype).repeat(len(grafting.new_ids), 1)
        for side, table_VD in grafting.tables.items()
    }

"""Every new token a copy of an old one drawn at random."""

import torch

from .strategy import Grafting


def rows(grafting: Grafting) -> dict[str, torch.Tensor]:
    """E(v) = E(u), u drawn uniformly from the old tokens, the same u for input and output.

    "Random-Tok-Emb" of Design Choices, arXiv 2406.14670.
    """
    generator = torch.Generator().manual_seed(grafting.seed)
    num_old = len(next(iter(grafting.tables.values())))
    drawn = torch.randint(num_old, (len(grafting.new_ids),), generator=generator)
    return {side: table_VD[drawn] for side, table_VD in grafting.tables.items()}

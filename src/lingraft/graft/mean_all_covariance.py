"""Every new token near the mean of all old rows, spread as the old rows are."""

import torch

from .gaussian import moments
from .strategy import Grafting

SCALE = 1e-5


def rows(grafting: Grafting, *, scale: float = SCALE) -> dict[str, torch.Tensor]:
    """Rows from N(mu, scale * Sigma), mu the mean and Sigma the covariance (D, D) of the old rows.

    Hewitt 2021, as above with little noise to tell the tokens apart; `resize_token_embeddings` of transformers does the
    same with a scale of 1e-5. The eigenvalues of Sigma that rounding made negative count as 0.
    """
    generator = torch.Generator().manual_seed(grafting.seed)
    drawn = {}
    for side, table_VD in grafting.tables.items():
        mean, _ = moments(table_VD)
        values, vectors = torch.linalg.eigh(covariance(table_VD, mean))
        root_DD = vectors * (scale * values.clamp(min=0)).sqrt()
        noise = torch.randn(len(grafting.new_ids), table_VD.shape[1], generator=generator)
        drawn[side] = (mean + noise @ root_DD.T.float()).to(table_VD.dtype)
    return drawn


def covariance(table_VD: torch.Tensor, mean: torch.Tensor) -> torch.Tensor:
    """Of the columns (D, D), with V in the denominator, in float32 products summed in float64."""
    total = torch.zeros(table_VD.shape[1], table_VD.shape[1], dtype=torch.float64)
    for part in table_VD.split(4096):
        centered = part.float() - mean
        total += (centered.T @ centered).double()
    return total / len(table_VD)

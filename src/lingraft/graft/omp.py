"""Rows of new tokens carried over from another model that has them, by way of the tokens that both models have.

N new tokens, B of them at once, A anchors, K atoms, D columns of a table.
"""

from pathlib import Path

import torch

from lingraft.core.errors import InputError
from lingraft.tokenizer import family

from . import checkpoint, subwords, tables
from .matching import match
from .strategy import INPUT, Grafting
from .subwords import weighted

BATCH, PART = 128, 16384
RELATIVE_ZERO = 1e-6


def rows(grafting: Grafting, *, donor: Path, atoms: int = 64) -> dict[str, torch.Tensor]:
    """E(v) = sum over k anchors u of c(u) E(u), where c is the sparse sum that makes up v in the donor's table.

    Training-free tokenizer transplantation, Goddard and Fernandes Neto 2025, arXiv 2506.06607: orthogonal matching
    pursuit takes, `atoms` times, the anchor with the largest inner product with what is left of D(v), and fits all
    taken so far anew by least squares: D(v) = sum c(u) D(u) + rest. Anchors are the tokens that base, new tokenizer and
    donor have, without control tokens. Input rows go by the donor's embedding, output rows by its LM head.
    A new token that the donor lacks gets its `subwords` row and counts in `not_in_donor`; `rest` in the figures is the
    mean share of the length of D(v) that is left.
    Raises InputError when the donor has no new token or no anchor, or its weights do not fit its tokenizer.
    """
    tokenizer = family.open(donor)
    in_donor = match(tokenizer, grafting.new, donor).copied
    in_base = match(grafting.old, grafting.new, grafting.base).copied
    control = set(grafting.new.all_special_ids)
    anchors = [index for index in in_base if index in in_donor and index not in control]
    known = [at for at, index in enumerate(grafting.new_ids) if index in in_donor]
    if not known or not anchors:
        raise InputError(
            f"of the {len(grafting.new_ids)} new tokens the donor has {len(known)}, "
            f"of the tokens that the base keeps {len(anchors)}.",
            where=donor,
            remedy="Take a donor whose own tokenizer is the new one, or has much of its vocabulary.",
        )
    made = subwords.rows(grafting)
    in_table = torch.tensor([in_base[index] for index in anchors])
    rest = {}
    for side, table_VD in grafting.tables.items():
        donated_VD = _table(donor, side, grafting.trust_remote_code, max(tokenizer.get_vocab().values()) + 1)
        anchors_AD = donated_VD[[in_donor[index] for index in anchors]]
        targets_ND = donated_VD[[in_donor[grafting.new_ids[at]] for at in known]]
        del donated_VD
        num_batches = -(-len(known) // BATCH)
        pieces, weights, left = [], [], []
        batches = targets_ND.split(BATCH)
        for part_BD in grafting.progress.track(batches, f"matching {side} rows", num_batches, "batches"):
            places_BK, coefficients_BK, left_B = pursue(part_BD, anchors_AD, atoms)
            pieces += in_table[places_BK].tolist()
            weights += coefficients_BK.tolist()
            left += left_B.tolist()
        made[side][known] = weighted(table_VD, pieces, weights)
        rest[side] = sum(left) / len(left)
    grafting.figures.update(not_in_donor=len(grafting.new_ids) - len(known), anchors=len(anchors), rest=rest)
    return made


def pursue(
    targets_BD: torch.Tensor, anchors_AD: torch.Tensor, atoms: int
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """For each target the places (B, K) of its atoms, their coefficients (B, K), and the relative length left (B).

    Pati, Rezaiifar and Krishnaprasad 1993, with a QR decomposition that grows by one column an atom; in float32.
    Once nothing is left, further atoms have coefficient 0.
    """
    targets_BD = targets_BD.float()
    atoms = min(atoms, len(anchors_AD))
    lengths_B = targets_BD.norm(dim=1)
    left_BD = targets_BD.clone()
    basis_BKD = targets_BD.new_zeros(len(targets_BD), atoms, targets_BD.shape[1])
    upper_BKK = torch.eye(atoms).repeat(len(targets_BD), 1, 1)
    places_BK = torch.zeros(len(targets_BD), atoms, dtype=torch.long)
    for k in range(atoms):
        places_BK[:, k] = _most_alike(left_BD, anchors_AD)
        atom_BD = anchors_AD[places_BK[:, k]].float()
        new_BD = atom_BD
        onto_BK = targets_BD.new_zeros(len(targets_BD), k)
        for _ in range(2):  # once is not orthogonal enough in float32
            again_BK = (basis_BKD[:, :k] @ new_BD[:, :, None])[:, :, 0]
            new_BD = new_BD - (again_BK[:, None] @ basis_BKD[:, :k])[:, 0]
            onto_BK = onto_BK + again_BK
        length_B = new_BD.norm(dim=1)
        counts_B = (left_BD.norm(dim=1) > RELATIVE_ZERO * lengths_B) & (length_B > RELATIVE_ZERO * atom_BD.norm(dim=1))
        basis_BKD[:, k] = torch.where(counts_B[:, None], new_BD / length_B[:, None], 0)
        upper_BKK[:, :k, k] = torch.where(counts_B[:, None], onto_BK, 0)
        upper_BKK[:, k, k] = torch.where(counts_B, length_B, 1)
        along_B1 = (left_BD * basis_BKD[:, k]).sum(dim=1, keepdim=True)
        left_BD = left_BD - along_B1 * basis_BKD[:, k]
    projected_BK1 = basis_BKD @ targets_BD[:, :, None]
    coefficients_BK1 = torch.linalg.solve_triangular(upper_BKK, projected_BK1, upper=True)
    return places_BK, coefficients_BK1[:, :, 0], left_BD.norm(dim=1) / lengths_B.clamp(min=RELATIVE_ZERO)


def _most_alike(left_BD: torch.Tensor, anchors_AD: torch.Tensor) -> torch.Tensor:
    """The places (B) of the anchors with the largest inner products in size, a part of the anchors at a time."""
    best_B = torch.full((len(left_BD),), -1.0)
    places_B = torch.zeros(len(left_BD), dtype=torch.long)
    for part, anchors_PD in enumerate(anchors_AD.split(PART)):
        products_B, at_B = (left_BD @ anchors_PD.float().T).abs().max(dim=1)
        better_B = products_B > best_B
        best_B[better_B] = products_B[better_B]
        places_B[better_B] = at_B[better_B] + part * PART
    return places_B


def _table(donor: Path, side: str, trust_remote_code: bool, num_ids: int) -> torch.Tensor:
    """The donor's table of that side; of a tied donor always the one it has."""
    weights = checkpoint.open(donor)
    found = tables.find(donor, weights, trust_remote_code=trust_remote_code)
    name = found.input[0] if side == INPUT or found.tied else found.output[0]
    table_VD = weights.load(name)
    if not table_VD.is_floating_point() or len(table_VD) < num_ids:
        raise InputError(
            f"{name} of the donor has {len(table_VD)} rows of {table_VD.dtype}, its tokenizer uses {num_ids} ids.",
            where=donor,
            remedy="Take a donor that is whole and not quantized.",
        )
    return table_VD

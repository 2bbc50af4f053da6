"""Grow a model to an extended tokenizer: new rows in embedding and LM head, everything else bit for bit.

V rows of a table, N new rows, D columns (1 for a bias).
"""

import inspect
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedTokenizerFast

from lingraft.core.errors import InputError
from lingraft.core.progress import SILENT, Progress
from lingraft.core.registry import resolve
from lingraft.tokenizer import family

from . import STRATEGIES, checkpoint, gaussian
from .tables import find

CARRIED_OVER = ("generation_config.json", "*.py", "LICENSE*", "NOTICE*")


def initialize(
    base: Path,
    tokenizer: Path,
    folder: Path,
    *,
    strategy: str = "subwords",
    seed: int = 0,
    trust_remote_code: bool = False,
    progress: Progress = SILENT,
) -> dict[str, Any]:
    """Write the model of `base`, grown to `tokenizer`, to `folder` as a whole Hugging Face folder; its figures.

    Rows that the base has beyond its tokenizer (padding) are taken first, and it never shrinks. A new token that the
    old tokenizer cannot spell gets a row of strategy `gaussian` and counts in `rows_random`. Norms are those of the
    input embedding; under `output_...` those of the LM head, where it is a table of its own.
    Raises InputError when the tokenizer does not continue that of the base, or the weights are missing, pickled, or
    not those of a causal model with plain embeddings.
    """
    rows = resolve(STRATEGIES, strategy, "graft strategy")
    old, new = family.open(base), family.open(tokenizer)
    num_old, fresh = _new_tokens(old, new, tokenizer)
    spellings = _spellings(old, new, fresh)
    weights = checkpoint.open(base)
    tables = find(base, weights, trust_remote_code=trust_remote_code)
    size = max(tables.rows, *(index + 1 for index in fresh))
    changed: dict[str, torch.Tensor] = {}
    norms: dict[str, Any] = {}
    for position, name in enumerate(progress.track(tables.names, "growing", total=len(tables.names), unit="tables")):
        table = weights.load(name)
        _check(name, table, tables.rows, num_old, base)
        table_VD = table if table.ndim == 2 else table[:, None]
        # Two tables draw apart; one table that is stored twice stays one.
        draw = seed if tables.tied else seed + position
        new_ND = _rows(rows, table_VD[:num_old], spellings, draw)
        grown_VD = torch.cat([table_VD, table_VD.new_zeros(size - len(table), table_VD.shape[1])])
        grown_VD[list(fresh)] = new_ND
        changed[name] = grown_VD.reshape(size, *table.shape[1:])
        if position == 0 or (table.ndim == 2 and not tables.tied):
            side = "output_" if position else ""
            norms |= {f"{side}new_row_norm": _norms(new_ND), f"{side}old_row_norm": _norms(table_VD[:num_old])}
    folder.mkdir(parents=True, exist_ok=True)
    weights.write(folder, changed)
    _write_config(base, folder, size)
    family.copy(base, folder, CARRIED_OVER)
    family.copy(tokenizer, folder, ("tokenizer.json", *family.SETTINGS_FILES))
    num_spelled = sum(bool(pieces) for pieces in spellings)
    num_subwords = num_spelled if strategy == "subwords" else 0
    return {
        "strategy": strategy,
        "new_rows": len(fresh),
        "rows_from_subwords": num_subwords,
        "rows_random": len(fresh) - num_subwords,
        "tied": tables.tied,
        "old_rows": tables.rows,
        "rows": size,
        "mean_pieces": sum(map(len, spellings)) / num_spelled if num_spelled else 0.0,
        **norms,
    }


def _new_tokens(old: PreTrainedTokenizerFast, new: PreTrainedTokenizerFast, where: Path) -> tuple[int, dict[int, str]]:
    """How many ids the old tokenizer spans, and the tokens that only the new one has, by id."""
    before, after = old.get_vocab(), new.get_vocab()
    moved = [token for token, index in before.items() if after.get(token) != index]
    fresh = {index: token for token, index in sorted(after.items(), key=lambda item: item[1]) if token not in before}
    moved += [token for token, index in before.items() if index in fresh]
    if moved:
        raise InputError(
            f"{len(moved)} tokens of the base have another id in this tokenizer, first {moved[0]!r}.",
            where=where,
            remedy="Extend the tokenizer of this very base; rows cannot be matched to any other.",
        )
    if not fresh:
        raise InputError(
            "this tokenizer has no token that the base has not.",
            where=where,
            remedy="Leave the graft stage out, or give it the extended tokenizer.",
        )
    return max(before.values()) + 1, fresh


def _spellings(old: PreTrainedTokenizerFast, new: PreTrainedTokenizerFast, fresh: dict[int, str]) -> list[list[int]]:
    """The old ids of each token's own bytes: no prefix space, no BOS, also where the bytes are not whole characters."""
    backend, special, added = old.backend_tokenizer, set(old.all_special_ids), set(new.added_tokens_decoder)
    spellings = []
    for index, token in fresh.items():
        if index in added:  # an added token is text, the others are symbols of the model
            ids = backend.encode(token, add_special_tokens=False).ids
        else:
            ids = [piece.id for piece in backend.model.tokenize(token)]
        spellings.append([piece for piece in ids if piece not in special])
    return spellings


def _rows(
    strategy: Callable[..., torch.Tensor], old_VD: torch.Tensor, spellings: list[list[int]], seed: int
) -> torch.Tensor:
    """The new rows (N, D) of one table, random ones where there is no spelling."""
    options = {"seed": seed} if "seed" in inspect.signature(strategy).parameters else {}
    spelled = [at for at, pieces in enumerate(spellings) if pieces]
    unspelled = [at for at, pieces in enumerate(spellings) if not pieces]
    new_ND = old_VD.new_empty(len(spellings), old_VD.shape[1])
    if spelled:
        new_ND[spelled] = strategy(old_VD, [spellings[at] for at in spelled], **options)
    if unspelled:
        new_ND[unspelled] = gaussian.rows(old_VD, [[]] * len(unspelled), seed=seed)
    return new_ND


def _check(name: str, table: torch.Tensor, rows: int, num_old: int, base: Path) -> None:
    if not table.is_floating_point():
        raise InputError(
            f"{name} is stored as {table.dtype}: it is quantized.",
            where=base,
            remedy="Graft onto the model as it was before quantization.",
        )
    if len(table) != rows or rows < num_old:
        raise InputError(
            f"{name} has {len(table)} rows, config.json says {rows}, the tokenizer uses {num_old} ids.",
            where=base,
            remedy="The base is not whole; download it again, or mend vocab_size in its config.json.",
        )


def _norms(rows_VD: torch.Tensor) -> dict[str, float]:
    norms = rows_VD.float().norm(dim=1)
    return {"mean": norms.mean().item(), "min": norms.min().item(), "max": norms.max().item()}


def _write_config(base: Path, folder: Path, rows: int) -> None:
    config = json.loads((base / "config.json").read_text(encoding="utf-8"))
    text = config.get("text_config")
    if isinstance(text, dict):
        text["vocab_size"] = rows
    if "vocab_size" in config or not isinstance(text, dict):
        config["vocab_size"] = rows
    (folder / "config.json").write_text(json.dumps(config, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")

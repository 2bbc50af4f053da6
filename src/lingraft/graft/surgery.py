"""Give a model the rows of another tokenizer: old rows copied, new ones started, everything else bit for bit.

V rows of a table, N new rows, D columns (1 for a bias).
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from lingraft.core.errors import InputError, RecipeError
from lingraft.core.progress import SILENT, Progress
from lingraft.tokenizer import family
from lingraft.tokenizer.id_ranges import ranges

from . import checkpoint
from .bakeoff import CANDIDATES, bake_off
from .checkpoint import Checkpoint
from .configs import write_configs
from .matching import Matching, match, spell
from .model import grown_bias
from .starting import Choice, start
from .strategy import INPUT, OUTPUT, Grafting
from .tables import Tables, find

AUTO = "auto"
CARRIED_OVER = ("*.py", "LICENSE*", "NOTICE*")
FLOATS = (torch.float32, torch.bfloat16, torch.float16)


def initialize(
    base: Path,
    tokenizer: Path,
    folder: Path,
    *,
    strategy: str = "subwords",
    options: Mapping[str, Any] | None = None,
    output_strategy: str | None = None,
    output_options: Mapping[str, Any] | None = None,
    candidates: Sequence[str] = CANDIDATES,
    text: Iterable[str] = (),
    replay: Iterable[str] = (),
    seed: int = 0,
    trust_remote_code: bool = False,
    progress: Progress = SILENT,
) -> dict[str, Any]:
    """Write the model of `base` with the rows of `tokenizer` to `folder` as a whole Hugging Face folder; its figures.

    Each token that the base has keeps its row, wherever its id went; each other gets one by the strategy of its
    table, the LM head's being that of the embedding unless told otherwise; `auto` takes the best of the candidates
    (see `bakeoff`). Rows that the base has beyond its tokenizer (padding) are taken first; a table shrinks only where
    the vocabulary does or its ids moved. A token that the old tokenizer cannot spell gets a row of strategy `gaussian`
    and counts in `rows_random`. The bias of a head is one number a token, in no space of meaning: it is the mean over
    the pieces whatever the strategy.
    `text` and `replay` are training text of the target and of the languages that the base knows, to be read any
    number of times; some strategies need them.
    Norms are those of the input embedding; under `output_...` those of the LM head, where it is a table of its own.
    Raises InputError when the two tokenizers share nothing, or the weights are missing, damaged, pickled, quantized,
    or not those of a causal model with plain embeddings.
    """
    choices = {INPUT: _choices(strategy, options or {}, candidates, "options")}
    choices[OUTPUT] = choices[INPUT]
    if output_strategy is not None or output_options is not None:
        choices[OUTPUT] = _choices(output_strategy or strategy, output_options or {}, candidates, "output_options")
    old, new = family.open(base), family.open(tokenizer)
    matching = match(old, new, tokenizer)
    weights = checkpoint.open(base)
    tables = find(base, weights, trust_remote_code=trust_remote_code)
    if tables.tied:
        _check_tied(choices, base)
        choices.pop(OUTPUT)
    loaded = _load(weights, tables, matching.num_old, base)
    grafting = Grafting(
        tables={side: table[: matching.num_old] for side, table in loaded.items()},
        new_ids=list(matching.fresh),
        spellings=spell(old, new, matching.fresh),
        old=old,
        new=new,
        base=base,
        text=text,
        replay=replay,
        seed=seed,
        trust_remote_code=trust_remote_code,
        progress=progress,
    )
    rows, sides, compared = _start(grafting, choices)
    size = matching.size(tables.rows)
    folder.mkdir(parents=True, exist_ok=True)
    weights.write(folder, _changed(weights, tables, loaded, matching, rows, grafting, size), progress=progress)
    write_configs(base, folder, matching, size, tokenizer)
    family.copy(base, folder, CARRIED_OVER)
    family.copy(tokenizer, folder, ("tokenizer.json", "tokenizer.model", *family.SETTINGS_FILES))
    return {
        **_figures(sides, matching, grafting.spellings),
        **compared,
        "tied": tables.tied,
        "old_rows": tables.rows,
        "rows": size,
        **_all_norms(loaded, rows, matching.num_old),
    }


def _choices(strategy: str, options: Mapping[str, Any], candidates: Sequence[str], where: str) -> list[Choice]:
    if strategy == AUTO and options:
        raise RecipeError(
            "the strategy auto takes no options.", where=where, remedy="Name one strategy to give it any."
        )
    choices = [Choice(name) for name in candidates] if strategy == AUTO else [Choice(strategy, options)]
    for choice in choices:
        choice.check(where)
    return choices


def _start(
    grafting: Grafting, choices: Mapping[str, Sequence[Choice]]
) -> tuple[dict[str, torch.Tensor], dict[str, dict[str, Any]], dict[str, Any]]:
    """The rows and figures of each side, and the table of the bake-off where there is more than one choice."""
    if grafting.new_ids and any(len(candidates) > 1 for candidates in choices.values()):
        rows, sides, table = bake_off(grafting, choices)
        return rows, sides, {"bakeoff": table}
    return *start(grafting, {side: candidates[0] for side, candidates in choices.items()}), {}


def _check_tied(choices: Mapping[str, Sequence[Choice]], base: Path) -> None:
    if choices[OUTPUT] != choices[INPUT]:
        raise InputError(
            "this model has one table for input and output, and two strategies were chosen.",
            where=base,
            remedy="Leave output_strategy and output_options out.",
        )


def _load(weights: Checkpoint, tables: Tables, num_old: int, base: Path) -> dict[str, torch.Tensor]:
    """The tables by side."""
    loaded = {}
    for side, names in ((INPUT, tables.input), (OUTPUT, tables.output)):
        for name in names[:1]:
            loaded[side] = weights.load(name)
            _check(name, loaded[side], tables.rows, num_old, base)
    return loaded


def _changed(
    weights: Checkpoint,
    tables: Tables,
    loaded: Mapping[str, torch.Tensor],
    matching: Matching,
    rows: Mapping[str, torch.Tensor],
    grafting: Grafting,
    size: int,
) -> dict[str, torch.Tensor]:
    """The tensors that differ, by name; none where the vocabulary is the same."""
    if matching.unchanged:
        return {}
    fresh = list(matching.fresh)
    changed = {}
    for side, names in ((INPUT, tables.input), (OUTPUT, tables.output)):
        if names:
            grown_VD = matching.arrange(loaded[side], size)
            grown_VD[fresh] = rows[side]
            changed |= dict.fromkeys(names, grown_VD)
    for name in tables.bias:
        bias_V = weights.load(name)
        _check(name, bias_V, tables.rows, matching.num_old, grafting.base)
        changed[name] = grown_bias(bias_V, matching, grafting, size)
    return changed


def _check(name: str, table: torch.Tensor, rows: int, num_old: int, base: Path) -> None:
    if table.dtype not in FLOATS:
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


def _figures(
    sides: Mapping[str, dict[str, Any]], matching: Matching, spellings: Sequence[Sequence[int]]
) -> dict[str, Any]:
    lengths = [len(pieces) for pieces in spellings if pieces]
    inputs = sides[INPUT]
    return {
        "strategy": inputs["strategy"],
        "output_strategy": sides[OUTPUT]["strategy"] if OUTPUT in sides else None,
        "sides": dict(sides),
        "new_rows": len(matching.fresh),
        "new_ids": ranges(sorted(matching.fresh)),
        "rows_copied": len(matching.copied),
        "rows_dropped": len(matching.dropped),
        "rows_from_subwords": len(lengths) if inputs["strategy"] == "subwords" else 0,
        "rows_random": inputs["rows_random"],
        "mean_pieces": sum(lengths) / len(lengths) if lengths else 0.0,
    }


def _all_norms(
    loaded: Mapping[str, torch.Tensor], rows: Mapping[str, torch.Tensor], num_old: int
) -> dict[str, dict[str, float]]:
    norms = {}
    for side, table in loaded.items():
        prefix = "" if side == INPUT else "output_"
        norms[f"{prefix}old_row_norm"] = _norms(table[:num_old])
        if len(rows[side]):
            norms[f"{prefix}new_row_norm"] = _norms(rows[side])
    return norms


def _norms(rows_VD: torch.Tensor) -> dict[str, float]:
    norms = torch.linalg.vector_norm(rows_VD, dim=1, dtype=torch.float32)
    return {"mean": norms.mean().item(), "min": norms.min().item(), "max": norms.max().item()}

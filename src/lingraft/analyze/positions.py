"""Bits per byte by position in a document.

Positions are bytes: two tokenizers then stand at the same place in the same text. R resamples, N documents, B bins.
"""

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from transformers import PretrainedConfig

from lingraft.evaluate.context import start_token
from lingraft.evaluate.evaluate import LEAST_DOCUMENTS, HeldOut
from lingraft.evaluate.generate import Loaded

from .resampling import Resampling, interval

CELL_BYTES = 64
FIRST_BIN_BYTES = 256
CHUNK_TOKENS = 1024


def read(loaded: Loaded, texts: Sequence[HeldOut], most_tokens: int) -> dict[str, Any]:
    """Bits, tokens and bytes by position of the documents of every stream, as far as the tokens reach."""
    most = limit_of(loaded.model.config, most_tokens)
    return {text.stream: [_cells(loaded, document, most) for document in text.texts] for text in texts}


def limit_of(config: PretrainedConfig, most_tokens: int) -> int:
    """Positions that are computed go on for ever, those that were learned end."""
    learned = getattr(config, "rope_parameters", None) is None and getattr(config, "max_position_embeddings", None)
    return min(most_tokens, config.max_position_embeddings) if learned else most_tokens


def _cells(loaded: Loaded, document: str, most_tokens: int) -> dict[str, Any]:
    """Bits, bytes and tokens of every 64 bytes of a document that are read whole; a token counts where it begins."""
    encoded = loaded.tokenizer(
        document, add_special_tokens=False, split_special_tokens=True, return_offsets_mapping=True
    )
    size_of = np.cumsum([0, *(len(char.encode()) for char in document)])
    begins = [int(size_of[begin]) for begin, _ in encoded["offset_mapping"]]
    nats = _nats(loaded, encoded["input_ids"][: most_tokens - 1])
    total = int(size_of[-1])
    end = begins[len(nats)] if len(nats) < len(begins) else total
    num_cells = math.ceil(end / CELL_BYTES) if end == total else end // CELL_BYTES
    cell_of = np.array(begins[: len(nats)], dtype=int) // CELL_BYTES
    within = cell_of < num_cells
    return {
        "bits": np.bincount(cell_of[within], weights=nats[within] / math.log(2), minlength=num_cells).tolist(),
        "tokens": np.bincount(cell_of[within], minlength=num_cells).tolist(),
        "bytes": [min(CELL_BYTES, total - cell * CELL_BYTES) for cell in range(num_cells)],
    }


@torch.inference_mode()
def _nats(loaded: Loaded, ids: Sequence[int]) -> np.ndarray:
    """Of every token after all before it; read in pieces, so that a long document needs no logits of all its places."""
    tokenizer, model = loaded.tokenizer, loaded.model
    start_id = start_token(tokenizer)
    given = torch.tensor([[start_id, *ids]], device=model.device)
    cache, found = None, []
    for begin in range(0, len(ids), CHUNK_TOKENS):
        end = min(begin + CHUNK_TOKENS, len(ids))
        out = model(input_ids=given[:, begin:end], past_key_values=cache, use_cache=True)
        cache = out.past_key_values
        loss = torch.nn.functional.cross_entropy(out.logits[0].float(), given[0, begin + 1 : end + 1], reduction="none")
        found.append(loss.double().cpu().numpy())
    return np.concatenate(found) if found else np.zeros(0)


def table(read: Mapping[str, Any], stream: str, seed: int) -> list[dict[str, Any]]:
    """Rows of positions that double; of every document what all models have read."""
    num_documents = len(next(iter(read.values()))[stream])
    read_by_all = [min(len(found[stream][d]["bits"]) for found in read.values()) for d in range(num_documents)]
    edges = [0, FIRST_BIN_BYTES // CELL_BYTES]
    while edges[-1] < max(read_by_all):
        edges.append(2 * edges[-1])
    sums = {name: _sums(found[stream], read_by_all, edges) for name, found in read.items()}
    first = next(iter(sums))
    rows = []
    for index, (begin, end) in enumerate(pairwise(edges)):
        reach = sums[first]["bytes"][:, index] > 0
        row: dict[str, Any] = {
            "stream": stream,
            "from_byte": begin * CELL_BYTES,
            "to_byte": end * CELL_BYTES,
            "documents": int(reach.sum()),
            "models": {},
        }
        rows.append(row)
        if reach.sum() < LEAST_DOCUMENTS:
            continue
        draws = Resampling(int(reach.sum()), seed)
        scores: dict[str, np.ndarray] = {}
        for name, counts in sums.items():
            scores[name] = _ratio(draws, counts, reach, index)
            figure: dict[str, Any] = {
                "bits_per_byte": interval(scores[name]),
                "tokens_before": float(counts["tokens"][reach, :index].sum(axis=1).mean()),
            }
            if index:
                figure["against_bin_before"] = interval(scores[name] - _ratio(draws, counts, reach, index - 1))
            if name != first:
                figure["against_base"] = interval(scores[name] - scores[first])
            row["models"][name] = figure
    return rows


def _sums(found: Sequence[Mapping[str, Any]], read: Sequence[int], edges: Sequence[int]) -> dict[str, np.ndarray]:
    """Bits, bytes and tokens (N, B) of every document by bin."""
    return {
        key: np.array(
            [
                [sum(document[key][begin : min(end, size)]) for begin, end in pairwise(edges)]
                for document, size in zip(found, read, strict=True)
            ],
            dtype=float,
        )
        for key in ("bits", "bytes", "tokens")
    }


def _ratio(draws: Resampling, counts: Mapping[str, np.ndarray], reach: np.ndarray, index: int) -> np.ndarray:
    return draws.sums(counts["bits"][reach, index]) / draws.sums(counts["bytes"][reach, index])

"""What each expert of a mixture is worth: the change of a score when it is disabled (Cui & Yao 2024, arXiv 2403.01851).

Also what the experts are chosen for in either language. N tokens, E experts, K of them chosen for a token.
"""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
from pydantic import Field

from lingraft.core.artifact import write_json
from lingraft.core.progress import Progress
from lingraft.evaluate.context import start_token
from lingraft.evaluate.evaluate import HeldOut, load
from lingraft.evaluate.generate import Loaded

from .expert_figures import ModelFigures, between
from .measures import Measure, count, measures
from .mixture import MODES, Below, Mixture, decoder_layers, disabled, find, watched
from .subject import Subject, spread


def experts(
    subject: Subject,
    *,
    documents: Annotated[int, Field(ge=2)] = 64,
    document_bytes: Annotated[int, Field(ge=64)] = 2048,
    dead_share: Annotated[float, Field(ge=0, le=1)] = 0.01,
) -> dict[str, Any]:
    """The change of every score without each expert, in two modes; router entropy, load, overlap, dead experts.

    The first `document_bytes` of `documents` of every stream, evenly spread, are read once for every expert and mode.
    An expert is dead that gets less than `dead_share` of an even load in every stream, or without whose output nothing
    changes in any.
    """
    texts = [spread(text, documents, most_bytes=document_bytes) for text in subject.texts]
    scored = measures(texts, subject.tasks, subject.context_tokens)
    figures = {}
    for name, path in subject.models.items():
        kept = _measured(name, path, texts, scored, subject)
        if kept["layers"]:
            figures[name] = ModelFigures(kept, scored, subject.seed)
    if not figures:
        return {
            "skipped": "no model has experts that could be told apart: they are dense, or keep them in another way."
        }
    models = {name: found.of_model(dead_share) for name, found in figures.items()}
    return {
        "documents": {text.stream: len(text.texts) for text in texts},
        "bytes": {text.stream: sum(len(one.encode()) for one in text.texts) for text in texts},
        "languages": {text.stream: text.language.tag for text in texts},
        "context_tokens": subject.context_tokens,
        "measures": {name: measure.described() for name, measure in scored.items()},
        "dead_share": dead_share,
        "models": models,
        "between_models": between(figures),
    }


def _measured(
    name: str, path: Path, texts: Sequence[HeldOut], scored: Mapping[str, Measure], subject: Subject
) -> dict[str, Any]:
    """What was counted in every item; written after each layer, so that a killed analysis goes on there."""
    file = subject.folder / f"experts-{name}.json"
    kept = json.loads(file.read_text(encoding="utf-8")) if file.exists() else None
    if kept is not None and len(kept["cells"]) == len(kept["layers"]):
        return kept
    loaded = load(path, trust_remote_code=path in subject.trusted)
    mixtures = find(loaded.model)
    if kept is None:
        mixtures = mixtures if _can_be_read(loaded, mixtures) else []
        kept = {
            "layers": [mixture.layer for mixture in mixtures],
            "num_experts": mixtures[0].num_experts if mixtures else 0,
            "cells": [],
        }
        if mixtures:
            kept["base"] = count(scored, loaded)
            kept["routing"] = {t.stream: _routing(loaded, mixtures, t, subject.context_tokens) for t in texts}
        write_json(file, kept)
    _disable_all(loaded, mixtures, scored, kept, lambda: write_json(file, kept), subject.progress)
    return kept


def _disable_all(
    loaded: Loaded,
    mixtures: Sequence[Mixture],
    scored: Mapping[str, Measure],
    kept: dict[str, Any],
    save: Callable[[], None],
    progress: Progress,
) -> None:
    """Fill `kept["cells"]`, by layer, expert and mode; layers below the one that is changed are not run again."""
    below = Below(decoder_layers(loaded.model))
    left = mixtures[len(kept["cells"]) :] if kept["layers"] else []
    progress.start("disabling experts", sum(m.num_experts for m in left) * len(MODES), "measurements")
    for mixture in left:
        below.advance(mixture.layer, lambda: count(scored, loaded))
        row = []
        for expert in range(mixture.num_experts):
            cell = {}
            for mode in MODES:
                with below.skipped(), disabled(mixture, expert, mode):
                    cell[mode] = count(scored, loaded)
                progress.advance()
            row.append(cell)
        kept["cells"].append(row)
        save()


@torch.inference_mode()
def _can_be_read(loaded: Loaded, mixtures: list[Mixture]) -> bool:
    with watched(mixtures) as choices:
        loaded.model.get_decoder()(input_ids=torch.tensor([[0]], device=loaded.model.device), use_cache=False)
    return all(choice is not None for choice in choices)


@torch.inference_mode()
def _routing(loaded: Loaded, mixtures: list[Mixture], text: HeldOut, context_tokens: int) -> dict[str, list[Any]]:
    """How often each expert was chosen in every document, the router's entropy in bits, and the tokens.

    Each token counts once, what begins a text does not.
    """
    tokenizer, decoder = loaded.tokenizer, loaded.model.get_decoder()
    start_id = start_token(tokenizer)
    counts, entropies, tokens = [], [], []
    for document in text.texts:
        ids = tokenizer(document, add_special_tokens=False, split_special_tokens=True)["input_ids"]
        count = np.zeros((len(mixtures), mixtures[0].num_experts))
        entropy = np.zeros(len(mixtures))
        for begin in range(0, len(ids), context_tokens - 1):
            part = [start_id, *ids[begin : begin + context_tokens - 1]]
            with watched(mixtures) as choices:
                decoder(input_ids=torch.tensor([part], device=loaded.model.device), use_cache=False)
            for index, choice in enumerate(choices):
                chosen = choice.chosen_NK[1:].flatten().cpu()
                count[index] += torch.bincount(chosen, minlength=count.shape[1]).numpy()
                log_NE = choice.logits_NE[1:].float().log_softmax(dim=1)
                entropy[index] -= (log_NE.exp() * log_NE).sum().item() / math.log(2)
        counts.append(count.tolist())
        entropies.append(entropy.tolist())
        tokens.append(len(ids))
    return {"chosen": counts, "entropy": entropies, "tokens": tokens}

"""Whether sentences that say the same lie together in both languages: retrieval of translations from every layer.

L layers (embeddings first), V variants of the score, W ways, N sentences, D columns of a state; B S of a batch.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
from pydantic import Field

from lingraft.core.artifact import write_json
from lingraft.core.progress import SILENT, Progress
from lingraft.evaluate.evaluate import load
from lingraft.evaluate.generate import Loaded

from . import parallel as sources
from . import retrieval
from .resampling import Resampling, interval, share_interval
from .subject import Subject

VARIANTS = ("cosine", "margin", "centered_cosine", "centered_margin")
HEADLINE = "centered_margin"
"""States of a causal model share a direction, and those of a language another; some are near to all. The centered
margin takes out all three. Its mean over the layers is the headline, so that no layer is picked for its result."""
SIMILARITIES = ("raw", "centered")
BATCH_TOKENS = 2048

Figure = dict[str, float | None]


def alignment(
    subject: Subject,
    *,
    parallel: Path | None = None,
    sentences: Annotated[int, Field(ge=sources.LEAST)] = 500,
) -> dict[str, Any]:
    """Accuracy of finding a sentence's translation by its mean state, for every model and layer, in both ways.

    Names and numbers find many sentences without any model: `spelling` is how many. What is below it shows no
    understanding of what two sentences have in common, whatever it gained.
    `parallel` names a folder or file of translations in the target and the replay language; by default those of
    the starter. At most so many `sentences` are taken, evenly spread. Intervals come from resampling sentences; the
    sentences to choose from stay all.
    """
    found = sources.of(subject.texts, parallel)
    if isinstance(found, str):
        return {"skipped": found}
    found = found.spread(sentences)
    pairs = found.pairs
    kept = {name: _measure(subject, name, path, pairs) for name, path in subject.models.items()}
    by_spelling_N, draws = _by_spelling(pairs), Resampling(len(pairs), subject.seed)
    return {
        "target": found.target,
        "replay": found.replay,
        "pairs": len(pairs),
        "source": found.source,
        "chance": 1 / len(pairs),
        "variants": list(VARIANTS),
        "headline": f"{HEADLINE}, mean of both ways and of all layers above the embeddings",
        "spelling": _share(by_spelling_N, draws),
        "models": _models(kept, by_spelling_N, draws),
        "layers": _layers(kept, draws),
    }


@torch.inference_mode()
def mean_states(
    loaded: Loaded, sentences: Sequence[str], *, context_tokens: int, progress: Progress = SILENT
) -> tuple[np.ndarray, int]:
    """The mean state of each sentence's tokens at every layer (L, N, D), and how many sentences were cut.

    BOS (EOS where there is none) stands before each and is left out of the mean. The last layer is as the model
    gives it to its head, after the final norm.
    """
    tokenizer = loaded.tokenizer
    start = tokenizer.eos_token_id if tokenizer.bos_token_id is None else tokenizer.bos_token_id
    plain = {"add_special_tokens": False, "split_special_tokens": True}
    before = [] if start is None else [start]
    whole = [before + tokenizer(text, **plain)["input_ids"] for text in sentences]
    pooled: list[torch.Tensor] = []
    order: list[int] = []
    progress.start("reading sentences", len(whole), "sentences")
    for batch in _batches([min(len(ids), context_tokens) for ids in whole]):
        longest = min(len(whole[batch[0]]), context_tokens)
        ids_BS = torch.zeros(len(batch), longest, dtype=torch.long)
        weights_BS = torch.zeros(len(batch), longest)
        for row, number in enumerate(batch):
            ids = whole[number][:context_tokens]
            ids_BS[row, : len(ids)] = torch.tensor(ids)
            weights_BS[row, len(before) : len(ids)] = 1 / max(1, len(ids) - len(before))
        # Padding stands at the right and attention is causal: no mask is needed.
        found = loaded.model.base_model(
            input_ids=ids_BS.to(loaded.model.device), output_hidden_states=True, use_cache=False
        )
        weights_BS = weights_BS.to(loaded.model.device)
        layers = [torch.einsum("bs,bsd->bd", weights_BS, states_BSD.float()) for states_BSD in found.hidden_states]
        pooled.append(torch.stack(layers).cpu())
        order += batch
        progress.advance(len(batch))
    states_LND = torch.cat(pooled, dim=1)[:, np.argsort(order)]
    return states_LND.numpy(), sum(len(ids) > context_tokens for ids in whole)


def scores(left_LND: np.ndarray, right_LND: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What was found (L, V, W, N), and by how much pairs are nearer than others, raw and centered (L, 2, N)."""
    every_found, every_separation = [], []
    for left_ND, right_ND in zip(left_LND, right_LND, strict=True):
        raw_NN = retrieval.cosines(left_ND, right_ND)
        centered_NN = retrieval.cosines(retrieval.centered(left_ND), retrieval.centered(right_ND))
        variants = (raw_NN, retrieval.margins(raw_NN), centered_NN, retrieval.margins(centered_NN))
        every_found.append([retrieval.found(scores_NN) for scores_NN in variants])
        every_separation.append([retrieval.separation(cosines_NN) for cosines_NN in (raw_NN, centered_NN)])
    return np.array(every_found), np.array(every_separation)


def _batches(lengths: Sequence[int]) -> Iterator[list[int]]:
    """Numbers of sentences of like length, the longest first."""
    batch: list[int] = []
    for number in sorted(range(len(lengths)), key=lambda number: -lengths[number]):
        if batch and (len(batch) + 1) * lengths[batch[0]] > BATCH_TOKENS:
            yield batch
            batch = []
        batch.append(number)
    if batch:
        yield batch


def _measure(subject: Subject, name: str, path: Path, pairs: Sequence[sources.Pair]) -> dict[str, Any]:
    """Scores of one model, kept in the subject's folder as soon as they are there."""
    file = subject.folder / f"alignment-{name}.json"
    if not file.exists():
        loaded = load(path, trust_remote_code=path in subject.trusted)
        sides = [
            mean_states(loaded, side, context_tokens=subject.context_tokens, progress=subject.progress)
            for side in zip(*pairs, strict=True)
        ]
        found_LVWN, separation_LSN = scores(sides[0][0], sides[1][0])
        cut = sum(number for _, number in sides)
        write_json(file, {"cut": cut, "found": found_LVWN.tolist(), "separation": separation_LSN.tolist()})
    kept = json.loads(file.read_text(encoding="utf-8"))
    return {**kept, "found": np.array(kept["found"]), "separation": np.array(kept["separation"])}


def _by_spelling(pairs: Sequence[sources.Pair]) -> np.ndarray:
    """Which sentences are found without any model, by runs of three letters that both sides have."""
    cosines_NN = retrieval.cosines(*retrieval.spelling(*zip(*pairs, strict=True)))
    return np.mean(retrieval.found(retrieval.margins(cosines_NN)), axis=0)


def _models(
    kept: Mapping[str, Mapping[str, Any]], by_spelling_N: np.ndarray, draws: Resampling
) -> list[dict[str, Any]]:
    """The headline of every model, and its paired gain on the first model and on spelling."""
    variant = VARIANTS.index(HEADLINE)
    scores = {name: model["found"][1:, variant].mean(axis=(0, 1)) for name, model in kept.items()}
    first, *_ = scores
    return [
        {
            "model": name,
            "accuracy": _share(scores[name], draws),
            "gain": None if name == first else _mean(scores[name] - scores[first], draws),
            "against_spelling": _mean(scores[name] - by_spelling_N, draws),
            "best_layer": int(model["found"][:, variant].mean(axis=(1, 2)).argmax()),
            "cut": model["cut"],
        }
        for name, model in kept.items()
    ]


def _layers(kept: Mapping[str, Mapping[str, Any]], draws: Resampling) -> list[dict[str, Any]]:
    """A row for every model and layer; gains are paired, and only on a first model of as many layers."""
    first, *_ = kept.values()
    rows = []
    for name, model in kept.items():
        base = first if model is not first and model["found"].shape == first["found"].shape else None
        for layer, (found_VWN, separation_SN) in enumerate(zip(model["found"], model["separation"], strict=True)):
            accuracy, apart = {}, {}
            for at, variant in enumerate(VARIANTS):
                both_N = found_VWN[at].mean(axis=0)
                accuracy[variant] = {
                    "both": _share(both_N, draws),
                    "target_to_replay": _share(found_VWN[at, 0], draws),
                    "replay_to_target": _share(found_VWN[at, 1], draws),
                    "gain": base and _mean(both_N - base["found"][layer, at].mean(axis=0), draws),
                }
            for at, kind in enumerate(SIMILARITIES):
                gain = base and _mean(separation_SN[at] - base["separation"][layer, at], draws)
                apart[kind] = {"level": _mean(separation_SN[at], draws), "gain": gain}
            rows.append({"model": name, "layer": layer, "accuracy": accuracy, "separation": apart})
    return rows


def _mean(values_N: np.ndarray, draws: Resampling) -> Figure:
    return interval(draws.sums(values_N) / len(values_N))


def _share(found_N: np.ndarray, draws: Resampling) -> Figure:
    return share_interval(draws.sums(found_N) / len(found_N), len(found_N))

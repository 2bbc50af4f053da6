"""Changes to a parsed tokenizer.json: tokens and merges put in and taken out."""

import dataclasses
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from . import kind, unigram
from .method import Source

Merge = tuple[str, str]


def add(source: Source, tokens: Sequence[str], ids: Sequence[int] | None = None, *, ahead: bool = False) -> Any:
    """The source's content with new tokens in the order of their rank, at `ids` or after the highest id in use.

    In a BPE they rank below all old tokens (or `ahead` of them), and each is made from any two neighbours that spell
    it; so is an old token where one of the two is new, at its old rank. That is how SentencePiece and tiktoken read a
    vocabulary, and where it is written as merges as well it now means the same.
    """
    vocabulary = source.tokenizer.get_vocab()
    if ids is None:
        first = max(vocabulary.values()) + 1
        ids = range(first, first + len(tokens))
    model = dict(source.content["model"])
    if source.family == kind.UNIGRAM:
        scores = unigram.scores(source.tokenizer.backend_tokenizer, tokens, dict(model["vocab"]))
        beyond = sorted((at, token) for token, at in vocabulary.items() if at >= len(model["vocab"]))
        pieces = [*((token, 0.0) for _, token in beyond), *zip(tokens, scores, strict=True)]
        model["vocab"] = [*model["vocab"], *map(list, pieces)]
        return {**source.content, "model": model}
    new = dict(zip(tokens, ids, strict=True))
    model["vocab"] = _entered(source, new)
    old_merges = merges(model)
    made = [merge for token in tokens for merge in merges_of(token, model["vocab"])]
    old_merges = _completed(old_merges, new, model["vocab"])
    model["merges"] = _written(made + old_merges if ahead else old_merges + made, model)
    return {**source.content, "model": model}


def append(source: Source, tokens: Sequence[str], ranked: Iterable[Merge]) -> Any:
    """The source's content with new tokens after the highest id in use, and these merges of a BPE below the old."""
    first = max(source.tokenizer.get_vocab().values()) + 1
    model = dict(source.content["model"])
    model["vocab"] = _entered(source, {token: first + rank for rank, token in enumerate(tokens)})
    model["merges"] = _written([*merges(model), *ranked], model)
    return {**source.content, "model": model}


def rebuild(source: Source, vocabulary: Mapping[str, int], ranked: Iterable[Merge]) -> Any:
    """The source's content with another vocabulary, added tokens included, and other merges of a BPE."""
    model = {**source.content["model"], "vocab": dict(vocabulary)}
    model["merges"] = _written(ranked, source.content["model"])
    added = [{**token, "id": vocabulary[token["content"]]} for token in source.content["added_tokens"]]
    around = _renumbered(source.content["post_processor"], vocabulary)
    return {**source.content, "model": model, "added_tokens": added, "post_processor": around}


def merges(model: Mapping[str, Any]) -> list[Merge]:
    """The merges of a BPE in the order of rank."""
    # Before tokenizers 0.20 each was one string, its parts separated by a space.
    return [tuple(merge.split(" ")) if isinstance(merge, str) else tuple(merge) for merge in model["merges"]]


def merges_of(token: str, vocabulary: Mapping[str, int]) -> list[Merge]:
    """Every way to make the token of two tokens of the vocabulary; those of the lowest ids first."""
    splits = [(token[:at], token[at:]) for at in range(1, len(token))]
    found = [split for split in splits if split[0] in vocabulary and split[1] in vocabulary]
    return sorted(found, key=lambda split: (vocabulary[split[0]], vocabulary[split[1]]))


def size(content: Mapping[str, Any]) -> int:
    """One more than the highest id."""
    vocabulary = content["model"]["vocab"]
    own = len(vocabulary) - 1 if isinstance(vocabulary, list) else max(vocabulary.values())
    return 1 + max([own, *(token["id"] for token in content["added_tokens"])])


def replace(source: Source, dropped: Mapping[str, int], tokens: Sequence[str]) -> Any:
    """The source's content with new tokens, in the order of their rank, at the ids of dropped ones."""
    ids = sorted(dropped.values())[: len(tokens)]
    if source.family == kind.UNIGRAM:
        model = dict(source.content["model"])
        scores = unigram.scores(source.tokenizer.backend_tokenizer, tokens, dict(model["vocab"]))
        pieces = list(model["vocab"])
        for index, token, score in zip(ids, tokens, scores, strict=True):
            pieces[index] = [token, score]
        return {**source.content, "model": {**model, "vocab": pieces}}
    return add(dataclasses.replace(source, content=remove(source.content, dropped)), tokens, ids)


def remove(content: Mapping[str, Any], dropped: Collection[str]) -> Any:
    """The content of a BPE without some tokens, and without every merge that makes or uses one."""
    model = dict(content["model"])
    model["vocab"] = {token: index for token, index in model["vocab"].items() if token not in dropped}
    gone = set(dropped)
    kept = [merge for merge in merges(model) if gone.isdisjoint((*merge, "".join(merge)))]
    model["merges"] = _written(kept, model)
    return {**content, "model": model}


def close_up(content: Mapping[str, Any], dropped: Collection[str]) -> Any:
    """The content without some tokens, the ids of the others closed up in their old order."""
    vocabulary = content["model"]["vocab"]
    if isinstance(vocabulary, list):
        tokens = {token: index for index, (token, _) in enumerate(vocabulary)}
        model = {**content["model"], "vocab": [piece for piece in vocabulary if piece[0] not in dropped]}
    else:
        tokens, model = dict(vocabulary), dict(remove(content, dropped)["model"])
    tokens |= {token["content"]: token["id"] for token in content["added_tokens"]}
    kept = sorted((index, token) for token, index in tokens.items() if token not in dropped)
    new = {old: at for at, old in enumerate(dict.fromkeys(index for index, _ in kept))}
    if not isinstance(vocabulary, list):
        model["vocab"] = {token: new[index] for token, index in model["vocab"].items()}
    elif model.get("unk_id") is not None:
        model["unk_id"] = new[model["unk_id"]]
    changed = {**content, "model": model}
    changed["added_tokens"] = [{**token, "id": new[token["id"]]} for token in content["added_tokens"]]
    ids = {token: new[index] for index, token in kept}
    changed["post_processor"] = _renumbered(content["post_processor"], ids)
    return changed


def _entered(source: Source, new: Mapping[str, int]) -> dict[str, int]:
    """The vocabulary of a BPE with new tokens."""
    # Llama-3 has its special tokens only in the list of added ones. There they get ids after the end of the model's
    # vocabulary when the file is loaded: unless they stand in it themselves, growing it would move them.
    return source.content["model"]["vocab"] | source.tokenizer.get_added_vocab() | new


def _renumbered(processor: Any, vocabulary: Mapping[str, int]) -> Any:
    """A post-processor, which names the tokens that it puts around a text with their ids."""
    if processor is None:
        return None
    if "processors" in processor:
        return {**processor, "processors": [_renumbered(step, vocabulary) for step in processor["processors"]]}
    if "special_tokens" in processor:  # of a template
        named = processor["special_tokens"].items()
        special = {name: {**it, "ids": [vocabulary[token] for token in it["tokens"]]} for name, it in named}
        return {**processor, "special_tokens": special}
    ends = {end: [processor[end][0], vocabulary[processor[end][0]]] for end in ("sep", "cls") if end in processor}
    return {**processor, **ends}


def _completed(old_merges: list[Merge], new: Mapping[str, int], vocabulary: Mapping[str, int]) -> list[Merge]:
    """The old merges, with those that make an old token of a new one put after the others that make it."""
    last = {left + right: at for at, (left, right) in enumerate(old_merges)}
    more: defaultdict[int, list[Merge]] = defaultdict(list)
    for token, at in last.items():
        for cut in range(1, len(token)):
            left, right = token[:cut], token[cut:]
            if (left in new or right in new) and left in vocabulary and right in vocabulary:
                more[at].append((left, right))
    completed: list[Merge] = []
    for at, merge in enumerate(old_merges):
        completed.append(merge)
        completed += more.get(at, ())
    return completed


def _written(ranked: Iterable[Merge], model: Mapping[str, Any]) -> list[Any]:
    in_words = bool(model["merges"]) and isinstance(model["merges"][0], str)
    return [f"{left} {right}" if in_words else [left, right] for left, right in ranked]

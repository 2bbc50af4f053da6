"""Which tokens a BPE never makes of any text."""

import json
from collections.abc import Container, Iterable
from typing import Any

from tokenizers import Tokenizer

NUM_NAMED = 20


def unmerged(content: dict[str, Any], tokens: Iterable[str]) -> list[str]:
    """Those tokens that the merges of a tokenizer.json never make of their own symbols."""
    model = {**content["model"], "ignore_merges": False}
    backend = Tokenizer.from_str(json.dumps({**content, "model": model}))
    return [token for token in tokens if [part.value for part in backend.model.tokenize(token)] != [token]]


def unreached(content: dict[str, Any], tokens: Iterable[str], words: Container[str]) -> list[str]:
    """The same without those of the words that `ignore_merges`, as Llama-3 has it, finds where they stand alone."""
    found = unmerged(content, tokens)
    return [token for token in found if token not in words] if content["model"]["ignore_merges"] else found


def figures(content: dict[str, Any], tokens: Iterable[str], words: Container[str]) -> dict[str, Any]:
    """How many of the tokens no text can reach, and how many at least no merges can."""
    beyond = unreached(content, tokens, words)
    return {
        "unmerged": len(unmerged(content, tokens)),
        "unreachable": len(beyond),
        "unreachable_names": beyond[:NUM_NAMED],
    }

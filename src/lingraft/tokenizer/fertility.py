"""How many tokens a text costs, and where the tokens fall in it."""

from collections.abc import Iterable
from typing import Any

import numpy as np
from transformers import PreTrainedTokenizerFast

from . import family
from .words_of_text import count_words

RENYI_ORDER = 2.5
"""The one that fitted translation quality best in the paper."""


def measure(tokenizer: PreTrainedTokenizerFast, texts: Iterable[str]) -> dict[str, Any]:
    """Counts over all texts, and their ratios (None without tokens or words).

    Words are separated by white space or, in scripts without it, by ICU; special tokens are not counted.
    `byte_fallback_rate` is the share of tokens that are no whole characters. `renyi_efficiency` is the Renyi entropy
    of the tokens of order 2.5 over the logarithm of the size of the vocabulary (Zouhar et al. 2023, arXiv 2306.16842,
    section 4): 1 where all tokens are used alike.
    """
    documents = num_bytes = characters = words = 0
    uses = np.zeros(max(tokenizer.get_vocab().values()) + 1, dtype=np.int64)
    for text, ids in family.encode(tokenizer, texts):
        documents += 1
        num_bytes += len(text.encode())
        characters += len(text)
        words += count_words(text)
        np.add.at(uses, ids, 1)
    tokens = int(uses.sum())
    partial = int(uses[family.partial_characters(tokenizer)].sum())
    return {
        "documents": documents,
        "bytes": num_bytes,
        "characters": characters,
        "words": words,
        "tokens": tokens,
        "vocabulary": len(tokenizer.get_vocab()),
        "bytes_per_token": num_bytes / tokens if tokens else None,
        "characters_per_token": characters / tokens if tokens else None,
        "tokens_per_word": tokens / words if words else None,
        "tokens_per_document": tokens / documents if documents else None,
        "byte_fallback_rate": partial / tokens if tokens else None,
        "renyi_efficiency": renyi_efficiency(uses, len(tokenizer.get_vocab())) if tokens else None,
    }


def renyi_efficiency(uses: np.ndarray, vocabulary: int, order: float = RENYI_ORDER) -> float:
    """H_a / log |V| with H_a = log(sum of p^a) / (1 - a), p the share of each token in the text."""
    shares = uses[uses > 0] / uses.sum()
    return float(np.log(np.sum(shares**order)) / (1 - order) / np.log(vocabulary))


def parity(tokenizer: PreTrainedTokenizerFast, texts: Iterable[str], english: Iterable[str]) -> float:
    """How many times the tokens that the same text costs in English (Petrov et al. 2023, arXiv 2305.15425, eq. 1)."""
    costs = [sum(len(ids) for _, ids in family.encode(tokenizer, found)) for found in (texts, english)]
    return costs[0] / costs[1]


def segments(tokenizer: PreTrainedTokenizerFast, text: str) -> list[str]:
    """The text cut into one piece per token; joined, the pieces are the text.

    Where several tokens share a character the first holds it and the others are empty. Text that belongs to no token
    (white space that a normalizer took away) is held by the token after it, at the end by the last.
    """
    pieces: list[str] = []
    done = 0
    for _, end in tokenizer.backend_tokenizer.encode(text, add_special_tokens=False).offsets:
        pieces.append(text[done:end])
        done = max(done, end)
    if pieces:
        pieces[-1] += text[done:]
    return pieces

"""How many tokens a text costs, and where the tokens fall in it."""

from collections.abc import Iterable
from typing import Any

from transformers import PreTrainedTokenizerFast

from . import family


def measure(tokenizer: PreTrainedTokenizerFast, texts: Iterable[str]) -> dict[str, Any]:
    """Counts over all texts, and their ratios (None without tokens or words).

    Words are separated by white space; special tokens are not counted.
    """
    documents = num_bytes = characters = words = tokens = 0
    for text, ids in family.encode(tokenizer, texts):
        documents += 1
        num_bytes += len(text.encode())
        characters += len(text)
        words += len(text.split())
        tokens += len(ids)
    return {
        "documents": documents,
        "bytes": num_bytes,
        "characters": characters,
        "words": words,
        "tokens": tokens,
        "bytes_per_token": num_bytes / tokens if tokens else None,
        "characters_per_token": characters / tokens if tokens else None,
        "tokens_per_word": tokens / words if words else None,
    }


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

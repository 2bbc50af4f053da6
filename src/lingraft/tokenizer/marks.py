"""Split patterns that tear combining marks from their letters, mended.

GPT-2's pattern and its heirs match words as `\\p{L}+`, and a vowel sign of Devanagari, Bengali, Thai or Burmese is no
letter but a mark, `\\p{M}`: every word of Hindi is cut at each of its vowels, and no token can ever grow across one.
"""

import json
from collections.abc import Iterable
from copy import deepcopy
from dataclasses import replace
from typing import Any

import regex
from tokenizers import pre_tokenizers

from . import kind, words
from .method import Source

LEAST_SHARE = 0.001
"""Of the words of a text, how many must be torn before the pattern is changed."""
SAMPLE_CHARACTERS = 5000
TORN = regex.compile(r"[\p{L}\p{M}]\p{M}")


def torn_share(source: Source, texts: Iterable[str]) -> float:
    """The share of pre-tokens that begin with a mark which the letter before it should have kept."""
    backend = source.tokenizer.backend_tokenizer
    torn = total = 0
    for text in texts:
        for part in words.cutter(backend)(text[:SAMPLE_CHARACTERS]):
            pieces = backend.pre_tokenizer.pre_tokenize_str(part)
            total += len(pieces)
            torn += sum(start > 0 and TORN.match(part, start - 1) is not None for _, (start, _) in pieces)
    return torn / total if total else 0.0


def joined(source: Source) -> Source | None:
    """The same tokenizer with marks kept on their letters; None where its pattern is not of that kind.

    Text without combining marks is cut as before.
    """
    content = deepcopy(source.content["pre_tokenizer"])
    if source.family != kind.BYTE_LEVEL_BPE or content is None:
        return None
    steps = content.get("pretokenizers", [content])
    if not any(_mend(step) for step in steps):
        return None
    mended = pre_tokenizers.Sequence([])
    mended.__setstate__(json.dumps(content).encode())
    tokenizer = deepcopy(source.tokenizer)
    tokenizer.backend_tokenizer.pre_tokenizer = mended
    return replace(source, tokenizer=tokenizer, content={**source.content, "pre_tokenizer": content})


def same_words(source: Source, mended: Source, texts: Iterable[str]) -> bool:
    """Whether both cut all texts alike."""
    return words.count(source.tokenizer.backend_tokenizer, texts) == words.count(
        mended.tokenizer.backend_tokenizer, texts
    )


def _mend(step: dict[str, Any]) -> bool:
    """Change one step of a pre-tokenizer where it stands; whether it was one that tears marks off."""
    if step["type"] == "ByteLevel" and step["use_regex"]:
        bytes_only = {**step, "use_regex": False}
        split = {
            "type": "Split",
            "pattern": {"Regex": with_marks(words.GPT2_PATTERN)},
            "behavior": "Isolated",
            "invert": False,
        }
        step.clear()
        step |= {"type": "Sequence", "pretokenizers": [split, bytes_only]}
        return True
    pattern = step.get("pattern", {}).get("Regex") if step["type"] == "Split" else None
    if pattern is None or r"\p{L}" not in pattern or r"\p{M}" in pattern:
        return False
    step["pattern"] = {"Regex": with_marks(pattern)}
    return True


def with_marks(pattern: str) -> str:
    r"""The pattern with every `\p{L}` standing for letters and marks, inside of character classes and outside."""
    parts = regex.split(r"(\[(?:\\.|[^\]\\])*\])", pattern)  # the classes stand at the odd places
    inside = r"\p{L}\p{M}"
    return "".join(part.replace(r"\p{L}", inside if at % 2 else f"[{inside}]") for at, part in enumerate(parts))

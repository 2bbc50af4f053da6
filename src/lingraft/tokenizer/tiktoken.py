"""tiktoken rank files: each line a token's bytes in base64 and its rank. Read into the form of a tokenizer.json."""

import binascii
import json
from base64 import b64decode
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers
from transformers.convert_slow_tokenizer import bytes_to_unicode

from lingraft.core.errors import InputError
from lingraft.core.registry import did_you_mean

from .content import merges_of
from .words import GPT2_PATTERN

_END = r"|\s*[\r\n]+|\s+(?!\S)|\s+"
_CONTRACTION = "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
_UPPER, _LOWER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
_BEFORE = r"[^\r\n\p{L}\p{N}]?"


def _cased(after: str, digits: str) -> str:
    """A word is capitals and then small letters, marks and uncased letters being both."""
    words = f"{_BEFORE}{_UPPER}*{_LOWER}+{after}|{_BEFORE}{_UPPER}+{_LOWER}*{after}"
    return rf"{words}|{digits}| ?[^\s\p{{L}}\p{{N}}]+[\r\n/]*{_END}"


def _uncased(digits: str) -> str:
    return rf"{_CONTRACTION}|{_BEFORE}\p{{L}}+|{digits}| ?[^\s\p{{L}}\p{{N}}]+[\r\n]*{_END}"


# A rank file does not name its split pattern; these are published with the models' code.
PATTERNS = {
    "gpt2": GPT2_PATTERN,
    "llama3": _uncased(r"\p{N}{1,3}"),
    "qwen": _uncased(r"\p{N}"),
    "o200k": _cased(f"{_CONTRACTION}?", r"\p{N}{1,3}"),  # of GPT-4o and Llama 4
    "tekken": _cased("", r"\p{N}"),  # of Mistral Nemo
}


def read(
    path: Path, pattern: str, special: Mapping[str, int] = MappingProxyType({}), *, first_id: int = 0
) -> dict[str, Any]:
    """The tokenizer.json, parsed, of a rank file with the split pattern of this name and special tokens at these ids.

    Ids are ranks counted from `first_id`. A token is made from any two neighbours that spell it, the one of the lowest
    rank first.
    Raises InputError for an unknown pattern, a file of another kind, and ids used twice.
    """
    if pattern not in PATTERNS:
        raise InputError(f'no split pattern is called "{pattern}".', remedy=did_you_mean(pattern, PATTERNS))
    symbols = bytes_to_unicode()
    ranks = _ranks(path)
    tokens = {"".join(symbols[byte] for byte in token): first_id + rank for token, rank in ranks.items()}
    if missing := 256 - sum(len(token) == 1 for token in tokens):
        raise InputError(
            f"{missing} of the 256 bytes have no rank.", where=path, remedy="Download the file again: it is cut short."
        )
    _require_distinct({**tokens, **special}, path)
    ranked = [merge for token in sorted(tokens, key=tokens.__getitem__) for merge in merges_of(token, tokens)]
    # A whole word that has a rank is taken as it is, before any merge: so does tiktoken.
    tokenizer = Tokenizer(models.BPE({**tokens, **special}, ranked, ignore_merges=True))
    split = pre_tokenizers.Split(Regex(PATTERNS[pattern]), "isolated")
    to_bytes = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([split, to_bytes])
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(token, normalized=False) for token in special])
    return json.loads(tokenizer.to_str())


def _ranks(path: Path) -> dict[bytes, int]:
    ranks: dict[bytes, int] = {}
    for number, line in enumerate(path.read_bytes().splitlines(), 1):
        try:
            token, rank = line.split()
            ranks[b64decode(token, validate=True)] = int(rank)
        except (ValueError, binascii.Error) as error:
            raise InputError(
                "this is not a token's bytes in base64 and its rank.",
                where=f"{path}, line {number}",
                remedy="Give a tiktoken rank file; one of SentencePiece is another thing with the same name.",
            ) from error
    return ranks


def _require_distinct(tokens: Mapping[str, int], path: Path) -> None:
    by_id: dict[int, str] = {}
    for token, index in tokens.items():
        if by_id.setdefault(index, token) != token:
            raise InputError(
                f"id {index} is that of {by_id[index]!r} and of {token!r}.",
                where=path,
                remedy="Give special tokens ids that no rank has.",
            )

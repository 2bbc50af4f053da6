"""Tokenizers as transformers runs them: open, encode, and count the bytes that each token stands for."""

import re
import shutil
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

import numpy as np
from tokenizers import Encoding
from transformers import AutoTokenizer, PreTrainedTokenizerFast
from transformers.convert_slow_tokenizer import bytes_to_unicode

from lingraft.core.errors import InputError

from . import kind

# What makes up a tokenizer folder beside tokenizer.json. Second copies of the vocabulary (vocab.json, merges.txt,
# tokenizer.model) are left out: they would go on describing the old one.
SETTINGS_FILES = (
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "chat_template.jinja",
    "chat_template.json",
    "additional_chat_templates/*.jinja",
)
BATCH_DOCUMENTS = 64
BYTE_TOKEN = re.compile(r"<0x[0-9A-F]{2}>")


def open(folder: Path) -> PreTrainedTokenizerFast:
    """The tokenizer in `folder` as transformers runs it, with any fixed truncation and padding taken off.

    Raises InputError when there is no tokenizer.json, or it does not load.
    """
    path = folder / "tokenizer.json"
    if not path.is_file():
        there = ", ".join(sorted(entry.name for entry in folder.iterdir())) if folder.is_dir() else "no such folder"
        raise InputError(
            f"there is no tokenizer.json here ({there or 'the folder is empty'}).",
            where=folder,
            remedy="Load the tokenizer with transformers and save it with save_pretrained: that writes the file.",
        )
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except (OSError, ValueError, KeyError) as error:
        raise InputError(
            f"the tokenizer does not load: {error!r}",
            where=path,
            remedy="Download the file again, or save the tokenizer anew with save_pretrained.",
        ) from error
    tokenizer.backend_tokenizer.no_truncation()
    tokenizer.backend_tokenizer.no_padding()
    return tokenizer


def copy(source: Path, folder: Path, patterns: Iterable[str]) -> None:
    """Copy those files of `source` that match a pattern to the same places under `folder`."""
    for pattern in patterns:
        for path in sorted(source.glob(pattern)):
            destination = folder / path.relative_to(source)
            destination.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, destination)


def encode(tokenizer: PreTrainedTokenizerFast, texts: Iterable[str]) -> Iterator[tuple[str, list[int]]]:
    """Each text with its token ids, no special tokens added."""
    for batch in _batches(texts):
        found = tokenizer.backend_tokenizer.encode_batch_fast(batch, add_special_tokens=False)
        for text, encoding in zip(batch, found, strict=True):
            yield text, encoding.ids


def encodings(tokenizer: PreTrainedTokenizerFast, texts: Iterable[str]) -> Iterator[tuple[str, Encoding]]:
    """Each text with its tokens and where they stand in it, no special tokens added."""
    for batch in _batches(texts):
        found = tokenizer.backend_tokenizer.encode_batch(batch, add_special_tokens=False)
        yield from zip(batch, found, strict=True)


def _batches(texts: Iterable[str]) -> Iterator[list[str]]:
    texts = iter(texts)
    while batch := list(islice(texts, BATCH_DOCUMENTS)):
        yield batch


def token_bytes(tokenizer: PreTrainedTokenizerFast) -> np.ndarray:
    """The number of bytes of text that each id stands for, by id; 0 for control tokens and unused ids.

    A tokenizer that puts a space before the text (Llama 2) counts that space too.
    """
    vocabulary = tokenizer.get_vocab()
    added = tokenizer.added_tokens_decoder
    byte_level = kind.of(tokenizer.backend_tokenizer) == kind.BYTE_LEVEL_BPE
    sizes = np.zeros(max(vocabulary.values()) + 1, dtype=np.int64)
    for token, index in vocabulary.items():
        if index in added:
            sizes[index] = 0 if added[index].special else len(token.encode())
        elif byte_level or BYTE_TOKEN.fullmatch(token):
            sizes[index] = len(token) if byte_level else 1
        else:
            sizes[index] = len(token.replace("▁", " ").encode())
    return sizes


def partial_characters(tokenizer: PreTrainedTokenizerFast) -> np.ndarray:
    """Whether each id stands for bytes that are no whole characters, by id."""
    vocabulary = tokenizer.get_vocab()
    added = tokenizer.added_tokens_decoder
    byte_level = kind.of(tokenizer.backend_tokenizer) == kind.BYTE_LEVEL_BPE
    symbols = {symbol: byte for byte, symbol in bytes_to_unicode().items()}
    partial = np.zeros(max(vocabulary.values()) + 1, dtype=bool)
    for token, index in vocabulary.items():
        if index in added:
            continue
        partial[index] = _is_partial(token, symbols) if byte_level else BYTE_TOKEN.fullmatch(token) is not None
    return partial


def _is_partial(token: str, symbols: dict[str, int]) -> bool:
    try:
        bytes(symbols[symbol] for symbol in token).decode()
    except UnicodeDecodeError:
        return True
    return False

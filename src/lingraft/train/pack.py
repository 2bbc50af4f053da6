"""Token shards: every document tokenized once, end to end in one memory-mapped file, no token lost.

A shard is cut into sequences only when it is read, so nothing is dropped at a sequence's end; positions restart
at every document, which keeps documents from attending to each other.
"""

import json
import math
import zlib
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from transformers import PreTrainedTokenizerBase

from lingraft.core.artifact import write_json
from lingraft.core.errors import InputError, StageError
from lingraft.core.outside import sha256
from lingraft.core.progress import SILENT, Progress
from lingraft.corpus import shards
from lingraft.tokenizer import family

STREAMS = ("target", "replay")
DOCUMENTS_AT_ONCE = 256
TOKENS_AT_ONCE = 1 << 24
SHARD = "shard.json"


def pack(
    corpus: Path, tokenizer: Path, folder: Path, *, sequence_tokens: int, progress: Progress = SILENT
) -> dict[str, Any]:
    """Tokenize the training text of a corpus artifact; a shard a stream, figures with the proof of conservation.

    Every document is framed as the base frames it (its post-processor's BOS) and closed by one EOS; a control token
    that stands written in a text is packed as the text it is.
    Raises InputError when the tokenizer has no EOS, StageError when the shard does not hold exactly the tokens made.
    """
    loaded = family.open(tokenizer)
    if loaded.eos_token_id is None:
        raise InputError(
            "the tokenizer has no end-of-text token, and packed documents need one between them.",
            where=tokenizer,
            remedy='Name it in tokenizer_config.json: "eos_token": "...".',
        )
    figures: dict[str, Any] = {
        "sequence_tokens": sequence_tokens,
        "tokenizer_sha256": sha256(tokenizer / "tokenizer.json"),
        "streams": {},
    }
    for stream in STREAMS:
        if not (corpus / stream).exists():
            continue
        done = folder / stream / SHARD
        if done.exists():
            figures["streams"][stream] = json.loads(done.read_text(encoding="utf-8"))
            continue
        texts = (text for text, _, _ in shards.documents(corpus, stream, "train"))
        figures["streams"][stream] = _write_shard(texts, loaded, folder / stream, sequence_tokens, stream, progress)
        write_json(done, figures["streams"][stream])
    figures["tokens"] = sum(stream["tokens"] for stream in figures["streams"].values())
    figures["text_bytes"] = sum(stream["text_bytes"] for stream in figures["streams"].values())
    return figures


def _write_shard(
    texts: Iterable[str],
    tokenizer: PreTrainedTokenizerBase,
    folder: Path,
    sequence_tokens: int,
    stream: str,
    progress: Progress,
) -> dict[str, Any]:
    folder.mkdir(parents=True, exist_ok=True)
    dtype = np.dtype(np.uint16 if len(tokenizer) <= 1 << 16 else np.uint32)
    starts, num_tokens, text_bytes, checksum = [], 0, 0, 0
    progress.start(f"packing {stream}", None, "tokens")
    with (folder / "tokens.bin").open("wb") as file:
        for batch in _batches(texts):
            for text, ids in zip(batch, tokenizer(batch, split_special_tokens=True)["input_ids"], strict=True):
                closed = ids if ids[-1:] == [tokenizer.eos_token_id] else [*ids, tokenizer.eos_token_id]
                framed = np.array(closed, dtype=dtype)
                starts.append(num_tokens)
                num_tokens += len(framed)
                text_bytes += len(text.encode())
                checksum = zlib.crc32(framed, checksum)
                file.write(framed)
                progress.advance(len(framed))
    np.save(folder / "starts.npy", np.array(starts, dtype=np.int64), allow_pickle=False)
    tokens = _read_back(folder, dtype, num_tokens, f"{checksum:08x}")
    lengths = family.token_bytes(tokenizer)
    sequence_bytes = [
        int(lengths[tokens[start : start + sequence_tokens]].sum()) for start in range(0, num_tokens, sequence_tokens)
    ]
    np.save(folder / "sequence_bytes.npy", np.array(sequence_bytes, dtype=np.int64), allow_pickle=False)
    return {
        "documents": len(starts),
        "tokens": num_tokens,
        "tokens_read_back": len(tokens),
        "checksum": f"{checksum:08x}",
        "sequences": len(sequence_bytes),
        "padding_tokens": -num_tokens % sequence_tokens,
        "text_bytes": text_bytes,
        "token_text_bytes": sum(sequence_bytes),
        "dtype": dtype.name,
        "bytes_per_token": text_bytes / num_tokens if num_tokens else None,
    }


def _read_back(folder: Path, dtype: np.dtype, num_tokens: int, checksum: str) -> np.ndarray:
    """The tokens of a shard, memory-mapped. Raises StageError unless they are the ones that were made."""
    path = folder / "tokens.bin"
    size = path.stat().st_size
    tokens = np.memmap(path, dtype=dtype, mode="r", shape=size // dtype.itemsize) if size else np.zeros(0, dtype)
    kept = 0
    for start in range(0, len(tokens), TOKENS_AT_ONCE):
        kept = zlib.crc32(tokens[start : start + TOKENS_AT_ONCE], kept)
    if (len(tokens), f"{kept:08x}") != (num_tokens, checksum):
        raise StageError(
            f"the shard holds {len(tokens)} tokens (CRC {kept:08x}), {num_tokens} were made (CRC {checksum}).",
            where=folder,
            remedy="The disk did not keep what was written; check it, delete the folder and run again.",
        )
    return tokens


def _batches(texts: Iterable[str]) -> Iterator[list[str]]:
    texts = iter(texts)
    while batch := list(islice(texts, DOCUMENTS_AT_ONCE)):
        yield batch


def sequence_bytes(packed: Path, stream: str) -> np.ndarray:
    """The bytes of text in every sequence of a stream; empty where there is no such stream."""
    path = packed / stream / "sequence_bytes.npy"
    return np.load(path, allow_pickle=False) if path.exists() else np.zeros(0, dtype=np.int64)


def checksum(packed: Path, stream: str) -> str:
    """Of all tokens of a stream, as they were packed."""
    return json.loads((packed / stream / SHARD).read_text(encoding="utf-8"))["checksum"]


class Shard:
    """A packed stream as sequences of equal length; the last one is padded.

    Raises StageError when the tokens on disk are not the ones that were packed.
    """

    def __init__(self, folder: Path, sequence_tokens: int, pad_id: int) -> None:
        described = json.loads((folder / SHARD).read_text(encoding="utf-8"))
        self._tokens = _read_back(folder, np.dtype(described["dtype"]), described["tokens"], described["checksum"])
        self._starts = np.load(folder / "starts.npy", mmap_mode="r", allow_pickle=False)
        self._sequence_tokens, self._pad_id = sequence_tokens, pad_id

    def __len__(self) -> int:
        return math.ceil(len(self._tokens) / self._sequence_tokens)

    def __getitem__(self, index: int) -> dict[str, np.ndarray]:
        """Token ids, labels and positions of one sequence, each of shape (sequence_tokens,).

        The labels leave out padding and every document's first token: nothing before it belongs to it. Positions
        restart at 0 at every document and at the sequence's start.
        """
        return self._window(index * self._sequence_tokens, self._sequence_tokens)

    def pieces(self, index: int, num_pieces: int) -> dict[str, np.ndarray]:
        """The same tokens as shorter sequences of their own, each value of shape (num_pieces, tokens of a piece)."""
        first, size = index * self._sequence_tokens, self._sequence_tokens // num_pieces
        windows = [self._window(first + piece * size, size) for piece in range(num_pieces)]
        return {key: np.stack([window[key] for window in windows]) for key in windows[0]}

    def _window(self, first: int, size: int) -> dict[str, np.ndarray]:
        tokens = np.asarray(self._tokens[first : first + size], dtype=np.int64)
        begins = (
            self._starts[np.searchsorted(self._starts, first) : np.searchsorted(self._starts, first + size)] - first
        )
        ids, labels = np.full(size, self._pad_id, dtype=np.int64), np.full(size, -100, dtype=np.int64)
        ids[: len(tokens)] = tokens
        labels[: len(tokens)] = tokens
        labels[begins] = -100
        borders = np.unique(np.concatenate([[0], begins, [len(tokens)]]))
        borders = borders[borders < size]
        origin = np.zeros(size, dtype=np.int64)
        origin[borders] = borders
        return {"input_ids": ids, "labels": labels, "position_ids": np.arange(size) - np.maximum.accumulate(origin)}

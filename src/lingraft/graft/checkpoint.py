"""The safetensors files of a model folder, rewritten around a few changed tensors without loading the others.

A file is 8 bytes of header length, the header as JSON, then the tensors without a gap (safetensors, README).
"""

import json
import os
import shutil
import struct
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any, BinaryIO

import torch
from safetensors import SafetensorError, safe_open

from lingraft.core.errors import InputError
from lingraft.core.progress import SILENT, Progress

SINGLE = "model.safetensors"
INDEX = "model.safetensors.index.json"
CHUNK_BYTES = 8 << 20


@dataclass(frozen=True)
class Shard:
    """One file: where its tensors begin, and each with dtype, shape and offsets, in the order they lie."""

    path: Path
    start: int
    tensors: dict[str, dict[str, Any]]
    metadata: dict[str, str] | None


@dataclass(frozen=True)
class Checkpoint:
    """The weights of a model folder by file."""

    folder: Path
    shards: dict[str, Shard]
    files: dict[str, str]
    """The file of each tensor."""

    def load(self, name: str) -> torch.Tensor:
        """One tensor, in memory of its own."""
        path = self.folder / self.files[name]
        try:
            with safe_open(path, framework="pt") as file:
                return file.get_tensor(name).clone()
        except SafetensorError as error:
            raise _damaged(path, str(error)) from error

    def parts(self, name: str, elements: int) -> Iterator[torch.Tensor]:
        """One tensor in runs of its first axis, each of `elements` or little less, or of one row that is longer."""
        path = self.folder / self.files[name]
        shape = self.shards[self.files[name]].tensors[name]["shape"]
        try:
            with safe_open(path, framework="pt") as file:
                if not shape:
                    yield file.get_tensor(name)
                    return
                rows, step = file.get_slice(name), max(1, elements // max(1, prod(shape[1:])))
                for first in range(0, shape[0], step):
                    yield rows[first : first + step]
        except SafetensorError as error:
            raise _damaged(path, str(error)) from error

    def write(self, folder: Path, changed: Mapping[str, torch.Tensor], *, progress: Progress = SILENT) -> None:
        """The same files in `folder`, the changed tensors in the places of the old, all others byte for byte."""
        total = sum(shard.path.stat().st_size for shard in self.shards.values())
        progress.start("writing the weights", total, "B")
        for name, shard in self.shards.items():
            inside = {tensor: changed[tensor] for tensor in shard.tensors if tensor in changed}
            _write(shard, folder / name, inside, progress)
        if (self.folder / INDEX).exists():
            index = json.loads((self.folder / INDEX).read_text(encoding="utf-8"))
            self._count(index.get("metadata") or {}, changed)
            (folder / INDEX).write_text(json.dumps(index, indent=2) + "\n", encoding="utf-8")

    def rewrite(
        self, folder: Path, made: Callable[[str], Iterator[torch.Tensor] | None], *, progress: Progress = SILENT
    ) -> None:
        """The same files in `folder`, the values of each tensor as `made` gives them in runs of its first axis.

        Shapes and types stay; a tensor for which `made` gives None is copied byte for byte.
        """
        total = sum(shard.path.stat().st_size for shard in self.shards.values())
        progress.start("writing the weights", total, "B")
        for name, shard in self.shards.items():
            _rewrite(shard, folder / name, made, progress)
        if (self.folder / INDEX).exists():
            shutil.copyfile(self.folder / INDEX, folder / INDEX)

    def _count(self, metadata: dict[str, Any], changed: Mapping[str, torch.Tensor]) -> None:
        """Bring the totals of the index up to date, where it has them."""
        for name, tensor in changed.items():
            before = prod(self.shards[self.files[name]].tensors[name]["shape"])
            for key, size in (("total_size", tensor.element_size()), ("total_parameters", 1)):
                if key in metadata:
                    metadata[key] += (tensor.numel() - before) * size


def open(folder: Path) -> Checkpoint:
    """The weights in `folder`. Raises InputError when there are none, they are damaged, or only pickled ones."""
    index = folder / INDEX
    if index.exists():
        names = sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))
        missing = [name for name in names if not (folder / name).is_file()]
        if missing:
            raise InputError(
                f"{len(missing)} weight files of the index are not there, first {missing[0]}.",
                where=index,
                remedy="Download the model again.",
            )
    elif (folder / SINGLE).exists():
        names = [SINGLE]
    else:
        raise _no_weights(folder)
    shards = {name: _read(folder / name) for name in names}
    return Checkpoint(folder, shards, {tensor: name for name, shard in shards.items() for tensor in shard.tensors})


def _no_weights(folder: Path) -> InputError:
    pickled = sorted(path.name for pattern in ("*.bin", "*.pt", "*.pth") for path in folder.glob(pattern))
    if pickled:
        return InputError(
            f"the weights are pickled ({pickled[0]}); loading them could run foreign code.",
            where=folder,
            remedy="If you trust their source, load them with AutoModelForCausalLM.from_pretrained(folder) and write "
            "model.safetensors with save_pretrained.",
        )
    return InputError(
        f"there are no weights here: neither {SINGLE} nor {INDEX}.",
        where=folder,
        remedy="Download the model again, weights included.",
    )


def _damaged(path: Path, why: str) -> InputError:
    return InputError(f"the weights cannot be read: {why}", where=path, remedy="Download the file again.")


def _read(path: Path) -> Shard:
    """The header of a file, held against the file's size: a download cut short is found before anything is copied."""
    size = path.stat().st_size
    with path.open("rb") as file:
        try:
            (length,) = struct.unpack("<Q", file.read(8))
            header: dict[str, Any] = json.loads(file.read(min(length, size)))
        except (struct.error, ValueError) as error:
            raise _damaged(path, f"its header is no safetensors header ({error}).") from error
    metadata = header.pop("__metadata__", None)
    tensors = dict(sorted(header.items(), key=lambda item: item[1]["data_offsets"]))
    end = 8 + length + max((tensor["data_offsets"][1] for tensor in tensors.values()), default=0)
    if size != end:
        raise _damaged(path, f"it has {size:,} bytes, and by its header it should have {end:,}.")
    return Shard(path, 8 + length, tensors, metadata)


def _write(shard: Shard, destination: Path, changed: Mapping[str, torch.Tensor], progress: Progress) -> None:
    """Write one file with the changed tensors put in; what lies between two of them is copied in one go."""
    with shard.path.open("rb") as old, destination.open("wb") as new:
        if changed:
            new.write(_header(shard, changed))
        position = shard.start if changed else 0
        for name in (name for name in shard.tensors if name in changed):
            first, last = (shard.start + offset for offset in shard.tensors[name]["data_offsets"])
            _copy(old, new, position, first, progress)
            new.write(changed[name].contiguous().view(torch.uint8).numpy().data)
            progress.advance(last - first)
            position = last
        _copy(old, new, position, os.fstat(old.fileno()).st_size, progress)


def _rewrite(
    shard: Shard, destination: Path, made: Callable[[str], Iterator[torch.Tensor] | None], progress: Progress
) -> None:
    with shard.path.open("rb") as old, destination.open("wb") as new:
        _copy(old, new, 0, shard.start, progress)
        for name, entry in shard.tensors.items():
            first, last = (shard.start + offset for offset in entry["data_offsets"])
            parts = made(name)
            if parts is None:
                _copy(old, new, first, last, progress)
                continue
            for part in parts:
                progress.advance(new.write(part.contiguous().reshape(-1).view(torch.uint8).numpy().data))


def _header(shard: Shard, changed: Mapping[str, torch.Tensor]) -> bytes:
    end = 0
    written: dict[str, Any] = {} if shard.metadata is None else {"__metadata__": shard.metadata}
    for name, entry in shard.tensors.items():
        first, last = entry["data_offsets"]
        tensor = changed.get(name)
        size = last - first if tensor is None else tensor.numel() * tensor.element_size()
        shape = entry["shape"] if tensor is None else list(tensor.shape)
        written[name] = {"dtype": entry["dtype"], "shape": shape, "data_offsets": [end, end + size]}
        end += size
    text = json.dumps(written, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text


def _copy(old: BinaryIO, new: BinaryIO, first: int, last: int, progress: Progress) -> None:
    """Append the bytes from `first` to `last` of one file to another, through one buffer."""
    old.seek(first)
    buffer = memoryview(bytearray(min(CHUNK_BYTES, last - first)))
    while first < last:
        size = old.readinto(buffer[: last - first])
        new.write(buffer[:size])
        progress.advance(size)
        first += size

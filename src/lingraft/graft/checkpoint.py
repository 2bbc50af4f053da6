"""The safetensors files of a model folder, rewritten around a few changed tensors without loading the others."""

import json
import shutil
import struct
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open

from lingraft.core.errors import InputError

SINGLE = "model.safetensors"
INDEX = "model.safetensors.index.json"
CHUNK_BYTES = 16 << 20


@dataclass(frozen=True)
class Checkpoint:
    """Where each tensor of a model folder stands: its name -> the name of its file."""

    folder: Path
    files: dict[str, str]

    def load(self, name: str) -> torch.Tensor:
        """One tensor, in memory of its own."""
        with _reading(self.folder / self.files[name]) as file:
            return file.get_tensor(name).clone()

    def write(self, folder: Path, changed: Mapping[str, torch.Tensor]) -> None:
        """The same files in `folder`, the changed tensors in the places of the old, all others byte for byte."""
        grown = 0
        for file in sorted(set(self.files.values())):
            inside = {name: tensor for name, tensor in changed.items() if self.files[name] == file}
            if inside:
                grown += _rewrite(self.folder / file, folder / file, inside)
            else:
                shutil.copyfile(self.folder / file, folder / file)
        if (self.folder / INDEX).exists():
            index = json.loads((self.folder / INDEX).read_text(encoding="utf-8"))
            metadata = index.get("metadata") or {}
            if "total_size" in metadata:
                metadata["total_size"] += grown
            if "total_parameters" in metadata:
                metadata["total_parameters"] += sum(
                    tensor.numel() - self.load(name).numel() for name, tensor in changed.items()
                )
            (folder / INDEX).write_text(json.dumps(index, indent=2) + "\n", encoding="utf-8")


def open(folder: Path) -> Checkpoint:
    """The weights in `folder`. Raises InputError when there are none, they are damaged, or only pickled ones."""
    index = folder / INDEX
    if index.exists():
        files = json.loads(index.read_text(encoding="utf-8"))["weight_map"]
        missing = sorted({file for file in files.values() if not (folder / file).is_file()})
        if missing:
            raise InputError(
                f"{len(missing)} weight files of the index are not there, first {missing[0]}.",
                where=index,
                remedy="Download the model again.",
            )
        return Checkpoint(folder, files)
    if (folder / SINGLE).exists():
        with _reading(folder / SINGLE) as file:
            return Checkpoint(folder, dict.fromkeys(file.keys(), SINGLE))
    pickled = sorted(path.name for pattern in ("*.bin", "*.pt", "*.pth") for path in folder.glob(pattern))
    if pickled:
        raise InputError(
            f"the weights are pickled ({pickled[0]}); loading them could run foreign code.",
            where=folder,
            remedy="If you trust their source, load them with AutoModelForCausalLM.from_pretrained(folder) and write "
            "model.safetensors with save_pretrained.",
        )
    raise InputError(
        f"there are no weights here: neither {SINGLE} nor {INDEX}.",
        where=folder,
        remedy="Download the model again, weights included.",
    )


@contextmanager
def _reading(path: Path) -> Iterator[safe_open]:
    try:
        with safe_open(path, framework="pt") as file:
            yield file
    except SafetensorError as error:
        raise InputError(
            f"the weights cannot be read: {error}", where=path, remedy="Download the file again."
        ) from error


def _rewrite(source: Path, destination: Path, changed: Mapping[str, torch.Tensor]) -> int:
    """Copy a safetensors file with changed tensors put in; how many bytes the tensors grew by.

    The file is 8 bytes of header length, the header as JSON, then the tensors without a gap (safetensors, README).
    """
    with source.open("rb") as old, destination.open("wb") as new:
        (length,) = struct.unpack("<Q", old.read(8))
        header: dict[str, Any] = json.loads(old.read(length))
        start = 8 + length
        metadata = {"__metadata__": header.pop("__metadata__")} if "__metadata__" in header else {}
        in_order = sorted(header.items(), key=lambda item: item[1]["data_offsets"])
        end, ends, written = 0, 0, {}
        for name, entry in in_order:
            first, last = entry["data_offsets"]
            tensor = changed.get(name)
            size = last - first if tensor is None else tensor.numel() * tensor.element_size()
            shape = entry["shape"] if tensor is None else list(tensor.shape)
            written[name] = {"dtype": entry["dtype"], "shape": shape, "data_offsets": [end, end + size]}
            end, ends = end + size, last
        text = json.dumps({**metadata, **written}, separators=(",", ":")).encode()
        text += b" " * (-len(text) % 8)
        new.write(struct.pack("<Q", len(text)) + text)
        for name, entry in in_order:
            if name in changed:
                new.write(changed[name].contiguous().view(torch.uint8).numpy().data)
            else:
                first, last = entry["data_offsets"]
                old.seek(start + first)
                for position in range(first, last, CHUNK_BYTES):
                    new.write(old.read(min(CHUNK_BYTES, last - position)))
    return end - ends

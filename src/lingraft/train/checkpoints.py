"""Checkpoints that are known to be whole: a list of their files and sizes is written last.

Tensors stand in safetensors files, of which each process writes its part and any number of processes can read all
(torch.distributed.checkpoint).
"""

import json
import shutil
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch.distributed import checkpoint as dcp
from torch.distributed.checkpoint.hf_storage import HuggingFaceStorageReader, HuggingFaceStorageWriter
from transformers.trainer_utils import PREFIX_CHECKPOINT_DIR

from lingraft.core.artifact import write_json
from lingraft.core.errors import StageError

from . import optimizers
from .processes import is_first, wait

COMPLETE, IDENTITY = "complete.json", "identity.json"
STATE, NUMBERS = "state", "numbers.json"
FILE_BYTES = 2 << 30
"""About so much of all processes' tensors goes into one round of files: each is in memory once more for that."""


def save(folder: Path, tensors: Mapping[str, torch.Tensor]) -> None:
    """Write the tensors, sharded or whole, in place of what stands in the folder; all processes together."""
    if is_first():
        shutil.rmtree(folder, ignore_errors=True)
    wait()
    files, written = {}, 0
    for name, tensor in tensors.items():
        files[name] = 1 + written // FILE_BYTES
        written += tensor.numel() * tensor.element_size()
    writer = HuggingFaceStorageWriter(str(folder), fqn_to_index_mapping=files, save_distributed=True)
    detached = {name: tensor.detach().contiguous() for name, tensor in tensors.items()}
    with _plainly():
        dcp.save(detached, storage_writer=writer)


def load(folder: Path, tensors: Mapping[str, torch.Tensor]) -> None:
    """Fill the tensors, sharded or whole, with what any number of processes has saved."""
    detached = {name: tensor.detach() for name, tensor in tensors.items()}
    with _plainly():
        dcp.load(detached, storage_reader=HuggingFaceStorageReader(str(folder)))


@contextmanager
def _plainly() -> Iterator[None]:
    """That there is one process is no warning, and an error of the disk stays one."""
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "torch.distributed is disabled", UserWarning)
            yield
    except dcp.api.CheckpointException as error:
        for cause, _ in error.failures.values():
            if isinstance(cause, OSError):
                raise cause from error
        raise


def save_training(folder: Path, named: Mapping[str, torch.nn.Parameter], optimizer: torch.optim.Optimizer) -> None:
    """Write the weights that move and what the optimizer keeps for each."""
    tensors: dict[str, torch.Tensor] = dict(named)
    numbers: dict[str, Any] = {}
    states = optimizers.states(optimizer)
    for name, parameter in named.items():
        for key, value in states[parameter].items():
            (tensors if isinstance(value, torch.Tensor) else numbers)[f"{name}/{key}"] = value
    save(folder / STATE, tensors)
    if is_first():
        write_json(folder / NUMBERS, numbers)


def load_training(folder: Path, named: Mapping[str, torch.nn.Parameter], optimizer: torch.optim.Optimizer) -> None:
    """Put back what `save_training` wrote, into an optimizer that has made no step yet."""
    states = optimizers.states(optimizer)
    tensors: dict[str, torch.Tensor] = dict(named)
    for entry, found in HuggingFaceStorageReader(str(folder / STATE)).read_metadata().state_dict_metadata.items():
        name, _, key = entry.rpartition("/")
        if name:
            parameter = named[name]
            alike = parameter.detach() if found.size == parameter.shape else parameter.new_empty(found.size)
            tensors[entry] = states[parameter][key] = torch.empty_like(alike, dtype=found.properties.dtype)
    load(folder / STATE, tensors)
    for entry, value in json.loads((folder / NUMBERS).read_text(encoding="utf-8")).items():
        name, _, key = entry.rpartition("/")
        states[named[name]][key] = value


def identify(checkpoint: Path, identity: Mapping[str, Any]) -> None:
    """Write down which training a checkpoint belongs to."""
    write_json(checkpoint / IDENTITY, identity)


def differing(stored: Mapping[str, Any], wanted: Mapping[str, Any]) -> list[str]:
    """The keys by which what was written as JSON is another than what is wanted."""
    wanted = json.loads(json.dumps(wanted))
    return sorted(key for key in stored.keys() | wanted.keys() if stored.get(key) != wanted.get(key))


def require_same(checkpoint: Path, identity: Mapping[str, Any]) -> None:
    """Raise StageError where the checkpoint belongs to another training, and say what differs."""
    stored = json.loads((checkpoint / IDENTITY).read_text(encoding="utf-8"))
    if names := differing(stored, identity):
        raise StageError(
            f"the checkpoint belongs to another training, different in {', '.join(names)}.",
            where=checkpoint,
            remedy="Train into another folder, or remove this checkpoint to begin again.",
        )


def seal(checkpoint: Path) -> None:
    """Mark a checkpoint as whole."""
    files = (path for path in sorted(checkpoint.rglob("*")) if path.is_file() and path.name != COMPLETE)
    sizes = {path.relative_to(checkpoint).as_posix(): path.stat().st_size for path in files}
    write_json(checkpoint / COMPLETE, sizes)


def newest(folder: Path, *, remove_others: bool = True) -> Path | None:
    """The newest whole checkpoint below `folder`; those that are not whole are removed."""
    if not folder.exists():
        return None
    whole = []
    for checkpoint in folder.glob(f"{PREFIX_CHECKPOINT_DIR}-*"):
        if _is_whole(checkpoint):
            whole.append(checkpoint)
        elif remove_others:
            shutil.rmtree(checkpoint)
    return max(whole, key=steps, default=None)


def steps(checkpoint: Path | None) -> int:
    """How many a training had taken when it wrote this one; without one none."""
    return 0 if checkpoint is None else int(checkpoint.name.rpartition("-")[2])


def _is_whole(checkpoint: Path) -> bool:
    mark = checkpoint / COMPLETE
    if not mark.exists():
        return False
    sizes = json.loads(mark.read_text(encoding="utf-8"))
    return all(
        (checkpoint / name).exists() and (checkpoint / name).stat().st_size == size for name, size in sizes.items()
    )

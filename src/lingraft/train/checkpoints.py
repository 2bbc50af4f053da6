"""Checkpoints that are known to be whole: a list of their files and sizes is written last."""

import json
import shutil
from pathlib import Path

from transformers.trainer_utils import PREFIX_CHECKPOINT_DIR

from lingraft.core.artifact import write_json

COMPLETE = "complete.json"


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
    return max(whole, key=lambda path: int(path.name.rpartition("-")[2]), default=None)


def _is_whole(checkpoint: Path) -> bool:
    mark = checkpoint / COMPLETE
    if not mark.exists():
        return False
    sizes = json.loads(mark.read_text(encoding="utf-8"))
    return all(
        (checkpoint / name).exists() and (checkpoint / name).stat().st_size == size for name, size in sizes.items()
    )

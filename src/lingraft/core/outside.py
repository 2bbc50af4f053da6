"""What comes from outside the store: where texts are read, and the identity of a file by its content."""

import hashlib
import json
import os
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, model_validator


class TextSource(BaseModel):
    """Where documents are read from: local files, or a data set in Hugging Face form."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    path: str | None = None
    """A file or a glob: .jsonl, .txt, .csv, .parquet, each plain, .gz or .zst (parquet plain only)."""
    dataset: str | None = None
    """A hub id or the folder of a local data set, instead of `path`; streamed."""
    config: str | None = None
    split: str = "train"
    revision: str | None = None
    text: str = "text"
    """The field or column that holds the text."""
    group: str | None = "source"
    """The field that names what must not be torn apart by a split: the novel, the site, the author."""
    document: Literal["line", "paragraph", "file"] = "line"
    """What one document of a .txt file is; paragraphs are separated by blank lines."""
    name: str | None = None
    """The source's name in figures and reports; by default the file's stem or the data set's id."""

    @model_validator(mode="after")
    def _one_place(self) -> "TextSource":
        if (self.path is None) == (self.dataset is None):
            raise ValueError("name either a path or a dataset")
        return self


def sha256(path: Path) -> str:
    """The SHA-256 of a file's content, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class ContentHashes:
    """Content hashes of outside files, remembered by path, size and time of change."""

    def __init__(self, memory: Path | None = None) -> None:
        self._memory = memory
        self._known: dict[str, list] = {}
        if memory is not None and memory.exists():
            self._known = json.loads(memory.read_text(encoding="utf-8"))

    def __call__(self, path: Path) -> str:
        """The SHA-256 of the file, read again only when its size or time has changed."""
        status = path.stat()
        key, state = str(path.resolve()), [status.st_size, status.st_mtime_ns]
        known = self._known.get(key)
        if known is None or known[:2] != state:
            self._known[key] = known = [*state, sha256(path)]
            self._save()
        return known[2]

    def _save(self) -> None:
        if self._memory is not None and self._memory.parent.exists():
            temporary = self._memory.with_name(f"{self._memory.name}.{os.getpid()}")
            temporary.write_text(json.dumps(self._known), encoding="utf-8")
            temporary.replace(self._memory)

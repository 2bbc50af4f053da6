"""What comes from outside the store: where texts are read, and the identity of a file by its content."""

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from .errors import StoreError


class Source(BaseModel):
    """Where records are read from: local files, or a data set in Hugging Face form."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    path: str | None = Field(None, description="A file or a glob.")
    dataset: str | None = Field(
        None, description="Instead of a path: a hub id or the folder of a data set in Hugging Face form; streamed."
    )
    config: str | None = Field(None, description="The data set's configuration.")
    split: str = Field("train", description="The data set's split.")
    revision: str | None = Field(None, description="The data set's commit, tag or branch on the hub.")
    name: str | None = Field(
        None, description="The source's name in figures; the file's stem or the data set's id by default."
    )

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if (self.path is None) == (self.dataset is None):
            raise ValueError("name either a path or a dataset")
        return self


class TextSource(Source):
    """Where documents are read from: local files, or a data set in Hugging Face form."""

    path: str | None = Field(
        None, description="A file or a glob: .jsonl, .txt, .csv, each plain, .gz or .zst, or .parquet."
    )
    text: str = Field("text", description="The field or column that holds the text.")
    group: str | None = Field(
        "source", description="The field that names what a split must not tear apart: the novel, the site, the author."
    )
    document: Literal["line", "paragraph", "file"] = Field(
        "line", description="What one document of a .txt file is; blank lines separate paragraphs."
    )


class RecordSource(Source):
    """Where conversations or preferences are read from: local files, or a data set in Hugging Face form."""

    path: str | None = Field(
        None, description="A file or a glob: .jsonl or .json, each plain, .gz or .zst, or .parquet."
    )
    form: str = Field(
        "auto", description="How a row is to be read; see docs/conversations.md. `auto` tells by its keys."
    )
    language: str | None = Field(None, description="Of the answers, where it is not that of the stream.")


def sha256(path: Path) -> str:
    """The SHA-256 of a file's content, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def identity(path: Path, content_hash: Callable[[Path], str]) -> str:
    """What stands in a file, or in the files of a folder."""
    files = sorted(file for file in path.iterdir() if file.is_file()) if path.is_dir() else [path]
    return " ".join(f"{file.name}:{content_hash(file)}" for file in files)


class ContentHashes:
    """Content hashes of outside files, remembered by path, size and time of change."""

    def __init__(self, memory: Path | None = None) -> None:
        self._memory = memory
        self._known: dict[str, list] = {}
        if memory is not None and memory.exists():
            try:
                self._known = json.loads(memory.read_text(encoding="utf-8"))
            except ValueError as error:
                raise StoreError(
                    f"this is not valid JSON: {error}.", where=memory, remedy="Delete the file."
                ) from error

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
            try:
                temporary.write_text(json.dumps(self._known), encoding="utf-8")
                temporary.replace(self._memory)
            except OSError as error:
                raise StoreError(
                    f"the store cannot be written: {error.strerror}.",
                    where=self._memory,
                    remedy="Give a folder of your own with --store.",
                ) from error

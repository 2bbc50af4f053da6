"""The store: finished artifacts that never change, work in progress, and locks."""

import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from . import machine
from .errors import StoreError
from .outside import sha256
from .stage import Input

MANIFEST = "artifact.json"
LOG = "log.txt"
SCRATCH = "scratch"
"""Below a work folder: what a stage needs only to go on from, checkpoints; gone once the artifact is sealed."""


def fingerprint(identity: Mapping[str, Any]) -> str:
    """SHA-256 over the canonical JSON of what decides a step's result; the first 24 hex digits."""
    canonical = json.dumps(identity, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(canonical.encode()).hexdigest()[:24]


@contextmanager
def hold(path: Path, held: Callable[[str], None]) -> Iterator[None]:
    """Hold a lock file, freed when the process ends, however it ends.

    While another process does, `held` is told which: it raises, or this waits until that one is done.
    """
    with _writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("a+", encoding="utf-8")
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            held(file.read().strip())
            fcntl.flock(file, fcntl.LOCK_EX)
        file.truncate(0)
        file.write(f"process {os.getpid()} on {os.uname().nodename}")
        file.flush()
        yield


@dataclass(frozen=True)
class Store:
    """The folder that holds artifacts and runs."""

    root: Path

    @property
    def hashes(self) -> Path:
        """The file that remembers content hashes of outside files."""
        return self.root / "hashes.json"

    def folder(self, kind: str, mark: str) -> Path:
        """Where the finished artifact stands, or will stand."""
        return self.root / "artifacts" / kind / mark

    def work_folder(self, kind: str, mark: str) -> Path:
        """Where the artifact is made."""
        return self.root / "artifacts" / kind / f"{mark}.work"

    def find(self, kind: str, mark: str) -> Input | None:
        """The finished artifact, or None when there is none.

        Raises StoreError when its manifest cannot be read, or a file is gone or has another size.
        """
        found = self.read(kind, mark)
        for file in found.manifest["files"] if found else ():
            place = self.folder(kind, mark) / file["path"]
            if not place.is_file():
                raise self._damaged(kind, mark, place, "the file is gone")
            if place.stat().st_size != file["bytes"]:
                size = place.stat().st_size
                raise self._damaged(kind, mark, place, f"the file has {size} bytes and should have {file['bytes']}")
        return found

    def read(self, kind: str, mark: str) -> Input | None:
        """The finished artifact's figures, whatever has become of its files; None when there is no such artifact."""
        folder = self.folder(kind, mark)
        path = folder / MANIFEST
        if not folder.exists():
            return None
        try:
            manifest = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise self._damaged(kind, mark, path, str(error)) from error
        return Input(kind, mark, folder, manifest["figures"], manifest)

    @contextmanager
    def lock(self, kind: str, mark: str, held: Callable[[str], None]) -> Iterator[None]:
        """Hold the one right to make this artifact; freed when the process ends, however it ends.

        While another run makes it, this waits, and `held` is told whose process that is.
        """
        with hold(self.root / "artifacts" / kind / f"{mark}.lock", held):
            yield

    def open_work(self, kind: str, mark: str) -> Path:
        """The work folder, made when missing; what a stopped run left in it stays."""
        return self.make(self.work_folder(kind, mark))

    def finish(self, kind: str, mark: str, manifest: Mapping[str, Any]) -> Input:
        """Seal the work folder: the manifest with the hash of every file, written last, then the folder renamed."""
        work, final = self.work_folder(kind, mark), self.folder(kind, mark)
        aside = (work / LOG, work / MANIFEST, _temporary(work / MANIFEST))
        files = [
            {"path": str(path.relative_to(work)), "bytes": path.stat().st_size, "sha256": sha256(path)}
            for path in sorted(work.rglob("*"))
            if path.is_file() and path not in aside and work / SCRATCH not in path.parents
        ]
        sealed = {
            "kind": kind,
            "fingerprint": mark,
            **manifest,
            "files": files,
            "machine": machine.describe(),
            "versions": machine.versions(),
            "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        write_json(work / MANIFEST, sealed)
        work.rename(final)
        _sync(final.parent)
        if (final / SCRATCH).exists():
            shutil.rmtree(final / SCRATCH)
        return Input(kind, mark, final, sealed["figures"], sealed)

    def free_bytes(self) -> int:
        """Free space on the disk that holds the store."""
        folder = self.root.absolute()
        while not folder.exists():
            folder = folder.parent
        return shutil.disk_usage(folder).free

    def make(self, folder: Path) -> Path:
        """A folder of the store, made when missing. Raises StoreError when it cannot be."""
        with _writing(folder):
            folder.mkdir(parents=True, exist_ok=True)
        return folder

    def _damaged(self, kind: str, mark: str, place: Path, what: str) -> StoreError:
        return StoreError(
            f"the artifact is damaged: {what}.",
            where=place,
            remedy=f"Delete the folder {self.folder(kind, mark)} and run again; it is made anew.",
        )


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StoreError(
            f"the store cannot be written: {error.strerror}.",
            where=path,
            remedy="Give a folder of your own with --store.",
        ) from error


def write_json(path: Path, value: object) -> None:
    """Write the file whole or not at all."""
    temporary = _temporary(path)
    with temporary.open("w", encoding="utf-8") as file:
        json.dump(value, file, ensure_ascii=False, indent=1)
        file.write("\n")
        file.flush()
        os.fsync(file.fileno())
    temporary.rename(path)
    _sync(path.parent)


def _temporary(path: Path) -> Path:
    return path.with_name(path.name + ".tmp")


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

"""A run: a name for a list of artifacts, with links, the resolved recipe and its events."""

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NoReturn

from .artifact import Store, hold, write_json
from .errors import StoreError
from .plan import Step
from .registry import did_you_mean
from .stage import Input


class RunBusy(StoreError):
    """Another command is carrying out the run of this name."""


@dataclass(frozen=True)
class Run:
    """The folder `<store>/runs/<name>/`: run.json, recipe.yaml, events.jsonl and a link for every finished step."""

    store: Store
    name: str

    @property
    def folder(self) -> Path:
        return self.store.root / "runs" / self.name

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the one right to carry out a run of this name. Raises StoreError when it cannot be a name."""
        if Path(self.name).name != self.name or self.name in ("", ".."):
            raise StoreError(f'"{self.name}" cannot be the name of a run.', remedy="Give one without / by --name.")
        with hold(self.folder / "lock", self._held):
            yield

    def _held(self, whose: str) -> NoReturn:
        raise RunBusy(
            f'another command is carrying out the run "{self.name}" now ({whose})',
            where=self.folder / "lock",
            remedy="Wait until it is done, or give this one another --name.",
        )

    def open(self, resolved_recipe: str, steps: Sequence[Step]) -> None:
        """Write what the run is going to be; an earlier run of the same name gives way, its artifacts stay."""
        self.store.make(self.folder)
        for entry in self.folder.iterdir():
            if entry.is_symlink():
                entry.unlink()
        (self.folder / "recipe.yaml").write_text(resolved_recipe, encoding="utf-8")
        listed = [{"name": s.name, "kind": s.stage.kind, "fingerprint": s.fingerprint} for s in steps]
        write_json(self.folder / "run.json", {"name": self.name, "steps": listed})

    def link(self, step: str, artifact: Input) -> None:
        """Point `<run>/<step>` to the finished artifact."""
        target = os.path.relpath(artifact.folder, self.folder)
        temporary = self.folder / f".{step}.link"
        temporary.unlink(missing_ok=True)
        temporary.symlink_to(target, target_is_directory=True)
        temporary.rename(self.folder / step)

    def event(self, kind: str, **values: Any) -> None:
        """Add one line to events.jsonl."""
        line = {"time": datetime.now(UTC).isoformat(timespec="milliseconds"), "event": kind, **values}
        with (self.folder / "events.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(line, ensure_ascii=False) + "\n")

    def artifacts(self) -> Iterator[tuple[str, Input | None]]:
        """Every step of the run with its artifact, None where it is not finished.

        Raises StoreError when the store has no run of this name.
        """
        path = self.folder / "run.json"
        if not path.exists():
            runs = self.store.root / "runs"
            known = sorted(entry.name for entry in runs.iterdir()) if runs.exists() else []
            raise StoreError(
                f'the store has no run called "{self.name}".',
                where=self.store.root,
                remedy=did_you_mean(self.name, known)
                if known
                else "It has no runs yet: lingraft run RECIPE makes one.",
            )
        for step in json.loads(path.read_text(encoding="utf-8"))["steps"]:
            yield step["name"], self.store.read(step["kind"], step["fingerprint"])

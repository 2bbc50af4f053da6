"""Carries out the cells of a study here, one after the other; one that fails does not stop the others."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from lingraft.core.artifact import Store, write_json
from lingraft.core.engine import Crashed, execute
from lingraft.core.errors import LingraftError
from lingraft.core.plan import Step
from lingraft.core.progress import Progress
from lingraft.core.run import Run

from .plan import Planned


@dataclass(frozen=True)
class Failure:
    """Why a cell has no end: the step that failed, and what it said."""

    step: str
    why: str


@dataclass(frozen=True)
class Failures:
    """The failed cells of a study, kept in the store by the names of their runs until they succeed."""

    store: Store
    study: str

    @property
    def path(self) -> Path:
        """`<store>/studies/<name>.json`"""
        return self.store.root / "studies" / f"{self.study}.json"

    def read(self) -> dict[str, Failure]:
        """Those of all calls until now."""
        kept = json.loads(self.path.read_text(encoding="utf-8")) if self.path.exists() else {}
        return {run: Failure(**failure) for run, failure in kept.items()}

    def keep(self, run: str, failure: Failure | None) -> None:
        """Put a cell's failure in place of an earlier one, or take it away."""
        others = {name: asdict(kept) for name, kept in self.read().items() if name != run}
        if failure or self.path.exists():
            self.store.make(self.path.parent)
            write_json(self.path, others | ({run: asdict(failure)} if failure else {}))


def execute_cells(
    cells: Iterable[Planned], store: Store, failures: Failures, screen: Progress, preload: Sequence[str]
) -> dict[str, Failure]:
    """Carry out every cell; the failed ones by the names of their runs.

    A step is made by the first cell that has it, and found by the others; so is one that has failed in this call.
    """
    failed: dict[str, Failure] = {}
    failed_steps: dict[str, str] = {}
    for planned in cells:
        name = planned.cell.run
        screen.event("cell", cell=name)
        known = next((step for step in planned.steps if step.fingerprint in failed_steps), None)
        failure = None
        if known:
            failure = Failure(known.name, f"the same step failed in {failed_steps[known.fingerprint]}.")
        else:
            try:
                execute(planned.cell.recipe, planned.steps, store, Run(store, name), screen, preload)
            except (LingraftError, Crashed) as error:
                stopped = _stopped(planned.steps, store)
                failed_steps[stopped.fingerprint] = name
                failure = Failure(stopped.name, str(error))
        failures.keep(name, failure)
        if failure:
            failed[name] = failure
            screen.event("cell failed", cell=name, step=failure.step, why=failure.why)
    return failed


def _stopped(steps: Sequence[Step], store: Store) -> Step:
    """The first step without an artifact: a run ends at the step that fails."""
    return next((step for step in steps if not store.folder(step.stage.kind, step.fingerprint).exists()), steps[-1])

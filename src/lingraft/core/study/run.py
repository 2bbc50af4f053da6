"""Carries out the cells of a study here, one after the other; one that fails does not stop the others."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NoReturn

from lingraft.core.artifact import Store, hold, write_json
from lingraft.core.engine import Crashed, execute
from lingraft.core.errors import LingraftError, StoreError
from lingraft.core.plan import Step
from lingraft.core.progress import Progress
from lingraft.core.run import Run, RunBusy

from .plan import Planned


@dataclass(frozen=True)
class Failure:
    """Why a cell has no end: the step that failed, and what it said; no step where the cell could not begin."""

    step: str
    why: str
    fingerprint: str = ""
    """Of the step: with other settings the cell has another, and this is no longer its failure."""


@dataclass(frozen=True)
class Failures:
    """The failed cells of a study, kept in the store by the names of their runs until they succeed."""

    store: Store
    study: str

    @property
    def path(self) -> Path:
        """`<store>/studies/<name>.json`"""
        return self.store.root / "studies" / f"{self.study}.json"

    def read(self, planned: Iterable[Planned]) -> dict[str, Failure]:
        """Those of all calls until now that are of these cells, with the settings that they have."""
        marks = {one.cell.run: {step.fingerprint for step in one.steps} for one in planned}
        return {
            run: failure
            for run, failure in ((run, Failure(**kept)) for run, kept in self._kept().items())
            if failure.fingerprint in marks.get(run, ())
        }

    def keep(self, run: str, failure: Failure | None) -> None:
        """Put a cell's failure in place of an earlier one, or take it away.

        A cell that could not begin is no news of its steps. Raises StoreError where the file cannot be written.
        """
        if (failure is None and not self.path.exists()) or (failure is not None and not failure.step):
            return
        self.store.make(self.path.parent)
        try:
            with hold(self.path.with_suffix(".lock"), lambda _: None):
                others = {name: kept for name, kept in self._kept().items() if name != run}
                write_json(self.path, others | ({run: asdict(failure)} if failure else {}))
        except OSError as error:
            self._raise(error)

    def _kept(self) -> Mapping[str, Any]:
        return json.loads(self.path.read_text(encoding="utf-8")) if self.path.exists() else {}

    def _raise(self, error: OSError) -> NoReturn:
        raise StoreError(
            f"what failed cannot be written down: {error.strerror}.",
            where=self.path,
            remedy="Free space and run the same command again: finished steps are kept.",
        ) from error


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
            failure = _of(known, f"the same step failed in {failed_steps[known.fingerprint]}.")
        else:
            try:
                execute(planned.cell.recipe, planned.steps, store, Run(store, name), screen, preload)
            except RunBusy as error:
                failure = Failure("", str(error))
            except (LingraftError, Crashed) as error:
                stopped = _stopped(planned.steps, store)
                failed_steps[stopped.fingerprint] = name
                failure = _of(stopped, str(error))
        failures.keep(name, failure)
        if failure:
            failed[name] = failure
            screen.event("cell failed", cell=name, step=failure.step, why=failure.why)
    return failed


def _of(step: Step, why: str) -> Failure:
    return Failure(step.name, why, step.fingerprint)


def _stopped(steps: Sequence[Step], store: Store) -> Step:
    """The first step without an artifact: a run ends at the step that fails."""
    return next((step for step in steps if not store.folder(step.stage.kind, step.fingerprint).exists()), steps[-1])

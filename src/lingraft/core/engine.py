"""Carries a plan out: one process per step, forked from a server that has the heavy libraries imported."""

import contextlib
import errno
import fcntl
import multiprocessing
import os
import resource
import signal
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from multiprocessing import forkserver
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from . import errors, launch
from .artifact import LOG, SCRATCH, Store
from .errors import LingraftError, StageError, StoreError
from .plan import Step, referenced
from .progress import Progress
from .recipe import Recipe
from .run import Run
from .stage import Input, Job

# glibc gives freed memory back and fetches it again at every training step unless told to keep it:
# on a small model this costs a fifth of the speed. Only a new process reads these.
KEEP_FREED_MEMORY = {
    "MALLOC_MMAP_THRESHOLD_": str(4 << 30),
    "MALLOC_TRIM_THRESHOLD_": str(16 << 30),
    "MALLOC_TOP_PAD_": str(64 << 20),
}
SECONDS_BETWEEN_LOOKS = 0.5
ENVIRONMENT = {**KEEP_FREED_MEMORY, "TOKENIZERS_PARALLELISM": "true", "TRANSFORMERS_VERBOSITY": "error"}


class Crashed(RuntimeError):
    """A step that ended by a mistake of ours; says where its log is, and how that ends."""


def execute(
    recipe: Recipe, steps: Sequence[Step], store: Store, run: Run, screen: Progress, preload: Sequence[str]
) -> None:
    """Carry out every step that is not done, in order, and link each into the run.

    Raises the LingraftError of a step that cannot go on. What is finished stays; a later call goes on from there.
    """
    with _full_disk_told(store.root), _terminated_as_interrupted(), run.lock():
        run.open(recipe.yaml(), steps)
        run.event("run", name=run.name, steps={step.name: step.state for step in steps})
        server = _fork_server(preload)
        finished: dict[str, Input] = {}
        for step in steps:
            finished[step.name] = _made(step, recipe, finished, store, run, screen, server)
            run.link(step.name, finished[step.name])
        run.event("finished", name=run.name)


def make(
    step: Step, recipe: Recipe, inputs: Mapping[str, Input], store: Store, run: Run, preload: Sequence[str]
) -> Input:
    """One step alone, given those that it reads: its artifact, made unless it is there."""
    with _full_disk_told(store.root), _terminated_as_interrupted():
        return _made(step, recipe, inputs, store, run, Progress(), _fork_server(preload))


def _made(
    step: Step,
    recipe: Recipe,
    inputs: Mapping[str, Input],
    store: Store,
    run: Run,
    screen: Progress,
    server: Any,
) -> Input:
    kind, mark = step.stage.kind, step.fingerprint
    if artifact := store.find(kind, mark):
        screen.event("reused", step=step.name)
        return artifact
    with store.lock(kind, mark, lambda whose: screen.event("waits", step=step.name, whose=whose)):
        if artifact := store.find(kind, mark):
            screen.event("reused", step=step.name)
            return artifact
        return _carry_out(step, recipe, inputs, store, run, screen, server)


def _fork_server(preload: Sequence[str]) -> Any:
    """What steps are forked from, and end with: it passes over a SIGTERM that is sent to all processes at once."""
    os.environ.update({name: value for name, value in ENVIRONMENT.items() if name not in os.environ})
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(preload))
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)  # a program that is started inherits what is passed over
    try:
        forkserver.ensure_running()
    finally:
        signal.signal(signal.SIGTERM, before)
    return context


def _carry_out(
    step: Step,
    recipe: Recipe,
    finished: Mapping[str, Input],
    store: Store,
    run: Run,
    screen: Progress,
    server: Any,
) -> Input:
    folder = store.open_work(step.stage.kind, step.fingerprint)
    inputs = {name: finished[name] for name in referenced(step.config)}
    job = Job(step.config, inputs, folder, step.settings, recipe.folder, recipe.yaml())
    run.event("start", step=step.name, fingerprint=step.fingerprint, state=step.state)
    screen.event("step", step=step.name, state=step.state)
    started = time.monotonic()
    result = _in_process(step, job, store, run, screen, server)
    seconds = round(time.monotonic() - started, 3)
    artifact = store.finish(
        step.stage.kind,
        step.fingerprint,
        {
            "stage_version": step.stage.version,
            "config": step.config.model_dump(mode="json"),
            "settings": {key: getattr(step.settings, key) for key in step.stage.used(step.config)},
            "inputs": dict(step.inputs),
            "outside": dict(step.outside),
            "figures": result["figures"],
            "seconds": seconds,
            "cpu_seconds": result["cpu_seconds"],
            "peak_memory_bytes": result["peak_memory_bytes"],
        },
    )
    run.event("done", step=step.name, seconds=seconds)
    screen.event("done", step=step.name, seconds=seconds)
    return artifact


def follow(recipe: Recipe, steps: Sequence[Step], store: Store, run: Run, preload: Sequence[str]) -> None:
    """The part of every process of a launch but the first: to help with shared steps, and to wait for all others.

    Raises the LingraftError of a step that cannot go on.
    """
    server = _fork_server(preload)
    finished: dict[str, Input] = {}
    with _terminated_as_interrupted():
        for step in steps:
            kind, helped = step.stage.kind, not step.stage.shared
            while (artifact := store.find(kind, step.fingerprint)) is None:
                folder = store.work_folder(kind, step.fingerprint)
                if not helped and folder.exists():
                    inputs = {name: finished[name] for name in referenced(step.config)}
                    job = Job(step.config, inputs, folder, step.settings, recipe.folder, recipe.yaml())
                    _in_process(step, job, store, run, Progress(), server)
                    helped = True
                time.sleep(SECONDS_BETWEEN_LOOKS)
            finished[step.name] = artifact


def _in_process(step: Step, job: Job, store: Store, run: Run, screen: Progress, server: Any) -> dict[str, Any]:
    """Run the stage in a process of its own; its figures and peak memory."""
    here, there = server.Pipe(duplex=False)
    process = server.Process(target=_work, args=(step.stage.run, job, there), name=step.name)
    try:
        process.start()
        there.close()
        result = _listen(here, process.sentinel, step, run, screen)
    except KeyboardInterrupt:
        if process.pid is not None:
            process.terminate()  # a training writes a checkpoint first; of the other steps what is on disk stays
            _listen(here, process.sentinel, step, run, screen)
            process.join()
        raise
    process.join()
    if result is None or "error" in result:
        error = _told(result) if result else _died(process.exitcode, step, job.folder, store)
        _tell(run, "failed", step=step.name, error=str(error))
        raise error
    return result


def _tell(run: Run, kind: str, **values: object) -> None:
    """Of several processes one writes what has happened."""
    if launch.rank() == 0:
        run.event(kind, **values)


def _listen(pipe: Connection, ended: int, step: Step, run: Run, screen: Progress) -> dict[str, Any] | None:
    """Pass the step's messages on until its result, or None when it ended without one."""
    # A process that the step has left behind may hold the pipe open, so its end alone says nothing.
    while pipe in wait([pipe, ended]):
        try:
            what, values = pipe.recv()
        except (EOFError, OSError):  # the second when it was killed in the middle of a message
            return None
        if what == "result":
            return values
        if what == "event":
            kind, fields = values
            _tell(run, kind, step=step.name, **fields)
        else:
            getattr(screen, what)(*values)
    return None


def _died(exitcode: int | None, step: Step, folder: Path, store: Store) -> LingraftError | Crashed:
    """What to say of a step that ended without a result."""
    log = _log(folder)
    if store.free_bytes() < 1 << 20:
        return _disk_full(store.root)
    if exitcode is not None and exitcode < 0:
        name = signal.Signals(-exitcode).name
        return StageError(
            f"the step was ended from outside by {name}.",
            where=step.name,
            remedy="When memory was short, give the step less to hold (smaller batches or sequences). "
            "Run the same command again: it goes on from where this one stopped.",
        )
    said = log.read_text(errors="replace")[-4000:] if log.exists() else "(nothing)"
    return Crashed(f"step {step.name} failed; its log {log} ends with:\n{said}")


@contextlib.contextmanager
def _full_disk_told(place: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise _disk_full(place) from error


@contextlib.contextmanager
def _terminated_as_interrupted() -> Iterator[None]:
    """A machine that is taken away sends SIGTERM first: it stops a run as Ctrl-C does."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _disk_full(place: Path) -> StoreError:
    return StoreError(
        "no space is left on the disk.",
        where=place,
        remedy="Free space and run the same command again: finished steps are kept, the stopped one goes on.",
    )


def _work(run_stage: Any, job: Job, pipe: Connection) -> None:
    """The step's own process: run the stage, send its figures or its error."""
    # Ctrl-C reaches every process of a terminal; the command passes it on as SIGTERM.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    place = _log(job.folder)
    place.parent.mkdir(exist_ok=True)
    log = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(log, sys.stdout.fileno())
    os.dup2(log, sys.stderr.fileno())
    try:
        with _full_disk_told(job.folder), _alone_in(place):
            figures = run_stage(replace(job, progress=_PipedProgress(pipe)))
    except LingraftError as error:
        answer = _as_message(error)
    else:
        used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
        unit = 1 if sys.platform == "darwin" else 1024
        answer = {
            "figures": figures,
            "cpu_seconds": round(sum(one.ru_utime + one.ru_stime for one in used), 3),
            "peak_memory_bytes": max(one.ru_maxrss for one in used) * unit,
        }
    pipe.send(("result", answer))
    pipe.close()


def _log(folder: Path) -> Path:
    """What a step prints; each process of a launch has its own."""
    return folder / LOG if launch.rank() == 0 else folder / SCRATCH / f"{launch.rank()}-{LOG}"


@contextlib.contextmanager
def _alone_in(log: Path) -> Iterator[None]:
    """Wait until no process of a killed command writes this log any more: it may outlive its command's lock."""
    descriptor = os.open(log, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _as_message(error: LingraftError) -> dict[str, Any]:
    where = None if error.where is None else str(error.where)
    return {"error": type(error).__name__, "values": {"what": error.what, "where": where, "remedy": error.remedy}}


def _told(message: Mapping[str, Any]) -> LingraftError:
    """The error that a step has sent."""
    return getattr(errors, message["error"])(**message["values"])


def _end_with_parent() -> None:
    """A step must not outlive the command that started it: its lock is gone, and another run may take over."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os.kill(os.getpid(), signal.SIGKILL)


class _PipedProgress(Progress):
    """Sends what a step says to the command that shows it, at most ten times a second for `advance`."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe, self._waiting, self._last = pipe, 0.0, 0.0

    def start(self, what: str, total: float | None = None, unit: str = "") -> None:
        self._flush()
        self._pipe.send(("start", (what, total, unit)))

    def advance(self, amount: float = 1) -> None:
        self._waiting += amount
        if time.monotonic() - self._last > 0.1:
            self._flush()

    def event(self, kind: str, **values: object) -> None:
        self._pipe.send(("event", (kind, values)))

    def _flush(self) -> None:
        if self._waiting:
            self._pipe.send(("advance", (self._waiting,)))
        self._waiting, self._last = 0.0, time.monotonic()

"""Carries out the cells of a study on a Ray cluster whose nodes share the store's file system, a task a step."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lingraft.core.artifact import Store
from lingraft.core.engine import Crashed, make
from lingraft.core.errors import LingraftError, RecipeError
from lingraft.core.plan import Step, referenced
from lingraft.core.progress import Progress
from lingraft.core.recipe import Recipe
from lingraft.core.run import Run
from lingraft.core.stage import Input

from .plan import Planned
from .run import Failure, Failures


def execute_cells(
    cells: Sequence[Planned],
    store: Store,
    failures: Failures,
    screen: Progress,
    preload: Sequence[str],
    *,
    cpus_per_step: int = 1,
) -> dict[str, Failure]:
    """Carry out every distinct step as a task that waits for those it reads; the failed cells by their runs' names.

    The cluster is that of RAY_ADDRESS, or this machine. A step is given `cpus_per_step` processors, and a GPU where
    the cluster has any. Raises RecipeError when Ray is not installed, or no node has so many processors.
    """
    try:
        import ray
    except ImportError as error:
        raise RecipeError(
            "the engine ray needs the package ray, which is not installed.", remedy="pip install 'lingraft[ray]'"
        ) from error
    started = not ray.is_initialized()
    if started:
        ray.init(log_to_driver=False, configure_logging=False)
    try:
        num_gpus = min(1, ray.cluster_resources().get("GPU", 0))
        _check_processors(ray.nodes(), cpus_per_step, num_gpus)
        # A worker that has had a GPU must end with its step: the processes of its next would stay on that one.
        one_a_worker = {"max_calls": 1} if num_gpus else {}
        task = ray.remote(num_cpus=cpus_per_step, num_gpus=num_gpus, max_retries=0, **one_a_worker)(_step)
        ends = _submit(cells, task.remote, store, preload)
        return _gather(ray, cells, ends, store, failures, screen)
    finally:
        if started:
            ray.shutdown()


def _check_processors(nodes: Sequence[Mapping[str, Any]], wanted: int, num_gpus: float) -> None:
    """Ray waits without end for what no node has."""
    having = [node["Resources"] for node in nodes if node["Alive"] and node["Resources"].get("GPU", 0) >= num_gpus]
    most = int(max((there.get("CPU", 0) for there in having), default=0))
    if wanted > most:
        of = "node with a GPU" if num_gpus else "node"
        raise RecipeError(
            f"a step is to have {wanted} processors, and the largest {of} of the cluster has {most}.",
            where="--cpus-per-step",
            remedy=f"Set it to {most} or less.",
        )


def _submit(cells: Sequence[Planned], remote: Any, store: Store, preload: Sequence[str]) -> dict[str, Any]:
    """Fingerprint -> what will be the end of that step."""
    root = Store(store.root.absolute())
    ends: dict[str, Any] = {}
    for planned in cells:
        by_name = {step.name: step for step in planned.steps}
        run = Run(root, planned.cell.run)
        store.make(run.folder)
        for step in planned.steps:
            if step.fingerprint not in ends:
                needed = {name: ends[by_name[name].fingerprint] for name in referenced(step.config)}
                ends[step.fingerprint] = remote(
                    step, planned.cell.recipe, root, run, list(preload), Path.cwd(), list(needed), *needed.values()
                )
    return ends


def _step(
    step: Step,
    recipe: Recipe,
    store: Store,
    run: Run,
    preload: Sequence[str],
    folder: Path,
    names: Sequence[str],
    *ends: "Input | Failure",
) -> "Input | Failure":
    """On a worker: the artifact of a step, or why there is none."""
    failed = next((end for end in ends if isinstance(end, Failure)), None)
    if failed:
        return failed
    os.chdir(folder)
    try:
        return make(step, recipe, dict(zip(names, ends, strict=True)), store, run, preload)
    except (LingraftError, Crashed) as error:
        return Failure(step.name, str(error), step.fingerprint)


def _gather(
    ray: Any, cells: Sequence[Planned], ends: Mapping[str, Any], store: Store, failures: Failures, screen: Progress
) -> dict[str, Failure]:
    """Link the steps into the runs of their cells as the cells end."""
    failed: dict[str, Failure] = {}
    waiting = list(ends.values())
    cells_left = list(cells)
    known: dict[str, Input | Failure] = {}
    marks = {end: mark for mark, end in ends.items()}
    steps = {step.fingerprint: step.name for planned in cells for step in planned.steps}
    while waiting:
        ready, waiting = ray.wait(waiting, num_returns=1)
        for end in ready:
            known[marks[end]] = _end(ray, end, steps[marks[end]], marks[end])
        for planned in [one for one in cells_left if all(step.fingerprint in known for step in one.steps)]:
            cells_left.remove(planned)
            name = planned.cell.run
            screen.event("cell", cell=name)
            failure = _close(planned, known, Run(store, name))
            failures.keep(name, failure)
            if failure:
                failed[name] = failure
                screen.event("cell failed", cell=name, step=failure.step, why=failure.why)
    return failed


def _end(ray: Any, end: Any, step: str, mark: str) -> "Input | Failure":
    try:
        return ray.get(end)
    except ray.exceptions.RayError as error:  # a node that is gone, or a worker without memory
        return Failure(step, str(error), mark)


def _close(planned: Planned, known: Mapping[str, "Input | Failure"], run: Run) -> Failure | None:
    try:
        with run.lock():
            run.open(planned.cell.recipe.yaml(), planned.steps)
            for step in planned.steps:
                end = known[step.fingerprint]
                if isinstance(end, Failure):
                    return end
                run.link(step.name, end)
            run.event("finished", name=run.name)
    except LingraftError as error:
        return Failure("", str(error))
    return None

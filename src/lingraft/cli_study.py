"""`lingraft study plan | run | show`: a recipe over axes and seeds, its cells sharing what they have in common."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from .cli_errors import user_errors
from .cli_options import DEFAULT_STORE, StoreFolder
from .core.marks import visible

if TYPE_CHECKING:
    from collections.abc import Collection

    from lingraft.core.plan import Room
    from lingraft.core.study.plan import Planned
    from lingraft.core.study.study import Study

app = typer.Typer(help="Vary a recipe over axes and seeds.", no_args_is_help=True, rich_markup_mode=None)

StudyName = Annotated[str, typer.Argument(help="A study file, or the name of a shipped one (lingraft ls).")]
Cells = Annotated[
    list[str] | None,
    typer.Option("--cells", help="Only those with this value: replay=0.25, seed=1. May be repeated."),
]


@app.command()
def plan(study: StudyName, cells: Cells = None, store: StoreFolder = DEFAULT_STORE) -> None:
    """Show the cells, the steps that they share, what is done, and how long the rest is likely to take."""
    from rich.console import Console

    from lingraft.core.study.plan import plan_text

    with user_errors():
        _, planned = _plan(study, cells, store, ("disk",))  # in whose memory, `run` is told
    Console().print(plan_text(planned), soft_wrap=True)


@app.command()
def run(
    study: StudyName,
    cells: Cells = None,
    store: StoreFolder = DEFAULT_STORE,
    engine: Annotated[
        Literal["local", "ray"], typer.Option(help="ray: on a cluster whose nodes share the store's file system.")
    ] = "local",
    cpus_per_step: Annotated[int, typer.Option(min=1, help="Processors of a step on a Ray cluster.")] = 1,
) -> None:
    """Carry out every distinct step once. What is done is not done again; what was stopped goes on.

    A cell that fails does not stop the others; the exit code is then 1.
    """
    from rich.console import Console

    from lingraft.core.artifact import Store
    from lingraft.core.screen import Screen
    from lingraft.core.study import on_ray
    from lingraft.core.study.run import Failures, execute_cells
    from lingraft.stages import PRELOAD

    with user_errors():
        loaded, planned = _plan(study, cells, store, ("disk",) if engine == "ray" else ("disk", "memory"))
        kept = Store(store)
        failures = Failures(kept, loaded.name)
        with Screen(Console(stderr=True)) as screen:
            if engine == "ray":
                failed = on_ray.execute_cells(planned, kept, failures, screen, PRELOAD, cpus_per_step=cpus_per_step)
            else:
                failed = execute_cells(planned, kept, failures, screen, PRELOAD)
    typer.echo(f"{len(planned) - len(failed)} of {len(planned)} cells done; next: lingraft study show {study}")
    for name, failure in failed.items():
        told = f"{failure.step}: {failure.why}" if failure.step else failure.why
        typer.echo(visible(f"failed: {name}: {told}"), err=True)
    if failed:
        raise typer.Exit(1)


@app.command()
def show(
    study: StudyName,
    as_json: Annotated[bool, typer.Option("--json", help="Every figure, as JSON.")] = False,
    page: Annotated[
        Path | None, typer.Option("--page", help="Write the page with its figures, and the JSON, into this folder.")
    ] = None,
    store: StoreFolder = DEFAULT_STORE,
) -> None:
    """Show the table of a study: means over seeds, and differences paired by seed."""
    import json

    from rich.console import Console

    from lingraft.core.artifact import Store, write_json
    from lingraft.core.study.run import Failures
    from lingraft.evaluate.between import on_same_items
    from lingraft.report.study import page as study_page
    from lingraft.report.study import tables
    from lingraft.report.study.results import collect

    with user_errors():
        loaded, planned = _plan(study, None, store, ())
        kept = Store(store)
        results = collect(loaded, planned, kept, Failures(kept, loaded.name).read(planned), on_same_items)
        if page is not None:
            kept.make(page)
            results_file = page / f"{loaded.name}.json"
            write_json(results_file, results)
            typer.echo(f"page: {study_page.write(loaded, results, page, results_file.name)}")
            return
    if as_json:
        typer.echo(json.dumps(results, ensure_ascii=False, indent=1))
    else:
        Console().print(tables.on_terminal(results))


def _plan(
    name: str, cells: list[str] | None, store: Path, must_fit: "Collection[Room]"
) -> "tuple[Study, list[Planned]]":
    from lingraft.core.artifact import Store
    from lingraft.core.shipped import find_study
    from lingraft.core.study.plan import plan_cells
    from lingraft.core.study.study import chosen, load
    from lingraft.stages import table

    study = load(find_study(name), table())
    return study, plan_cells(chosen(study, cells or ()), table(), Store(store), must_fit=must_fit)

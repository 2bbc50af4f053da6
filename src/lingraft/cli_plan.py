"""`lingraft plan` and `lingraft doctor`: what a run would take, here or elsewhere, and what this machine can do."""

from typing import TYPE_CHECKING, Annotated

import typer

from .cli_errors import user_errors
from .cli_options import DEFAULT_STORE, Override, RecipeName, StoreFolder

if TYPE_CHECKING:
    from lingraft.core.devices import Target


def plan(
    recipe: RecipeName,
    override: Override = None,
    store: StoreFolder = DEFAULT_STORE,
    on: Annotated[str | None, typer.Option(help="Plan trainings for this device: h200, a100-80gb, rtx-4090.")] = None,
    devices: Annotated[int, typer.Option(min=1, help="How many of them.")] = 1,
    sharded: Annotated[
        bool | None,
        typer.Option("--sharded/--whole", help="Divide the model among them; by default where it fits none whole."),
    ] = None,
    price_per_device_hour: Annotated[float | None, typer.Option(min=0, help="In any currency.")] = None,
    grid_g_per_kwh: Annotated[float | None, typer.Option(min=0, help="Grams of CO2 that a kWh costs.")] = None,
    write: Annotated[
        str | None, typer.Option(help="Print a launch file from the plan instead: slurm or kubernetes.")
    ] = None,
) -> None:
    """Show what a run would do: the state of every step, and what it is likely to cost."""
    from rich.console import Console

    from lingraft.core.launch_templates import launch_file
    from lingraft.core.plan import load_and_plan
    from lingraft.core.tables import plan_table, warnings
    from lingraft.core.training_table import training_text
    from lingraft.stages import table

    with user_errors():
        target = _target(on, devices, sharded)
        if write is not None:
            _check_launch(write, target)
        _, steps = load_and_plan(recipe, table(), override or (), store, target=target, measure=target is None)
        if write is not None:
            typer.echo(launch_file(write, recipe, steps), nl=False)
            return
    console = Console()
    console.print(plan_table(steps))
    for told in warnings(steps):
        console.print(told, style="yellow")
    console.print(training_text(steps, price_per_device_hour, grid_g_per_kwh), end="")


def doctor(store: StoreFolder = DEFAULT_STORE) -> None:
    """Say what this machine has, and which trainings fit it."""
    from rich.console import Console

    from lingraft.core.doctor import facts_text, memory_of_a_device
    from lingraft.core.screen import amount
    from lingraft.forecast.sizes import METHODS, SETTING, sizes

    console = Console(highlight=False)
    console.print(facts_text(store))
    memory = memory_of_a_device()
    console.print(f"Predicted GB, and whether they fit {amount(memory, 'B')}: {SETTING}\n")
    console.print(f"{'':14}" + "".join(f"{method:>12}" for method in METHODS), style="bold")
    for name, needed in sizes():
        console.print(f"{name:14}", style="cyan", end="")
        for size in needed.values():
            mark = "[green]yes[/green]" if size <= memory else "[red]no[/red] "
            console.print(f"{size / 1e9:>8.1f} {mark}", end="")
        console.print()


def _target(on: str | None, devices: int, sharded: bool | None) -> "Target | None":
    from lingraft.core.devices import Target, named
    from lingraft.core.errors import RecipeError

    if on is not None:
        return Target(named(on), devices, sharded)
    if devices > 1 or sharded is not None:
        raise RecipeError(
            "--devices and --sharded say nothing without the device.", remedy="Add --on h100 for example."
        )
    return None


def _check_launch(scheduler: str, target: "Target | None") -> None:
    from lingraft.core.errors import RecipeError
    from lingraft.core.launch_templates import TEMPLATES
    from lingraft.core.registry import did_you_mean

    if scheduler not in TEMPLATES:
        raise RecipeError(f'no launch file is known for "{scheduler}".', remedy=did_you_mean(scheduler, TEMPLATES))
    if target is None:
        raise RecipeError(
            "a launch file is written for named devices.", remedy="Add --on h100 --devices 8 for example."
        )

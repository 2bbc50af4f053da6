"""The command line: parses, calls, prints."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .cli_chat import chat
from .cli_errors import user_errors
from .cli_evaluate import evaluate
from .cli_judge import app as judge_app
from .cli_options import DEFAULT_STORE, Override, RecipeName, StoreFolder
from .cli_plan import doctor, plan
from .cli_tokenizer import app as tokenizer_app

if TYPE_CHECKING:
    from lingraft.core.plan import Step
    from lingraft.core.recipe import Recipe

app = typer.Typer(
    help="Graft a language onto a pretrained LLM.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

app.add_typer(tokenizer_app, name="tokenizer")
app.add_typer(judge_app, name="judge")


@app.command("ls")
def list_recipes(store: StoreFolder = DEFAULT_STORE) -> None:
    """List the shipped recipes and the runs in the store."""
    from lingraft.core.shipped import recipes

    for name, (_, summary) in recipes().items():
        typer.echo(f"{name:24} {summary}")
    runs = sorted(path.parent.name for path in (store / "runs").glob("*/run.json"))
    if runs:
        typer.echo(f"\nruns in {store}: {', '.join(runs)}")


@app.command()
def new(
    recipe: RecipeName,
    file: Annotated[Path, typer.Argument(help="The file to write.")],
) -> None:
    """Copy a shipped recipe to a file of your own, ready to edit; its schema is written beside it."""
    import json

    from lingraft.core.errors import RecipeError
    from lingraft.core.recipe import json_schema
    from lingraft.core.shipped import as_template
    from lingraft.stages import table

    with user_errors():
        if file.exists():
            raise RecipeError("the file exists already.", where=file, remedy="Choose another name.")
        text = as_template(recipe)
        schema = file.with_name("lingraft.schema.json")
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            schema.write_text(json.dumps(json_schema(table()), indent=1) + "\n", encoding="utf-8")
            file.write_text(f"# yaml-language-server: $schema={schema.name}\n{text}", encoding="utf-8")
        except OSError as error:
            raise RecipeError(f"the file cannot be written: {error.strerror}.", where=file) from error
    typer.echo(f"wrote {file}; next: lingraft check {file}")


@app.command()
def check(recipe: RecipeName, override: Override = None, store: StoreFolder = DEFAULT_STORE) -> None:
    """Check everything that can be checked before anything runs."""
    with user_errors():
        loaded, steps = _plan(recipe, override, store)
    _warn(steps)
    typer.echo(f"{loaded.name}: {len(loaded.stages)} steps, no mistake found")


app.command()(plan)


@app.command()
def run(
    recipe: RecipeName,
    override: Override = None,
    store: StoreFolder = DEFAULT_STORE,
    name: Annotated[str | None, typer.Option(help="The run's name; the recipe's by default.")] = None,
    shard: Annotated[bool, typer.Option("--shard", help="Of several processes each trains a part (FSDP2).")] = False,
) -> None:
    """Carry a recipe out. What is done is not done again; what was stopped goes on.

    Ends with exit code 1 when a suite of the evaluation is missing.
    """
    from rich.console import Console

    from lingraft.core import launch
    from lingraft.core.artifact import Store
    from lingraft.core.engine import execute, follow
    from lingraft.core.run import Run
    from lingraft.core.screen import Screen
    from lingraft.core.tables import missing
    from lingraft.stages import PRELOAD

    with user_errors():
        if shard:
            launch.shard()
        loaded, steps = _plan(recipe, override, store)
        if launch.rank() == 0:
            _warn(steps)
        kept = Store(store)
        current = Run(kept, name or loaded.name)
        if launch.rank() > 0:
            follow(loaded, steps, kept, current, PRELOAD)
            return
        with Screen(Console(stderr=True)) as screen:
            execute(loaded, steps, kept, current, screen, PRELOAD)
        lacking = missing(dict(current.artifacts()))
    for page in sorted(current.folder.glob("*/report.html")):
        typer.echo(f"report: {page}")
    for exported in sorted(current.folder.glob("*/hf")):
        typer.echo(f"model:  {exported}")
    for told in lacking:
        typer.echo(told, err=True)
    if lacking:
        raise typer.Exit(1)


@app.command()
def show(
    run: Annotated[str, typer.Argument(help="The name of a run.")],
    as_json: Annotated[bool, typer.Option("--json", help="Every figure, as JSON.")] = False,
    store: StoreFolder = DEFAULT_STORE,
) -> None:
    """Show the figures of a run."""
    import json

    from rich.console import Console

    from lingraft.core.artifact import Store
    from lingraft.core.run import Run
    from lingraft.core.tables import run_table

    with user_errors():
        artifacts = dict(Run(Store(store), run).artifacts())
    if as_json:
        steps = {name: found and dict(found.manifest) for name, found in artifacts.items()}
        typer.echo(json.dumps({"run": run, "steps": steps}, ensure_ascii=False, indent=1))
    else:
        Console().print(run_table(run, artifacts))


app.command()(evaluate)
app.command()(chat)
app.command()(doctor)


def _warn(steps: "list[Step]") -> None:
    from lingraft.core.tables import warnings

    for told in warnings(steps):
        typer.echo(told, err=True)


def _plan(name: str, override: list[str] | None, store: Path) -> "tuple[Recipe, list[Step]]":
    from lingraft.core.plan import load_and_plan
    from lingraft.stages import table

    return load_and_plan(name, table(), override or (), store)


def main() -> None:
    """The entry point of the `lingraft` command."""
    sys.exit(app())

"""`lingraft evaluate`: models side by side on held-out text and tasks, without a recipe."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .cli_errors import user_errors
from .cli_options import TextFiles, model_name

if TYPE_CHECKING:
    from lingraft.evaluate.wanted import Wanted

NAME_WIDTH = 18


def evaluate(
    model: Annotated[str, typer.Argument(help="A folder, a hub id (owner/name), or a base that comes along.")],
    language: Annotated[str, typer.Option(help="BCP 47 tag of the language that is tested: pl, sr-Latn.")],
    suite: Annotated[
        list[str],
        typer.Option(help="A suite of tasks, or NAME=FOLDER for its files (docs/suites.md). May be repeated."),
    ] = [],  # noqa: B006
    option: Annotated[
        list[str],
        typer.Option(
            metavar="SUITE.NAME=VALUE",
            help="An option of a suite, its value in YAML: 'harness.tasks=[hellaswag, piqa]'. May be repeated.",
        ),
    ] = [],  # noqa: B006
    text: TextFiles = [],  # noqa: B006
    against: Annotated[list[str], typer.Option(help="A model to compare with. May be repeated.")] = [],  # noqa: B006
    training_text: Annotated[
        list[Path], typer.Option(help="What was trained on: test items that stand in it are named.")
    ] = [],  # noqa: B006
    items: Annotated[int | None, typer.Option(min=2, help="At most so many items of each task, evenly spread.")] = None,
    shots: Annotated[
        int | None,
        typer.Option(
            min=0, help="At most so many solved examples before each item; by default what docs/suites.md says."
        ),
    ] = None,
    prompts: Annotated[str, typer.Option(help="native, english, or both.")] = "native",
    chat: Annotated[bool, typer.Option("--chat", help="Ask in the models' chat template.")] = False,
    context_tokens: Annotated[
        int | None, typer.Option(min=16, help="Tokens read at once; by default what all models have positions for.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the resampling.")] = 17,
    out: Annotated[Path, typer.Option(help="The folder for figures and every answer.")] = Path("evaluation"),
    trust_remote_code: Annotated[bool, typer.Option("--trust-remote-code")] = False,
) -> None:
    """Compare models on suites of tasks and bits per byte, item by item.

    Ends with exit code 1 when something that was asked for is missing.
    """
    with user_errors():
        from rich.console import Console

        from lingraft.core import quiet  # noqa: F401
        from lingraft.core.errors import RecipeError
        from lingraft.core.screen import Screen
        from lingraft.corpus import find
        from lingraft.corpus.read import texts_of
        from lingraft.evaluate.alone import compare_models
        from lingraft.evaluate.context import context_tokens as tokens_of
        from lingraft.stages.base import folder_of

        if not suite and not text:
            raise RecipeError("there is nothing to evaluate on.", remedy="Add --suite starter, or --text held_out.txt.")
        models = {model_name(path): folder_of(path, trust_remote_code) for path in (*against, model)}
        if len(models) <= len(against):
            raise RecipeError("two models have the same name.", remedy="Rename one of the folders.")
        options = _options(option, [entry.partition("=")[0] for entry in suite])
        with Screen(Console(stderr=True)) as screen:
            figures = compare_models(
                models,
                find(language),
                out,
                suites=[_wanted(one, options, items, shots, prompts, chat) for one in suite],
                held_out=[document for file in text for document in texts_of(file)],
                training=(document for file in training_text for document in texts_of(file)),
                context_tokens=tokens_of(
                    models, context_tokens, trusted=tuple(models.values()) if trust_remote_code else ()
                ),
                seed=seed,
                trust_remote_code=trust_remote_code,
                progress=screen,
            )
    if figures.get("bits"):
        typer.echo(_bits(figures["bits"]))
    if figures["tasks"]:
        typer.echo(_tasks(figures["tasks"]))
        typer.echo("\nIntervals of 95 %; differences are from the first model, p corrected for all of them (Holm).")
    for leak in figures["leaks"]:
        if leak["leaked"]:
            found = f"{leak['leaked']} of {leak['items']} items stand in the training text"
            typer.echo(f"leak: {leak['task']}: {found}: {', '.join(leak['examples'])}", err=True)
    for missing in figures["missing"]:
        place = ", ".join(part for part in (missing["task"] or missing["suite"], missing["model"]) if part)
        typer.echo(f"missing: {place}: {missing['why']}", err=True)
    typer.echo(f"figures and answers: {out}")
    if figures["missing"]:
        raise typer.Exit(1)


def _options(assignments: list[str], suites: list[str]) -> dict[str, dict[str, Any]]:
    """By suite, what `SUITE.NAME=VALUE` sets."""
    from lingraft.core.errors import RecipeError
    from lingraft.core.yaml_source import value

    options: dict[str, dict[str, Any]] = {suite: {} for suite in suites}
    for assignment in assignments:
        key, equals, text = assignment.partition("=")
        suite, _, name = key.partition(".")
        if not (equals and name):
            raise RecipeError(f'"{assignment}" is not of the form SUITE.NAME=VALUE.', where="--option")
        if suite not in options:
            raise RecipeError(f'"{suite}" is not asked.', where=f"--option {key}", remedy=f"Add --suite {suite}.")
        options[suite][name] = value(text, f"--option {key}")
    return options


def _wanted(
    entry: str, options: dict[str, dict[str, Any]], items: int | None, shots: int | None, prompts: str, chat: bool
) -> "Wanted":
    from lingraft.core.errors import RecipeError
    from lingraft.evaluate.wanted import Wanted

    kinds = {"native": ("native",), "english": ("english",), "both": ("native", "english")}
    if prompts not in kinds:
        raise RecipeError(f'there are no prompts "{prompts}".', remedy=f"Known: {', '.join(kinds)}.")
    name, _, folder = entry.partition("=")
    data = Path(folder).expanduser() if folder else None
    return Wanted(name, data, items=items, shots=shots, prompts=kinds[prompts], chat=chat, options=options[name])


def _bits(rows: list[dict[str, Any]]) -> str:
    lines = [f"bits per byte of {rows[0]['documents']} documents, lower is better"]
    for row in rows:
        against = row["against_base"]
        gap = "" if against is None else f"{against['difference']:+.3f} [{against['low']:+.3f}, {against['high']:+.3f}]"
        lines.append(_line(row["model"], f"{row['bits_per_byte']:.3f} [{row['low']:.3f}, {row['high']:.3f}]", gap))
    return "\n".join(lines)


def _tasks(rows: list[dict[str, Any]]) -> str:
    lines, before = [], None
    for row in rows:
        if not row["headline"]:
            continue
        digits, against = row["digits"], row["against"]
        if row["task"] != before:
            chance = "" if row["chance"] is None else f", chance {row['chance']:.{digits}f}"
            asked = "" if row["prompt_language"] in ("", row["language"]) else f", asked in {row['prompt_language']}"
            lines.append(f"\n{row['title']}: {row['metric_title']}, {row['items']} items{asked}{chance}")
            before = row["task"]
        value, gap = "not defined: one class only", ""
        if row["value"] is not None:
            value = f"{row['value']:.{digits}f} [{row['low']:.{digits}f}, {row['high']:.{digits}f}]"
        if against is not None and against["p"] is not None:
            gap = (
                f"{against['difference']:+.{digits}f} [{against['low']:+.{digits}f}, {against['high']:+.{digits}f}] "
                f"{against['verdict']}, p {against['p_holm']:.3f}"
            )
        lines.append(_line(row["model"], value, gap))
    return "\n".join(lines)


def _line(model: str, value: str, gap: str) -> str:
    name = model if len(model) <= NAME_WIDTH else f"{model[: NAME_WIDTH - 1]}…"
    return f"  {name:{NAME_WIDTH}}  {value:22}  {gap}".rstrip()

"""`lingraft tokenizer`: what a tokenizer costs, whether it holds, and how far it should grow."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .cli_errors import user_errors
from .cli_options import TextFiles

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text

app = typer.Typer(help="Compare tokenizers, prove one, or ask how many tokens to add.", no_args_is_help=True)

AsJson = Annotated[bool, typer.Option("--json", help="All figures, as JSON.")]
MEASURES = {
    "bytes_per_token": "bytes per token",
    "characters_per_token": "characters per token",
    "tokens_per_word": "tokens per word",
    "tokens_per_document": "tokens per document",
    "byte_fallback_rate": "tokens that are no whole characters",
    "renyi_efficiency": "Renyi efficiency (order 2.5)",
    "parity": "tokens, against the same text in English",
}
COLORS = ("black on bright_cyan", "black on bright_yellow", "black on bright_magenta", "black on bright_green")


@app.command()
def prove(
    path: Annotated[str, typer.Argument(help="A tokenizer: its folder, or a hub id.")],
    base: Annotated[str | None, typer.Option(help="The tokenizer that it was made from.")] = None,
    text: TextFiles = [],  # noqa: B006
    as_json: AsJson = False,
) -> None:
    """Look for what breaks extended tokenizers. Against a base, prove that nothing of it changed.

    Ends with exit code 1 when something does not hold.
    """
    with user_errors():
        from lingraft.corpus.read import texts_of
        from lingraft.stages.base import tokenizer_folder
        from lingraft.tokenizer.diagnosis import describe, diagnose
        from lingraft.tokenizer.proofs import prove

        folder = tokenizer_folder(path)
        texts = [document for file in text for document in texts_of(file)]
        findings = diagnose(folder, texts)
        proofs = prove(tokenizer_folder(base), folder, [], texts, demand=False) if base else None
    broken = [finding for finding in findings if not finding.holds]
    if as_json:
        _print_json({"findings": [vars(finding) for finding in findings], "proofs": proofs})
    else:
        typer.echo(f"{path}: {describe(folder)}")
        for finding in findings:
            typer.secho(f"{'holds ' if finding.holds else 'BROKEN'}  {finding.what}", bold=not finding.holds)
            if not finding.holds:
                typer.echo("".join(f"        {name!r}\n" for name in finding.names[:4]) + f"        {finding.remedy}")
        for key, value in (proofs or {}).items():
            if not key.endswith("_names"):
                typer.echo(f"        {key.replace('_', ' ')}: {value}")
    changed = proofs is not None and (proofs["old_ids_moved"] or proofs["old_tokens_dropped"] or proofs["unreachable"])
    if broken or changed:
        raise typer.Exit(1)


@app.command()
def compare(
    tokenizers: Annotated[list[str], typer.Argument(help="Tokenizers: their folders, or hub ids.")],
    text: TextFiles,
    english: Annotated[
        Path | None, typer.Option(help="The same text in English, line by line: gives the parity of the first --text.")
    ] = None,
    preview: Annotated[bool, typer.Option(help="Show where the tokens fall in the first lines.")] = False,
    as_json: AsJson = False,
) -> None:
    """Compare what a text costs with different tokenizers."""
    with user_errors():
        from lingraft.corpus.read import texts_of
        from lingraft.stages.base import tokenizer_folder
        from lingraft.tokenizer import family
        from lingraft.tokenizer.fertility import measure, parity

        names = [Path(path).name for path in tokenizers]
        unique = len(set(names)) == len(names)
        opened = {Path(path).name if unique else path: family.open(tokenizer_folder(path)) for path in tokenizers}
        documents = {str(file): texts_of(file) for file in text}
        figures = {
            file: {name: measure(tokenizer, found) for name, tokenizer in opened.items()}
            for file, found in documents.items()
        }
        if english is not None:
            first, original = next(iter(documents)), texts_of(english)
            for name, tokenizer in opened.items():
                figures[first][name]["parity"] = parity(tokenizer, documents[first], original)
    if as_json:
        _print_json(figures)
        return
    from rich.console import Console

    console = Console()
    for file, rows in figures.items():
        first = next(iter(rows.values()))
        console.print(
            f"{file}: {first['documents']:,} documents, {first['bytes'] / 1e6:.2f} MB, {first['words']:,} words",
            soft_wrap=True,
            highlight=False,
        )
        console.print(_comparison(rows))
        if preview:
            for line in documents[file][:3]:
                for name, tokenizer in opened.items():
                    console.print(_colored(name, tokenizer, line[:200]))
                console.print()


@app.command()
def advise(
    base: Annotated[str, typer.Argument(help="A base: its folder, or a hub id; config.json there gives the costs.")],
    text: TextFiles,
    most: Annotated[int, typer.Option(help="The largest number of new tokens to look at.")] = 64_000,
    as_json: AsJson = False,
) -> None:
    """Say how many tokens to add: what each size gains on held-out text and costs the model, from one training."""
    with user_errors():
        from lingraft.core.progress import SILENT
        from lingraft.corpus.read import texts_of
        from lingraft.stages.base import tokenizer_folder
        from lingraft.tokenizer.advice import advise, shape
        from lingraft.tokenizer.extension import open_source

        folder = tokenizer_folder(base)
        texts = [document for file in text for document in texts_of(file)]
        model = shape(folder) if (folder / "config.json").is_file() else None
        advice = advise(open_source(folder), texts, model, most=most, progress=SILENT)
    if as_json:
        _print_json(advice)
        return
    from rich.console import Console

    console = Console()
    console.print(_curve(advice["curve"]))
    found = advice["recommended"]
    console.print(
        f"take {found['new_tokens']:,} new tokens: {found['bytes_per_token']:.2f} bytes a token, "
        f"{found['flops_per_byte_change']:+.0%} computation a byte. {found['most_supported']:,} tokens occur at least "
        f"{found['least_occurrences']} times in this text; rows of others would hardly be trained."
    )


def _comparison(rows: dict[str, dict[str, Any]]) -> "Table":
    from rich.table import Table

    first = next(iter(rows.values()))
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("")
    for tokenizer in rows:
        table.add_column(tokenizer, justify="right")
    table.add_row("vocabulary", *(f"{figures['vocabulary']:,}" for figures in rows.values()))
    for key, name in MEASURES.items():
        if key in first:
            table.add_row(name, *(_short(key, figures[key]) for figures in rows.values()))
    return table


def _curve(points: list[dict[str, Any]]) -> "Table":
    from rich.table import Table

    table = Table(box=None, header_style="bold", pad_edge=False)
    costs = "flops_per_byte" in points[0]
    for name in ("new tokens", "bytes/token", "last occurs", *(("parameters", "FLOPs/byte") if costs else ())):
        table.add_column(name, justify="right")
    for point in points:
        cells = [f"{point['new_tokens']:,}", f"{point['bytes_per_token']:.3f}", f"{point['occurrences'] or ''}"]
        if costs:
            share = point["flops_per_byte"] / points[0]["flops_per_byte"] - 1
            cells += [f"+{point['parameters_added'] / 1e6:.1f} M", f"{point['flops_per_byte']:.3g} ({share:+.0%})"]
        table.add_row(*cells)
    return table


def _colored(name: str, tokenizer: Any, line: str) -> "Text":
    from rich.text import Text

    from lingraft.tokenizer.fertility import segments

    shown = Text(f"{name}\n", style="bold")
    for at, piece in enumerate(piece for piece in segments(tokenizer, line) if piece):
        shown.append(piece, style=f"not bold {COLORS[at % len(COLORS)]}")
    return shown


def _short(key: str, value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.2%}" if key.endswith("_rate") else f"{value:.3f}"


def _print_json(figures: Any) -> None:
    import json

    typer.echo(json.dumps(figures, ensure_ascii=False, indent=1))

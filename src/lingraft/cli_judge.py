"""`lingraft judge`: have people compare or rate answers on a local page."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .cli_errors import user_errors

if TYPE_CHECKING:
    from lingraft.judge.human.ballots import Ballots

app = typer.Typer(help="Have people compare or rate the answers of models.", no_args_is_help=True)


class Mode(StrEnum):
    compare = "compare"
    rate = "rate"


DEFAULT_URL = "http://127.0.0.1:8450"
BallotsFile = Annotated[Path, typer.Argument(help="The file of ballots that `lingraft judge serve` began.")]
Url = Annotated[
    str | None, typer.Option(help="The address of the page as annotators see it, behind a proxy or tunnel.")
]


@app.command()
def serve(
    answers: Annotated[Path, typer.Argument(help="answers.jsonl: prompts with the answers of several models.")],
    ballots: Annotated[Path | None, typer.Option(help="The file of votes; by default beside the answers.")] = None,
    mode: Annotated[Mode, typer.Option(help="Compare answers two by two, or rate each on five axes.")] = Mode.compare,
    links: Annotated[int | None, typer.Option(min=0, help="How many new links to print; one for a new file.")] = None,
    votes: Annotated[int, typer.Option(min=1, help="How many annotators each question wants.")] = 2,
    attention: Annotated[float, typer.Option(min=0, max=0.5, help="The share of planted questions.")] = 0.05,
    seed: Annotated[int, typer.Option(help="Of the order of questions and sides.")] = 17,
    host: Annotated[str, typer.Option(help="Where to listen; beyond loopback others reach the page.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 is any free one.")] = 8450,
    url: Url = None,
) -> None:
    """Serve the page on which people judge, until Ctrl-C. Votes are in a file; the same command goes on with it."""
    with user_errors():
        from lingraft.judge.human import items, questions
        from lingraft.judge.human import serve as serving
        from lingraft.judge.human.ballots import Ballots
        from lingraft.judge.human.database import told
        from lingraft.judge.human.server import application

        url = serving.checked_url(url) if url else None
        found = items.read(answers, least_models=2 if mode == Mode.compare else 1)
        asked = questions.make(found, mode.value, attention_share=attention, seed=seed)
        file = ballots or answers.with_name(f"{answers.stem}.{mode.value}.sqlite")
        _check_outside_artifacts(file)
        kept = Ballots.begin(file, asked, mode.value, attention_share=attention, seed=seed)
        listening = serving.bound(host, port, url=url)
        here = url or serving.address(listening)
        with told(file):
            kept.database.remember("url", here)
            alike = questions.alike(found) if mode == Mode.compare else {}
            kept.database.remember("alike", json.dumps(alike))
            known = kept.names()
            wanted = links if links is not None else 0 if known else 1
            invited = [kept.invite() for _ in range(wanted)]
        if not serving.is_loopback(host):
            typer.echo(
                f"warning: {host} can be reached from other machines, and what is sent there is not encrypted. "
                "Put a proxy with TLS before it, and name its address with --url.",
                err=True,
            )
        typer.echo(f"{len(asked):,} questions from {answers}; votes are kept in {file}")
        if alike:
            typer.echo(f"{sum(alike.values()):,} pairs of answers are the same: they count as ties, nobody is asked")
        if known:
            typer.echo(f"{len(known)} annotators have their links; lingraft judge links {file} makes more")
        for name, token in invited:
            _print_link(here, name, token)
        app = application(kept, asked, votes_per_item=votes, url=url)
        serving.serve(app, listening, ready=lambda: typer.echo(f"serving at {here}; Ctrl-C ends it"))


@app.command()
def links(
    ballots: BallotsFile,
    count: Annotated[int, typer.Option(min=1, help="How many.")] = 1,
    name: Annotated[
        str | None, typer.Option(help="What the annotator is called in exports; a number by default.")
    ] = None,
    renew: Annotated[
        str | None, typer.Option(help="An annotator whose link got into wrong hands: it is replaced.")
    ] = None,
    url: Url = None,
) -> None:
    """Print links for new annotators, one each. They are shown once; only their digests are kept."""
    with user_errors():
        from lingraft.core.errors import InputError
        from lingraft.judge.human.serve import checked_url

        if sum((count > 1, name is not None, renew is not None)) > 1:
            raise InputError("--count, --name and --renew go one at a time.", remedy="Call the command for each.")
        with _opened(ballots) as kept:
            here = checked_url(url or kept.database.settings().get("url", DEFAULT_URL))
            for _ in range(count):
                _print_link(here, *((renew, kept.renew(renew)) if renew is not None else kept.invite(name)))


@app.command()
def export(
    ballots: BallotsFile,
    to: Annotated[Path | None, typer.Option(help="The file to write; the screen by default.")] = None,
) -> None:
    """Write every vote as a line of JSON."""
    with user_errors():
        import sys

        from lingraft.judge.human.export import visible, write
        from lingraft.judge.human.votes import lines

        with _opened(ballots) as kept:
            rows = list(lines(kept.database))
        if to is None:
            typer.echo("".join(map(visible, rows) if sys.stdout.isatty() else rows), nl=False)
            return
        write(rows, to, ballots=ballots)
    typer.echo(f"{len(rows)} votes in {to}")


@app.command()
def results(ballots: BallotsFile) -> None:
    """Print win rates or ratings with intervals, agreement and attention, as JSON."""
    with user_errors():
        from lingraft.judge.human.figures import figures
        from lingraft.judge.human.votes import votes

        with _opened(ballots) as kept:
            alike = json.loads(kept.database.settings().get("alike", "{}"))
            found = figures(votes(kept.database), alike=alike)
    typer.echo(json.dumps(found, ensure_ascii=False, indent=1))


@app.command()
def delete(
    ballots: BallotsFile,
    annotator: Annotated[str | None, typer.Option(help="Whose votes, comments and link go.")] = None,
    everyone: Annotated[bool, typer.Option("--all", help="Those of every annotator.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Delete what annotators left, for good, and revoke their links."""
    with user_errors():
        from lingraft.core.errors import InputError

        if (annotator is None) != everyone:
            raise InputError("it is not said whose votes.", remedy="Name one with --annotator, or all with --all.")
        with _opened(ballots) as kept:
            whose = "every annotator" if everyone else annotator
            if not yes:
                typer.confirm(f"Delete everything of {whose}?", abort=True)
            num_votes = kept.delete(annotator)
    typer.echo(f"deleted {whose}: {num_votes} votes")


def _check_outside_artifacts(file: Path) -> None:
    """What people said must not go when an artifact is deleted, nor change one that is finished."""
    from lingraft.core.artifact import MANIFEST
    from lingraft.core.errors import InputError

    if any((folder / MANIFEST).is_file() for folder in file.resolve().parents):
        raise InputError(
            "the ballots would lie in a finished artifact of the store, and go when it is deleted.",
            where=file,
            remedy=f"Name a file elsewhere, for example --ballots {file.name}",
        )


@contextmanager
def _opened(path: Path) -> "Iterator[Ballots]":
    from lingraft.judge.human.ballots import Ballots
    from lingraft.judge.human.database import told

    with told(path):
        kept = Ballots(path)
        try:
            yield kept
        finally:
            kept.database.close()


def _print_link(url: str, name: str, token: str) -> None:
    from lingraft.judge.human.serve import link

    typer.echo(f"{name}  {link(url, token)}")

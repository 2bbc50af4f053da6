"""What a command does with a mistake of its user: says it, without a traceback, and ends with exit code 2."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

import typer

from .core.marks import visible


@contextmanager
def user_errors() -> Iterator[None]:
    from lingraft.core.errors import LingraftError

    try:
        yield
    except LingraftError as error:
        _stop(str(error), 2)
    except KeyboardInterrupt:
        _stop("stopped; the same command goes on from here.", 130)


def _stop(message: str, code: int) -> NoReturn:
    typer.echo(visible(message), err=True)  # it can quote a file, a server or a template
    raise typer.Exit(code)

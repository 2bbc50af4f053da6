"""Tables of names: found with a spelling hint, imported only when used."""

import difflib
import importlib
import inspect
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, get_args

from pydantic import ConfigDict, TypeAdapter, ValidationError

from .errors import InputError, RecipeError


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """A hint such as ` Did you mean "subwords"?`, or the known names when none is close."""
    known = list(known)
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    return f'Did you mean "{close[0]}"?' if close else f"Known: {', '.join(known)}."


def resolve(table: Mapping[str, str], name: str, what: str) -> Callable[..., Any]:
    """The function that `table` ("name -> module:function") lists under `name`.

    Raises RecipeError when the table has no such name; `what` says what the table holds.
    """
    if name not in table:
        raise RecipeError(f'no {what} is called "{name}".', remedy=did_you_mean(name, table))
    module, _, function = table[name].partition(":")
    return getattr(importlib.import_module(module), function)


def paths_resolved(function: Callable[..., Any], options: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """The options, those that the function takes as paths looked for in `folder`; raises InputError where none is."""
    parameters = inspect.signature(function, eval_str=True).parameters
    resolved = dict(options)
    for name, value in options.items():
        annotation = parameters[name].annotation if name in parameters else None
        if isinstance(value, str) and Path in (annotation, *get_args(annotation)):
            resolved[name] = folder / Path(value).expanduser()
            if not resolved[name].exists():
                raise InputError(
                    "there is no such file or folder.",
                    where=resolved[name],
                    remedy=f"It is looked for beside the recipe; set the option {name} of {function.__name__}.",
                )
    return resolved


def check_options(function: Callable[..., Any], options: Mapping[str, Any], where: str) -> None:
    """Hold options against the keyword-only parameters of the function, their names and their types.

    `progress` is no option. Raises RecipeError for an unknown name, a missing one, or a value of another type.
    """
    parameters = {
        name: parameter
        for name, parameter in inspect.signature(function, eval_str=True).parameters.items()
        if parameter.kind is parameter.KEYWORD_ONLY and name != "progress"
    }
    for name, value in options.items():
        if name not in parameters:
            known = did_you_mean(name, parameters) if parameters else "It has no options."
            raise RecipeError(f'there is no option "{name}".', where=f"{where}.{name}", remedy=known)
        annotation = parameters[name].annotation
        try:
            TypeAdapter(annotation, config=ConfigDict(strict=True)).validate_python(value)
        except ValidationError as error:
            raise RecipeError(
                f"{error.errors()[0]['msg']} (got {value!r}).",
                where=f"{where}.{name}",
                remedy=f"It is of type {getattr(annotation, '__name__', annotation)}.",
            ) from error
    for name, parameter in parameters.items():
        if parameter.default is parameter.empty and name not in options:
            raise RecipeError(f'the option "{name}" is needed.', where=where, remedy=f"Add {name}: to {where}.")

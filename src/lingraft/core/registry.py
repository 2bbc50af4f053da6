"""Tables of names: found with a spelling hint, imported only when used."""

import difflib
import importlib
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from .errors import RecipeError


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

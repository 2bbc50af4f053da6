"""Which part each model has in an analysis."""

from collections.abc import Iterable


def roles(models: Iterable[str]) -> dict[str, str]:
    """The first is the base, the last the adapted one, the others lie between."""
    names = list(models)
    found = dict.fromkeys(names, "between")
    if names:
        found[names[0]] = "base"
        found[names[-1]] = "adapted"
    return found

"""How long work says how far it is. Domain functions speak to this and know no screen."""

from collections.abc import Iterable, Iterator
from typing import TypeVar

Item = TypeVar("Item")


class Progress:
    """Listens to a piece of work; this one keeps silent. The engine has one that draws bars."""

    def start(self, what: str, total: float | None = None, unit: str = "") -> None:
        """Open a new bar named `what`, closing the one before; `total` None means unknown."""

    def advance(self, amount: float = 1) -> None:
        """Move the open bar on by `amount` units."""

    def event(self, kind: str, **values: object) -> None:
        """Add a line to the run's `events.jsonl`; the values are plain JSON."""

    def track(self, items: Iterable[Item], what: str, total: float | None = None, unit: str = "") -> Iterator[Item]:
        """Pass `items` on, one unit each, under a bar of their own."""
        self.start(what, total, unit)
        for item in items:
            yield item
            self.advance()


SILENT = Progress()

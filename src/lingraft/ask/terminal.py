"""Answers in a terminal: as they come, two side by side where there is room, tokens in colors."""

from collections.abc import Callable, Sequence

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from lingraft.core.marks import visible

from .pieces import Piece
from .speaker import Writing

LEAST_COLUMN = 36
"""Characters; where two columns would be narrower, answers stand below each other."""
LINES_KEPT = 4
"""Of the screen, for what is not an answer."""
OLD = ("on grey23", "on grey39")
NEW = ("black on dark_sea_green3", "black on light_green")
BOUNDARY = "│"


class Terminal:
    """Shows answers on `out`, and what the program itself says on `aside`.

    Nothing that a model writes is read as markup or steers the terminal; see `visible`.
    """

    def __init__(self, out: Console, aside: Console, *, tokens: bool = False) -> None:
        self._out, self._aside, self.tokens = out, aside, tokens

    def tell(self, text: str) -> None:
        """A dim line."""
        self._aside.print(Text(visible(text), style="dim"), soft_wrap=True)

    def show(self, writings: Sequence[Writing], stopped: Callable[[], bool]) -> None:
        """Two answers grow at once in columns, on a terminal that is wide enough; else one is written after another."""
        wide = self._out.width >= LEAST_COLUMN * len(writings) + 2
        if len(writings) > 1 and self._out.is_terminal and wide:
            self._side_by_side(writings, stopped)
            return
        for writing in writings:
            if stopped():
                writing.stop()
            if len(writings) > 1:
                self._out.print(Text(visible(writing.speaker.name), style="bold"), soft_wrap=True)
            self._one(writing, stopped)

    def _one(self, writing: Writing, stopped: Callable[[], bool]) -> None:
        written = 0
        try:
            for piece in writing:
                if piece is not None:
                    self._out.print(self._colored(piece, written), end="", soft_wrap=True)
                    self._out.file.flush()
                    written += 1
                if stopped():
                    writing.stop()
        finally:
            self._out.print()
        self.tell(writing.told())

    def _side_by_side(self, writings: Sequence[Writing], stopped: Callable[[], bool]) -> None:
        texts = [Text() for _ in writings]
        written = [0] * len(writings)
        growing = [iter(writing) for writing in writings]
        going = list(range(len(writings)))
        # While it grows the end of an answer is what stands on the screen; whole, it is written once below all else.
        with Live(console=self._out, transient=True, auto_refresh=False) as live:
            while going:
                for place in list(going):
                    piece = next(growing[place], False)
                    if piece is False:
                        going.remove(place)
                    elif piece is not None:
                        texts[place].append_text(self._colored(piece, written[place]))
                        written[place] += 1
                    if stopped():
                        writings[place].stop()
                live.update(self._columns(writings, texts, self._out.height - LINES_KEPT), refresh=True)
        told = [Text(visible(writing.told()), style="dim") for writing in writings]
        self._out.print(self._columns(writings, texts, None, told))

    def _columns(
        self, writings: Sequence[Writing], texts: Sequence[Text], lines: int | None, told: Sequence[Text] = ()
    ) -> RenderableType:
        width = self._out.width // len(writings) - 1
        table = Table.grid(expand=True, padding=(0, 1))
        for _ in writings:
            table.add_column(ratio=1, overflow="fold")
        table.add_row(*(Text(visible(writing.speaker.name), style="bold") for writing in writings))
        table.add_row(*(Rule(style="dim") for _ in writings))
        table.add_row(*(_end(self._out, text, width, lines) for text in texts))
        if told:
            table.add_row(*told)
        return Group(table)

    def _colored(self, piece: Piece, place: int) -> Text:
        """A piece of an answer, the `place`-th; without colors a line stands between tokens."""
        text = visible(piece.text)
        if not self.tokens:
            return Text(text)
        text = text.replace("\n", "↵\n")
        if self._out.color_system is None:
            return Text(f"{BOUNDARY if place else ''}{text}")
        return Text(text, style=(NEW if piece.new else OLD)[place % 2])


def _end(console: Console, text: Text, width: int, lines: int | None) -> Text:
    """The last lines of a text, or all of it."""
    if lines is None:
        return text
    wrapped = text.wrap(console, width, overflow="fold")
    return Text("\n").join(wrapped[-max(1, lines) :])

"""Draws progress: bars with rate and time left on a terminal, plain lines elsewhere."""

import time

from rich.console import Console
from rich.progress import (
    BarColumn,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.progress import (
    Progress as Bars,
)
from rich.text import Text

from .marks import visible
from .progress import Progress

SECONDS_BETWEEN_LINES = 15


def amount(value: float, unit: str) -> str:
    """A number for people: 3.2 MB, 12.5k tokens."""
    for limit, prefix in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if round(abs(value) / limit, 4) >= 1:
            scaled = f"{value / limit:.1f}"
            return f"{scaled} {prefix}B" if unit == "B" else f"{scaled}{prefix} {unit}".strip()
    return f"{value:.0f} {unit}".strip()


def duration(seconds: float) -> str:
    """A time for people: 4.1 s, 3 min 20 s, 2 h 5 min."""
    if round(seconds, 1) < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


class _Rate(ProgressColumn):
    def render(self, task: Task) -> Text:
        unit = task.fields["unit"]
        done = amount(task.completed, unit)
        speed = task.finished_speed or task.speed
        return Text(f"{done}  {amount(speed, unit)}/s" if speed else done, style="dim")


class Screen(Progress):
    """Shows steps and their bars; use as a context manager."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._bars = Bars(
            SpinnerColumn(),
            TextColumn("  {task.description}"),
            BarColumn(bar_width=30),
            _Rate(),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._open: tuple[str, float | None, str] | None = None
        self._done = self._began = self._spoke = 0.0

    def __enter__(self) -> "Screen":
        self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bars.stop()

    def start(self, what: str, total: float | None = None, unit: str = "") -> None:
        self._clear()
        self._open, self._done = (what, total, unit), 0.0
        self._began = self._spoke = time.monotonic()
        self._bars.add_task(what, total=total, unit=unit)

    def advance(self, amount: float = 1) -> None:
        self._done += amount
        for task in self._bars.tasks:
            self._bars.advance(task.id, amount)
        if not self._console.is_terminal and time.monotonic() - self._spoke > SECONDS_BETWEEN_LINES:
            self._spoke = time.monotonic()
            self._line()

    def event(self, kind: str, **values: object) -> None:
        self._clear()
        step = f"[bold]{values.get('step', '')}[/bold]"
        if kind == "step":
            self._console.print(f"[cyan]>[/cyan] {step} [dim]{'goes on' if values['state'] == 'resume' else ''}[/dim]")
        elif kind == "done":
            self._console.print(f"[green]✓[/green] {step} [dim]{duration(float(str(values['seconds'])))}[/dim]")
        elif kind == "waits":
            self._console.print(f"[cyan]>[/cyan] {step} [dim]waits: another run makes it ({values['whose']})[/dim]")
        elif kind == "reused":
            self._console.print(f"[green]✓[/green] {step} [dim]done before[/dim]")
        elif kind == "cell":
            self._console.print(f"[bold cyan]{values['cell']}[/bold cyan]", highlight=False)
        elif kind == "cell failed":
            self._console.print(f"[red]✗[/red] {step} [dim]failed; the other cells go on[/dim]")
            self._console.print(Text(visible(str(values["why"]))), soft_wrap=True)

    def _clear(self) -> None:
        for task in self._bars.tasks:
            self._bars.remove_task(task.id)
        self._open = None

    def _line(self) -> None:
        if self._open is None:
            return
        what, total, unit = self._open
        rate = self._done / (time.monotonic() - self._began)
        text = f"    {what}: {amount(self._done, unit)}"
        if total:
            left = duration((total - self._done) / rate) if rate else "unknown"
            text += f" of {amount(total, unit)} ({self._done / total:.0%}), {amount(rate, unit)}/s, {left} left"
        self._console.print(text, highlight=False, soft_wrap=True)

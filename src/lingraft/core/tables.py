"""Plans and runs as tables on the terminal."""

from collections.abc import Mapping, Sequence

from rich.table import Table

from .plan import Step
from .screen import amount, duration
from .stage import Input


def plan_table(steps: Sequence[Step]) -> Table:
    """A row a step: state, what it reads and writes, and the forecast of its cost (~ is an estimate)."""
    table = Table(box=None, header_style="bold", pad_edge=False, padding=(0, 1))
    for column in ("step", "state"):
        table.add_column(column, no_wrap=True)
    for column in ("reads", "writes"):
        table.add_column(column, no_wrap=True, overflow="ellipsis", min_width=8)
    for column in ("tokens", "FLOPs", "memory", "disk", "time"):
        table.add_column(column, justify="right", no_wrap=True)
    open_seconds = 0.0
    for step in steps:
        cost, about = step.forecast, "" if step.state == "done" else "~"
        if step.state != "done":
            open_seconds += cost.seconds or 0
        table.add_row(
            step.name,
            step.state,
            cost.reads or ", ".join(step.inputs) or "-",
            cost.writes or step.fingerprint,
            _about(cost.tokens, "", about),
            _about(cost.flops, "", about),
            _about(cost.memory_bytes, "B", about),
            _about(cost.disk_bytes, "B", about),
            f"{about}{duration(cost.seconds)}" if cost.seconds is not None else "?",
        )
    table.caption = f"still to do: about {duration(open_seconds)}" if open_seconds else "all done"
    return table


def run_table(name: str, artifacts: Mapping[str, Input | None]) -> Table:
    """A row a step of a run with its headline figures."""
    table = Table(title=name, box=None, header_style="bold", pad_edge=False)
    for column in ("step", "time", "figures"):
        table.add_column(column)
    for step, artifact in artifacts.items():
        if artifact is None:
            table.add_row(step, "not done", "")
            continue
        plain = {key: value for key, value in artifact.figures.items() if isinstance(value, int | float | str)}
        shown = ", ".join(f"{key} {_short(value)}" for key, value in plain.items())
        table.add_row(step, duration(artifact.manifest["seconds"]), shown)
    return table


def _about(value: float | None, unit: str, about: str) -> str:
    return "?" if value is None else f"{about}{amount(value, unit)}"


def _short(value: float | str) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)

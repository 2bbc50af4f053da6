"""Plans and runs as tables on the terminal."""

from collections.abc import Mapping, Sequence

from rich.table import Table
from rich.text import Text

from .plan import Step
from .screen import amount, duration
from .stage import Input

COSTS = {"tokens": 8, "FLOPs": 8, "memory": 10, "disk": 10, "time": 13}


def plan_table(steps: Sequence[Step]) -> Text:
    """Two lines a step: its state with the forecast of its cost (~ is an estimate), and what it reads and writes."""
    width = max(len(step.name) for step in steps) + 2
    heads = "".join(f"{name:>{size}}" for name, size in COSTS.items())
    text = Text(f"{'step':{width}}{'state':8}{heads}\n", style="bold", no_wrap=True)
    for step in steps:
        cost, about = step.forecast, "" if step.state == "done" else "~"
        cells = {
            "tokens": _about(cost.tokens, "", about),
            "FLOPs": _about(cost.flops, "", about),
            "memory": _about(cost.memory_bytes, "B", about),
            "disk": _about(cost.disk_bytes, "B", about),
            "time": "-" if cost.seconds is None else f"{about}{duration(cost.seconds)}",
        }
        text.append(f"{step.name:{width}}", style="not bold cyan")
        text.append(f"{step.state:8}" + "".join(f"{cells[name]:>{size}}" for name, size in COSTS.items()), "not bold")
        reads = cost.reads or ", ".join(step.inputs) or "nothing"
        text.append(f"\n{'':{width}}{reads} -> {cost.writes or step.fingerprint}\n", style="not bold dim")
    seconds = sum(step.forecast.seconds or 0 for step in steps if step.state != "done")
    return text.append(f"\nstill to do: about {duration(seconds)}" if seconds else "\nall done")


def warnings(steps: Sequence[Step]) -> list[str]:
    """What is likely not meant, a line each."""
    return [f"warning: {step.name}: {told}" for step in steps for told in step.forecast.warnings]


def missing(artifacts: Mapping[str, Input | None]) -> list[str]:
    """What steps could not find or ask and went on without, a line each."""
    told = []
    for step, artifact in artifacts.items():
        for one in artifact.figures.get("missing", []) if artifact else []:
            place = ", ".join(part for part in (one["task"] or one["suite"], one["model"]) if part)
            told.append(f"missing: {step}: {place}: {one['why']}")
    return told


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
    return "-" if value is None else f"{about}{amount(value, unit)}"


def _short(value: float | str) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)

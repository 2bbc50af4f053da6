"""The steps of a study's cells: each distinct one once, with its state and the forecast of its time."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from rich.text import Text

from lingraft.core.artifact import Store
from lingraft.core.errors import LingraftError, RecipeError
from lingraft.core.outside import ContentHashes
from lingraft.core.plan import ROOMS, Room, Step, check_disk, plan
from lingraft.core.screen import duration
from lingraft.core.stage import Stage

from .study import Cell

STATES = ("done", "resume", "new")


@dataclass(frozen=True)
class Planned:
    """A cell with the steps of its recipe."""

    cell: Cell
    steps: Sequence[Step]

    @property
    def state(self) -> str:
        """done when all of its steps are, resume when some are done or stopped, else new."""
        states = {step.state for step in self.steps}
        return states.pop() if len(states) == 1 else "resume"


def plan_cells(
    cells: Iterable[Cell], table: Mapping[str, Stage], store: Store, *, must_fit: Collection[Room] = ROOMS
) -> list[Planned]:
    """Every cell with its steps.

    Raises RecipeError that lists what the checks of all cells find, each mistake once, and StoreError where the disk is
    too small for all of them together; see `lingraft.core.plan.plan`.
    """
    planned, mistakes = [], {}
    hashes = ContentHashes(store.hashes)
    for cell in cells:
        try:
            planned.append(Planned(cell, plan(cell.recipe, table, store, hashes=hashes, must_fit=must_fit)))
        except LingraftError as error:
            mistakes.setdefault(str(error), []).append(cell.run)
    if mistakes:
        raise RecipeError("\n".join(f"{told}\n  {_named(runs)}" for told, runs in mistakes.items()))
    if "disk" in must_fit:
        check_disk([step for step, _ in distinct(planned)], store)
    return planned


def distinct(planned: Iterable[Planned]) -> list[tuple[Step, list[Cell]]]:
    """Every step once, in an order in which it can be carried out, and the cells that have it."""
    found: dict[tuple[str, str], tuple[Step, list[Cell]]] = {}
    for one in planned:
        for step in one.steps:
            found.setdefault((step.stage.kind, step.fingerprint), (step, []))[1].append(one.cell)
    return list(found.values())


def plan_text(planned: Sequence[Planned]) -> Text:
    """The cells with their states, the distinct steps by name, and the time that is left."""
    text = Text(no_wrap=True)
    width = max(len(one.cell.run) for one in planned) + 2
    text.append(f"{'cell':{width}}{'state':8}{'steps':>6}{'shared':>8}{'new time':>14}\n", "bold")
    seen: set[str] = set()
    for one in planned:
        new = [step for step in one.steps if step.fingerprint not in seen]
        seen |= {step.fingerprint for step in new}
        text.append(f"{one.cell.run:{width}}", "cyan")
        text.append(f"{one.state:8}{len(one.steps):>6}{len(one.steps) - len(new):>8}{_left(new):>14}\n")
    steps = distinct(planned)
    width = max(len(step.name) for step, _ in steps) + 2
    text.append(f"\n{'step':{width}}{'distinct':>9}" + "".join(f"{state:>8}" for state in STATES), "bold")
    text.append(f"{'time':>14}\n", "bold")
    for name in dict.fromkeys(step.name for step, _ in steps):
        named = [step for step, _ in steps if step.name == name]
        counts = "".join(f"{sum(step.state == state for step in named):>8}" for state in STATES)
        text.append(f"{name:{width}}", "cyan")
        text.append(f"{len(named):>9}{counts}{_left(named):>14}\n")
    all_steps = [step for step, _ in steps]
    in_cells = sum(len(one.steps) for one in planned)
    text.append(f"\n{len(planned)} cells, {in_cells} steps, {len(steps)} of them distinct; ")
    if all(step.state == "done" for step in all_steps):
        return text.append("all done")
    unknown = sum(step.forecast.seconds is None for step in all_steps if step.state != "done")
    text.append(f"still to do: about {duration(_seconds(all_steps))}")
    return text.append(f", and {unknown} steps whose time is not known" if unknown else "")


def _left(steps: Sequence[Step]) -> str:
    if all(step.state == "done" for step in steps):
        return "-"
    return f"~{duration(_seconds(steps))}"


def _seconds(steps: Iterable[Step]) -> float:
    return sum(step.forecast.seconds or 0 for step in steps if step.state != "done")


def _named(runs: Sequence[str]) -> str:
    more = f" and {len(runs) - 3} more" if len(runs) > 3 else ""
    return f"in {', '.join(runs[:3])}{more}"

"""The tables of a study, as text for the terminal and for Markdown."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Group
from rich.table import Table as RichTable
from rich.text import Text

from lingraft.core.marks import visible
from lingraft.report import format as fmt

Results = Mapping[str, Any]


@dataclass(frozen=True)
class Table:
    """Cells as text under their columns; the first column names the row."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    notes: Sequence[str] = ()

    def markdown(self) -> str:
        """The table alone, without title and notes."""
        head = [escape(column) for column in self.columns]
        lines = [head, ["---", *["---:"] * (len(head) - 1)], *([escape(cell) for cell in row] for row in self.rows)]
        return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def name(row: Mapping[str, Any]) -> str:
    """The labels of a row in one."""
    return " · ".join(row["axes"].values())


def means(results: Results) -> Table:
    """Every row's mean over seeds with its interval; a cell that has not run is empty."""
    labels = list(_figures(results))
    rows = []
    for row in results["rows"]:
        told = [_mean(row["figures"][label], digits(results, label), len(results["seeds"])) for label in labels]
        rows.append([name(row) + (" (reference)" if row.get("reference") else ""), *told])
    wanted = len(results["seeds"])
    notes = [f"Mean over {_seeds(wanted)} and its 95 % interval by Student's t over the seeds."]
    if wanted == 1:
        notes = ["Of one seed: there is no interval over seeds, and a difference may be chance."]
    fewer = any(0 < row["figures"][label]["seeds"] < wanted for row in results["rows"] for label in labels)
    if fewer:
        notes.append("A number in braces is how many seeds a cell has where it has fewer.")
    return Table("Means over seeds", [_axes(results), *_heads(results, labels)], rows, [*notes, *missing(results)])


def differences(results: Results) -> Table | None:
    """Every row less its reference, paired by seed; None where the study names no reference."""
    labels = [label for label in _figures(results) if varies(results, label)]
    rows = [
        [name(row), *(_difference(row["figures"][label].get("against"), digits(results, label)) for label in labels)]
        for row in results["rows"]
        if not row["reference"]
    ]
    if not results["against"] or not rows or not labels:
        return None
    reference = ", ".join(f"{axis} {label}" for axis, label in results["against"].items())
    return Table(
        f"Differences from {reference}",
        [_axes(results), *_heads(results, labels)],
        rows,
        [
            "Paired by seed: mean of the differences, its 95 % interval by Student's t, and the number of seeds in "
            "braces. An interval without 0 is in bold; it is not corrected for how many there are."
        ],
    )


def varies(results: Results, label: str) -> bool:
    """Whether a figure differs between rows of a seed: that of a step which all rows share does not."""
    by_seed: dict[str, set[float]] = {}
    for row in results["rows"]:
        for seed, value in row["figures"][label]["values"].items():
            by_seed.setdefault(seed, set()).add(value["value"])
    return len(results["rows"]) == 1 or not by_seed or any(len(values) > 1 for values in by_seed.values())


def by_seed(results: Results, label: str) -> Table:
    """A figure of every cell by itself, with the interval over its items that the artifact gives."""
    items, places = results["measures"][label]["items"], digits(results, label)
    rows = []
    for row in results["rows"]:
        values = row["figures"][label]["values"]
        rows.append([name(row), *(_with_ends(values.get(str(seed)), places) for seed in results["seeds"])])
    notes = [f"The interval of a cell is over {items}: other {items}, the same training."] if items else []
    return Table(label, [_axes(results), *(f"seed {seed}" for seed in results["seeds"])], rows, notes)


def on_items(results: Results, label: str) -> Table | None:
    """Differences from the reference on the same items, seed by seed; None where the artifacts keep no items."""
    places, rows = digits(results, label), []
    for row in results["rows"]:
        gaps = row["figures"][label].get("against", {}).get("on_items")
        if gaps:
            told = (_with_ends(gaps.get(str(seed)), places, fmt.signed) for seed in results["seeds"])
            rows.append([name(row), *told])
    if not rows:
        return None
    items = results["measures"][label]["items"]
    return Table(
        f"{label}: differences on the same {items}",
        [_axes(results), *(f"seed {seed}" for seed in results["seeds"])],
        rows,
        [f"Each interval is over {items}, resampled as pairs: of one training against one other."],
    )


def costs(results: Results) -> Table | None:
    """What each row's cells took in the mean, of trainings only where there are any; None while no cell is done."""
    of_trainings = {
        "Text shown": ("bytes", fmt.size),
        "Tokens": ("tokens", fmt.amount),
        "FLOPs": ("flops", fmt.scientific),
        "Training": ("training_seconds", fmt.duration),
        "Energy": ("kwh", fmt.energy),
        "Most memory": ("peak_memory_bytes", fmt.size),
    }
    trained = any(cost["training_seconds"] for row in results["rows"] for cost in row["costs"].values())
    written = {**(of_trainings if trained else {}), "All steps": ("seconds", fmt.duration)}
    rows = []
    for row in results["rows"]:
        told = [as_text(mean_cost(row, key)) if row["costs"] else "" for key, as_text in written.values()]
        rows.append([name(row), *told])
    if not any(row["costs"] for row in results["rows"]):
        return None
    notes = [equality(results, "bytes", "Bytes of text shown"), equality(results, "flops", "Training FLOPs")]
    return Table(
        "What the cells took",
        [_axes(results), *written],
        rows,
        [
            f"Means over seeds{', of all trainings of a cell together' if trained else ''}; a step that cells share is "
            "counted in each.",
            *(note for note in notes if note),
        ],
    )


def mean_cost(row: Mapping[str, Any], key: str) -> float | None:
    """The mean over the seeds that are done; None without any, and where it was not counted."""
    values = [cost[key] for cost in row["costs"].values()]
    return sum(values) / len(values) if values and None not in values else None


def equality(results: Results, key: str, what: str) -> str:
    """How far apart the rows are in what they took; empty where nothing was trained."""
    values = [value for row in results["rows"] if (value := mean_cost(row, key)) is not None]
    if not values or not min(values):
        return "" if not any(values) else f"{what}: some rows train nothing."
    spread = max(values) / min(values) - 1
    return f"{what}: {'the same' if not spread else f'the most is {fmt.percent(spread)} above the least'}."


def missing(results: Results) -> list[str]:
    """The cells that are empty, by what keeps them so; and measures that some or all of the finished do not have."""
    why: dict[str, list[str]] = {}
    for row in results["rows"]:
        for seed, told in row["missing"].items():
            why.setdefault(told.partition("\n")[0], []).append(f"{name(row)} (seed {seed})")
    total = sum(len(row["runs"]) for row in results["rows"])
    empty = [f"{len(cells)} of {total} cells {told}: {', '.join(cells)}." for told, cells in why.items()]
    empty += [f"{label} is in no cell so far: {told}" for label, told in results["absent"].items()]
    lacking: dict[tuple[str, str], list[str]] = {}
    for one in results["unread"]:
        lacking.setdefault((one["measure"], one["why"]), []).append(one["run"])
    return empty + [f"{label} is not in {', '.join(runs)}: {why}" for (label, why), runs in lacking.items()]


def digits(results: Results, label: str) -> int:
    """Decimals that fit the size of a figure."""
    values = [abs(v["value"]) for row in results["rows"] for v in row["figures"][label]["values"].values()]
    largest = max(values, default=0.0)
    return next(places for limit, places in ((10, 3), (100, 2), (1000, 1), (float("inf"), 0)) if largest < limit)


def on_terminal(results: Results) -> Group:
    """The two main tables, and what they are of."""
    parts: list[Any] = [Text(results["question"] + "\n", style="bold")]
    for table in (means(results), differences(results)):
        if table:
            drawn = RichTable(title=table.title, box=None, header_style="bold", title_justify="left", pad_edge=False)
            for column in table.columns:
                drawn.add_column(column)
            for row in table.rows:
                drawn.add_row(*(Text(cell.replace("**", "")) for cell in row))
            parts += [drawn, *(Text(visible(note), style="dim") for note in table.notes), Text()]
    return Group(*parts)


def _figures(results: Results) -> Iterable[str]:
    return (label for label in results["measures"] if label in results["rows"][0]["figures"])


def _axes(results: Results) -> str:
    return " · ".join(results["axes"])


def _heads(results: Results, labels: Iterable[str]) -> list[str]:
    arrows = {"lower": " ↓", "higher": " ↑", None: ""}
    found = []
    for label in labels:
        measure = results["measures"][label]
        unit = f" ({measure['unit']})" if measure["unit"] else ""
        found.append(f"{label}{unit}{arrows[measure['better']]}")
    return found


def _mean(figure: Mapping[str, Any], places: int, wanted: int) -> str:
    if not figure["seeds"]:
        return ""
    told = fmt.decimal(figure["mean"], places)
    if figure["low"] is not None:
        told += f" {fmt.interval(figure['low'], figure['high'], places)}"
    return told if figure["seeds"] == wanted else f"{told} ({figure['seeds']})"


def _difference(gap: Mapping[str, Any] | None, places: int) -> str:
    if not gap or not gap["seeds"]:
        return ""
    told = fmt.signed(gap["mean"], places)
    if gap["low"] is not None:
        told += f" {fmt.signed_interval(gap['low'], gap['high'], places)}"
        if gap["low"] > 0 or gap["high"] < 0:
            told = f"**{told}**"
    return f"{told} ({gap['seeds']})"


def _with_ends(
    value: Mapping[str, Any] | None, places: int, written: Callable[[float | None, int], str] = fmt.decimal
) -> str:
    if value is None:
        return ""
    told = written(value["value"], places)
    if value["low"] is not None:
        told += f" [{written(value['low'], places)}, {written(value['high'], places)}]"
    return told


def _seeds(number: int) -> str:
    return "1 seed" if number == 1 else f"{number} seeds"


def escape(text: str) -> str:
    """For a cell of a table in Markdown."""
    return text.replace("|", "\\|").replace("\n", " ")

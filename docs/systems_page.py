"""Fills the figures into docs/systems/: of each lab run that was recorded, beside what its paper saw.

python docs/systems_page.py
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from systems_tables import Record, tables

from lingraft.core.study.measure import Absent, Measure, Value, read
from lingraft.report import format as fmt
from lingraft.report.study.tables import Table

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "docs" / "systems"
RESULTS = ROOT / "benchmarks" / "results" / "systems"
LINK = "../../benchmarks/results/systems"
BEGIN, END = "<!-- Written by docs/systems_page.py: -->", "<!-- until here -->"
NOT_RUN = "The lab recipe has not been run to its end yet; there are no figures."
DIRECTIONS = {"falls": -1, "stays": 0, "rises": 1}
CONTRARY, NOT_SHOWN, GUESSING = "**no**", "not shown", "says nothing: guessed"


def write(folder: Path) -> None:
    """Every page of the five and their index, with what is recorded."""
    papers = YAML(typ="safe").load(FOLDER / "papers.yaml")
    records = {name: recorded(paper["recipe"]) for name, paper in papers.items()}
    folder.mkdir(parents=True, exist_ok=True)
    for name, paper in papers.items():
        found = records[name]
        filled(name, folder, NOT_RUN if found is None else "\n\n".join(page(paper, found)))
    filled("README", folder, index(records))


def recorded(recipe: str) -> Record | None:
    """What benchmarks/systems.py has recorded of a lab recipe."""
    path = RESULTS / f"{recipe}.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None


def filled(name: str, folder: Path, text: str) -> None:
    """The page with this text between its marks."""
    before, _, rest = (FOLDER / f"{name}.md").read_text(encoding="utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    (folder / f"{name}.md").write_text(f"{before}{BEGIN}\n\n{text}\n\n{END}{after}", encoding="utf-8")


def index(records: Mapping[str, Record | None]) -> str:
    """What each run took, and bits per byte of both languages before and after pretraining."""
    rows = []
    for name, found in records.items():
        if found is None:
            rows.append([f"[{name}]({name}.md)", "not run", *[fmt.MISSING] * 3])
            continue
        told = [_pair(found, stream) for stream in ("target", "replay")]
        rows.append([f"[{name}]({name}.md)", fmt.duration(found["seconds"]), *told, memory(found)])
    columns = ("system", "time", "target language, base to pretrained", "English, likewise", "memory, at most")
    return Table("", columns, rows).markdown()


def memory(found: Record) -> str:
    """Of the process of the largest step."""
    return fmt.size(found["peak_memory_bytes"])


def _pair(found: Record, stream: str) -> str:
    rows = {row["model"]: row for row in found["steps"]["evaluate"]["bits"] if row["stream"] == stream}
    return " to ".join(fmt.decimal(rows[model]["bits_per_byte"]) for model in ("base", "pretrain"))


def page(paper: Mapping[str, Any], found: Record) -> Iterator[str]:
    """Paragraphs and tables: when and where, beside the paper, and then every part that the run has."""
    yield provenance(paper["recipe"], found)
    claims = [Claim.read(claim, found["steps"]) for claim in paper["claims"]]
    yield "### Beside the paper"
    yield (
        "Models a thousand times smaller, other texts and other measures: no figure of one column can be held against "
        "one of the other; which way they go can. Intervals of 95 % are over documents, items, pairs of one training, "
        "of one seed. Where the paper published nothing that could be held against it stands a dash."
    )
    yield (
        Table("", ("", "the paper", "here", "goes the same way"), [claim.row() for claim in claims])
        .markdown()
        .replace("---:", "---")
    )
    yield from outcome(claims)
    yield f"Not asked: {paper['not_asked'][0].lower()}{paper['not_asked'][1:]}"
    yield "### What we saw"
    yield paper["saw"].strip()
    for table in tables(found):
        yield f"### {table.title}"
        yield table.markdown()
        yield from table.notes


def provenance(recipe: str, found: Record) -> str:
    """When, where and how long, by step."""
    machine, versions = found["machine"], found["versions"]
    memory = f"{fmt.size(machine['memory_bytes'])} of memory"
    where = f"{machine['cpu']}, {machine['cores']} cores, {memory}, products in {found['precision']}"
    beside = f" ({found['beside']})" if found["beside"] else ""
    by_step = ", ".join(
        f"{took['step']} {fmt.duration(took['seconds'])}"
        + (f" (stopped {took['stops']} times)" if took["stops"] else "")
        for took in found["took"]
        if took["seconds"] >= 10
    )
    base = found["steps"]["base"]
    picture = RESULTS / f"{recipe}.png"
    shown = f" [The report's beginning]({LINK}/{picture.name})." if picture.exists() else ""
    return (
        f"`lingraft run lab/{recipe}`, ended {found['finished'].partition('T')[0]}, seed {found['seed']}: "
        f"**{fmt.duration(found['seconds'])}** on {where}{beside}. Base: {base['model_type']}, "
        f"{fmt.amount(base['parameters'])} weights. Of the time: {by_step}; every other step less than ten seconds. "
        f"Versions: {', '.join(map(' '.join, versions.items()))}. [All figures]"
        f"({LINK}/{recipe}.json), by `python benchmarks/systems.py {recipe}`.{shown}"
    )


@dataclass(frozen=True)
class Claim:
    """What a paper saw and what was measured here, as text, and whether both go the same way."""

    what: str
    paper: str
    here: str
    verdict: str

    @classmethod
    def read(cls, claim: Mapping[str, Any], steps: Mapping[str, Any]) -> "Claim":
        """The figures that it names; a suite or an analysis that the run left out leaves it unmeasured."""
        digits = claim.get("digits", 3)
        try:
            found = {key: value_of(claim[key], steps) for key in ("before", "after", "change") if key in claim}
        except Absent as absent:
            return cls(claim["what"], claim["paper"], f"not measured: {absent}", fmt.MISSING)
        told = [told_value(found[key], digits) for key in ("before", "after") if key in found]
        here = [" to ".join(told)] if told else []
        if "change" in found:
            here.append(told_change(found["change"], digits))
        verdict = fmt.MISSING if "expects" not in claim else agreement(DIRECTIONS[claim["expects"]], direction(found))
        chance = chance_of(claim["after"], steps) if "after" in claim else None
        if chance is not None and all(guesses(found[key], chance) for key in ("before", "after") if key in found):
            verdict = GUESSING
        return cls(claim["what"], claim["paper"], f"{'; '.join(here)} {claim['unit']}", verdict)

    def row(self) -> list[str]:
        return [self.what, self.paper, self.here, self.verdict]


def value_of(figure: str, steps: Mapping[str, Any]) -> Value:
    """A figure with its interval, where it has one."""
    name = figure.partition(".")[0]
    if name not in steps:
        raise Absent(f"the run has no step {name}")
    step = steps[name]
    try:
        return read(Measure(figure=figure, items="items"), step)
    except Absent:
        return read(Measure(figure=figure), step)


def chance_of(figure: str, steps: Mapping[str, Any]) -> float | None:
    """What guessing would score, of a task that can be guessed."""
    place, _, key = figure.rpartition(".")
    try:
        return value_of(f"{place}.chance", steps).value if key == "value" else None
    except Absent:
        return None


def guesses(value: Value, chance: float) -> bool:
    """Whether it may as well be chance."""
    low, high = _ends(value)
    return low <= chance <= high


def direction(found: Mapping[str, Value]) -> int | None:
    """-1 down, 1 up, 0 where that is not clear: the interval of the change holds 0, or both intervals overlap."""
    if "change" in found:
        change = found["change"]
        low, high = _ends(change)
        return (low > 0) - (high < 0)
    if "before" not in found:
        return None
    (low, high), (low_after, high_after) = _ends(found["before"]), _ends(found["after"])
    return (low_after > high) - (high_after < low)


def agreement(expected: int, way: int | None) -> str:
    """In words."""
    if way == expected:
        return "yes" if expected else "yes: no difference shown"
    if way == 0:
        return NOT_SHOWN
    return CONTRARY


def _ends(value: Value) -> tuple[float, float]:
    return (value.value, value.value) if value.low is None else (value.low, value.high)


def told_value(value: Value, digits: int) -> str:
    """With its interval."""
    ends = "" if value.low is None else f" {fmt.interval(value.low, value.high, digits)}"
    return f"{fmt.decimal(value.value, digits)}{ends}"


def told_change(value: Value, digits: int) -> str:
    """With its sign and interval."""
    return f"change {fmt.signed(value.value, digits)} {fmt.signed_interval(*_ends(value), digits)}"


def outcome(claims: Sequence[Claim]) -> Iterator[str]:
    """What goes another way than in the paper, and what is not shown, by name."""
    for verdict, said in (
        (CONTRARY, "Contrary to the paper"),
        (NOT_SHOWN, "What the paper saw and this run does not show"),
    ):
        named = [claim.what for claim in claims if claim.verdict == verdict]
        if named:
            yield f"{said}: {'; '.join(named)}."


if __name__ == "__main__":
    write(FOLDER)

"""The page of a study in Markdown, with its figures beside it, and the index of all studies."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from lingraft.core import yaml_source
from lingraft.core.errors import RecipeError
from lingraft.core.study.study import Study, slug
from lingraft.report import format as fmt

from . import drawings, tables
from .tables import Results, Table


def write(study: Study, results: Results, folder: Path, results_link: str) -> Path:
    """The path of `folder`/NAME.md; figures stand in `folder`/figures/NAME. The same results give the same bytes."""
    for name, drawing in figures(results).items():
        place = folder / "figures" / study.name / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(drawing, encoding="utf-8")
    path = folder / f"{study.name}.md"
    path.write_text(page(study, results, results_link), encoding="utf-8")
    return path


def figures(results: Results) -> dict[str, str]:
    """Every figure as SVG, by the name of its file."""
    drawn = {}
    for label in results["measures"]:
        is_curve = label in results["rows"][0]["curves"]
        if not is_curve and not tables.varies(results, label):
            continue
        drawing = (drawings.curves if is_curve else drawings.points)(results, label)
        if drawing:
            drawn[_file(label)] = drawing
    return drawn


def page(study: Study, results: Results, results_link: str) -> str:
    """The page as text.

    Raises RecipeError when it tells what came out, and nothing has, and for results of other axes, seeds or measures.
    """
    if study.saw and not has_results(results):
        raise RecipeError(
            "it tells what came out, and no cell has run.",
            where=f"{study.path}: saw",
            remedy="Take it away until there are results.",
        )
    ours = {"axes": study.axes, "seeds": study.seeds, "measures": dict.fromkeys(study.measures)}
    for key, wanted in ours.items():
        there, here = (list(found.items()) if key == "axes" else list(found) for found in (results[key], wanted))
        if there != here:
            raise RecipeError(
                f"the figures are of another study: its {key} are {there}, and not {here}.",
                where=study.path,
                remedy="Run the study, or set it back.",
            )
    parts = [f"# {study.question}", _about(study, results, results_link)]
    parts += ["## Figures", *_table(tables.means(results)), *_table(tables.differences(results))]
    parts += [f"![{label}](figures/{study.name}/{_file(label)})" for label in _drawn(results)]
    parts += _uncertainty(results)
    parts += ["## What it took", *_table(tables.costs(results), titled=False)] if tables.costs(results) else []
    parts += ["## What the papers say", _papers(study)]
    parts += ["## What we saw", study.saw or "Not written yet."]
    parts += ["## Under which conditions", _conditions(study, results)]
    parts += ["## What we cannot say", study.cannot_say or "Not written yet."]
    return "\n\n".join(parts) + "\n"


def index(studies: Iterable[tuple[Study, Results | None]]) -> str:
    """The page that lists all studies: question, what was varied, and how much of it has run."""
    lines = [
        "# Studies",
        "Each is a recipe varied over axes and seeds (see [how a study is written](../studies.md)); its page is made "
        "from the recorded figures.",
        "| Study | Question | Answer | Axes | Cells |\n| --- | --- | --- | --- | --- |\n"
        + "\n".join(_index_row(study, results) for study, results in studies),
    ]
    return "\n\n".join(lines) + "\n"


def has_results(results: Results) -> bool:
    """Whether any cell has a figure."""
    return any(
        values["values"] for row in results["rows"] for part in ("figures", "curves") for values in row[part].values()
    )


def _index_row(study: Study, results: Results | None) -> str:
    done = sum(len(row["runs"]) - len(row["missing"]) for row in results["rows"]) if results else 0
    name = f"[{study.name}]({study.name}.md)" if results else study.name
    axes = "; ".join(f"{axis} ({len(labels)})" for axis, labels in study.axes.items())
    cells = f"{done} of {len(study.cells)}"
    axes = f"{axes}; seeds ({len(study.seeds)})"
    told = (name, tables.escape(study.question), tables.escape(study.answer), tables.escape(axes), cells)
    return f"| {' | '.join(told)} |"


def _about(study: Study, results: Results, results_link: str) -> str:
    axes = "; ".join(f"{axis}: {', '.join(labels)}" for axis, labels in results["axes"].items())
    seeds = ", ".join(map(str, results["seeds"]))
    return (
        f"The recipe `{study.recipe.stem}` varied over {axes}; seeds {seeds}. Made from [all figures]({results_link}) "
        f"by `lingraft study show {study.name} --page FOLDER`; to run it: `lingraft study run {study.name}`."
    )


def _table(table: Table | None, *, titled: bool = True) -> list[str]:
    if table is None:
        return []
    return [*([f"### {table.title}"] if titled else []), table.markdown(), *table.notes]


def _uncertainty(results: Results) -> list[str]:
    """Seeds and items are different uncertainties: both, side by side."""
    measures = results["measures"].items()
    labels = [label for label, measure in measures if measure["items"] and tables.varies(results, label)]
    if not labels:
        return []
    parts = [
        "## Seeds and items",
        "The intervals above are over seeds: where the mean of all such trainings lies. Those below are over what was "
        "asked of one training: where it would lie on all such texts. Neither contains the other.",
    ]
    for label in labels:
        parts += _table(tables.by_seed(results, label)) + _table(tables.on_items(results, label))
    return parts


def _papers(study: Study) -> str:
    return "\n".join(f"- {paper.says.strip()} ({paper.source})" for paper in study.papers) or "None is named."


def _conditions(study: Study, results: Results) -> str:
    found = results["conditions"]
    lines = [f"- Base: {one['model']}, {fmt.amount(one['parameters'])} parameters." for one in found["bases"]]
    lines += [
        f"- Target language {one['target']}, replay language {one['replay'] or 'none'}." for one in found["languages"]
    ]
    texts = [
        f"{stream} {fmt.size(text['train']['bytes'])} to train on, {fmt.count(text['held_out']['documents'])} "
        f"documents held out"
        for one in found["texts"]
        for stream, text in one.items()
    ]
    if texts:
        lines.append(f"- Texts (of each distinct corpus): {'; '.join(texts)}.")
    lines.append(f"- Seeds: {', '.join(map(str, study.seeds))}; a seed changes what the recipe's seed changes.")
    lines += [f"- {note}" for note in (tables.costs(results).notes[1:] if tables.costs(results) else ())]
    lines += [f"- Trained with products in {' or '.join(found['precisions'])}."] if found["precisions"] else []
    lines += [f"- Machine: {_machine(one)}." for one in found["machines"]]
    lines += [f"- Versions: {', '.join(map(' '.join, one.items()))}." for one in found["versions"]]
    if found["finished"]:
        first, last = (day.partition("T")[0] for day in found["finished"])
        lines.append(f"- Run {first if first == last else f'from {first} to {last}'}.")
    if not found["finished"]:
        lines.append("- No cell has run.")
    recipe = study.recipe.read_text(encoding="utf-8").strip()
    told = [_folded("What the study sets", _settings(study)), _folded("The recipe before that", recipe)]
    return "\n\n".join(["\n".join(lines), *told])


def _settings(study: Study) -> str:
    """What every cell sets, and what the labels of the axes do."""
    written = yaml_source.read(study.path, "study").data
    return yaml_source.write({key: written[key] for key in ("set", "axes", "skip") if key in written}).strip()


def _folded(title: str, yaml: str) -> str:
    return f"<details><summary>{title}</summary>\n\n```yaml\n{yaml}\n```\n\n</details>"


def _machine(machine: Mapping[str, Any]) -> str:
    gpus = f", {', '.join(machine['gpu'])}" if machine["gpu"] else ", no GPU"
    return f"{machine['cpu']}, {machine['cores']} cores, {fmt.size(machine['memory_bytes'])} of memory{gpus}"


def _drawn(results: Results) -> list[str]:
    names = figures(results)
    return [label for label in results["measures"] if _file(label) in names]


def _file(label: str) -> str:
    return f"{slug(label)}.svg"

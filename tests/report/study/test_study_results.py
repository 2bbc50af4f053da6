"""What the artifacts of a study say: figures, tables, page; of artifacts that are made here with known figures."""

import re
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from stages_for_tests import TABLE, write_recipe

from lingraft.core.artifact import Store
from lingraft.core.errors import RecipeError
from lingraft.core.study.plan import plan_cells
from lingraft.core.study.run import Failure
from lingraft.core.study.study import Cell, Study, load
from lingraft.report.study import drawings, page, tables
from lingraft.report.study.join import join
from lingraft.report.study.results import collect

STUDY = """# How loud?
question: How loud should it be?
recipe: recipe.yaml
axes:
  words.shout: [false, true]
  count.act: [nothing, more]
seeds: [1, 2, 3]
measure:
  bits: {figure: "count.bits[model=a].bits_per_byte", items: documents, unit: bits per byte, better: lower}
  words: words.words
  on the way: {figure: "count.curve[].bits", unit: bits per byte}
compare: {against: {words.shout: false}}
papers: [{says: Quietly., source: A. Paper 2024}]
cannot_say: Whether it is heard.
"""
BITS = {"false": [2.0, 2.2, 2.7], "true": [1.5, 1.8, 2.1]}


def figures_of(cell: Cell, kind: str) -> dict[str, Any]:
    bits = BITS[cell.labels["words.shout"]][cell.seed - 1] + (cell.labels["count.act"] == "more")
    return {
        "base": {"model": "/home/me/small", "parameters": 7_000_000},
        "words": {"words": 12_345 + cell.seed},
        "count": {
            "bits": [{"model": "a", "bits_per_byte": bits, "low": bits - 0.1, "high": bits + 0.1}],
            "curve": [{"bytes": 0, "bits": 4.0 + cell.seed}, {"bytes": 1000 + cell.seed, "bits": bits}],
            "bytes": 1000 + 100 * (cell.labels["words.shout"] == "true"),
            "tokens": 250,
            "flops": 1e12,
            "precision": "fp32",
        },
        "summary": {},
    }[kind]


def made(folder: Path, text: str = STUDY, wanted: Callable[[Cell], bool] = lambda _: True) -> Study:
    """A study whose wanted cells are done."""
    write_recipe(folder)
    (folder / "study.yaml").write_text(text, encoding="utf-8")
    study = load(folder / "study.yaml", TABLE)
    store = Store(folder / "store")
    for planned in plan_cells(filter(wanted, study.cells), TABLE, store):
        for step in planned.steps:
            kind, mark = step.stage.kind, step.fingerprint
            if not store.folder(kind, mark).exists():
                store.open_work(kind, mark)
                store.finish(
                    kind,
                    mark,
                    {"figures": figures_of(planned.cell, kind), "seconds": 2.0, "peak_memory_bytes": 3_000_000},
                )
    return study


def results_of(study: Study, failures: dict[str, Failure] | None = None, **more: Any) -> dict[str, Any]:
    store = Store(study.path.parent / "store")
    return collect(study, plan_cells(study.cells, TABLE, store), store, failures or {}, **more)


def test_means_differences_and_curves(tmp_path: Path) -> None:
    found = results_of(made(tmp_path))
    quiet, _, loud, louder = found["rows"]
    assert quiet["axes"] == {"words.shout": "false", "count.act": "nothing"}
    assert quiet["figures"]["bits"]["mean"] == pytest.approx(2.3)
    assert quiet["figures"]["bits"]["values"]["2"] == {"value": 2.2, "low": 2.2 - 0.1, "high": 2.2 + 0.1}
    assert (quiet["reference"], loud["reference"]) == (True, False)
    for row in (loud, louder):
        gap = row["figures"]["bits"]["against"]
        assert gap["mean"] == pytest.approx((-0.5 - 0.4 - 0.6) / 3)
        assert gap["high"] - gap["mean"] == pytest.approx(4.302653 * 0.1 / 3**0.5, rel=1e-5)
        assert gap["seeds"] == 3
    assert "against" not in quiet["figures"]["bits"]
    assert [point["x"] for point in quiet["curves"]["on the way"]["points"]] == [0, 1002]
    assert [point["mean"] for point in quiet["curves"]["on the way"]["points"]] == pytest.approx([6.0, 2.3])
    assert quiet["costs"]["1"] == {
        "bytes": 1000,
        "tokens": 250,
        "flops": 1e12,
        "training_seconds": 2.0,
        "seconds": 8.0,
        "kwh": None,
        "peak_memory_bytes": 3_000_000,
    }
    assert found["conditions"]["bases"] == [{"model": "small", "parameters": 7_000_000}]
    assert len(found["conditions"]["machines"]) == 1
    assert found["conditions"]["precisions"] == ["fp32"]


def test_a_study_of_two_stores_is_as_one(tmp_path: Path) -> None:
    def between(first: Any, second: Any, measure: Any) -> tuple[float, float, float]:
        gap = first[measure.step].figures["bits"][0]["bits_per_byte"]
        return gap, gap - 0.1, gap + 0.1

    def kept(name: str, *seeds: int) -> dict[str, Any]:
        study = made(tmp_path / name, wanted=lambda cell: cell.seed in seeds)
        return results_of(study, between=between)

    whole, some, rest = kept("whole", 1, 2, 3), kept("some", 1, 3), kept("rest", 2)
    assert some["rows"][0]["missing"].keys() == {"2"}
    for first, second in ((some, rest), (rest, some), (some, whole)):
        joined = join(first, second)
        assert joined["rows"] == whole["rows"]
        assert joined["conditions"]["texts"] == whole["conditions"]["texts"]
        finished = first["conditions"]["finished"] + second["conditions"]["finished"]
        assert joined["conditions"]["finished"] == [min(finished), max(finished)]
        assert len(joined["conditions"]["machines"]) == 1
    rest["rows"][2]["figures"]["bits"]["values"]["2"]["value"] = 9.0
    assert join(some, rest)["rows"][2]["figures"]["bits"]["mean"] == pytest.approx((1.5 + 9.0 + 2.1) / 3)
    assert join(whole, rest)["rows"] == whole["rows"]


def test_what_one_of_two_stores_lacks_is_told_of_both(tmp_path: Path) -> None:
    text = STUDY.replace('figure: "count.curve[].bits", unit', 'figure: "count.curve[].bits", at: 1002.5, unit')
    some, rest = (
        results_of(made(tmp_path / name, text, wanted=lambda cell, seeds=seeds: cell.seed in seeds))
        for name, seeds in (("some", (1, 2)), ("rest", (3,)))
    )
    assert "on the way" in some["absent"]
    for joined in (join(some, rest), join(rest, some)):
        assert joined["absent"] == {}
        assert {one["run"].rpartition(".")[2] for one in joined["unread"]} == {"1", "2"}


def test_items_are_another_uncertainty_than_seeds(tmp_path: Path) -> None:
    asked = []

    def between(first: Any, second: Any, measure: Any) -> tuple[float, float, float]:
        asked.append(tuple(cell[measure.step].fingerprint for cell in (first, second)))
        return -0.5, -0.6, -0.4

    found = results_of(made(tmp_path), between=between)
    assert len(asked) == 6
    assert len({first for first, _ in asked}) == 6
    table = tables.on_items(found, "bits")
    assert table.rows[0] == ["true · nothing", *["−0.500 [−0.600, −0.400]"] * 3]
    assert "Each interval is over documents" in table.notes[0]
    alone = tables.by_seed(found, "bits")
    assert alone.rows[0] == ["false · nothing", "2.000 [1.900, 2.100]", "2.200 [2.100, 2.300]", "2.700 [2.600, 2.800]"]
    assert tables.on_items(results_of(made(tmp_path / "other")), "bits") is None


def test_the_tables_as_text(tmp_path: Path) -> None:
    found = results_of(made(tmp_path))
    means = tables.means(found)
    assert means.columns == ["words.shout · count.act", "bits (bits per byte) ↓", "words"]
    assert means.rows[2] == ["true · nothing", "1.800 [1.055, 2.545]", "12,347 [12,345, 12,349]"]
    assert means.rows[0][0] == "false · nothing (reference)"
    assert means.notes == ["Mean over 3 seeds and its 95 % interval by Student's t over the seeds."]
    gaps = tables.differences(found)
    assert gaps.title == "Differences from words.shout false"
    assert gaps.rows[0][1] == "**−0.500 [−0.748, −0.252]** (3)"
    assert len(gaps.columns) == 2  # words are the same in all rows
    costs = tables.costs(found)
    assert costs.rows[0] == ["false · nothing", "1.00 kB", "250", "1.00 × 10¹²", "2.0 s", "–", "3.00 MB", "8.0 s"]
    assert "Bytes of text shown: the most is 10.0% above the least." in costs.notes
    assert "Training FLOPs: the same." in costs.notes
    for row in found["rows"]:
        for cost in row["costs"].values():
            cost |= {"bytes": 0, "tokens": 0, "flops": 0, "training_seconds": 0}
    assert tables.costs(found).columns[1:] == ["All steps"]
    assert tables.costs(found).notes == ["Means over seeds; a step that cells share is counted in each."]
    assert means.markdown().splitlines()[1] == "| --- | ---: | ---: |"


def test_cells_that_have_not_run_are_empty_and_said_to_be(tmp_path: Path) -> None:
    study = made(tmp_path, wanted=lambda cell: cell.labels["words.shout"] == "false" and cell.seed < 3)
    found = results_of(study, {"study.true.more.1": Failure("count", "no words\nmore")})
    means = tables.means(found)
    assert means.rows[0][1].endswith(" (2)")
    assert means.rows[2] == ["true · nothing", "", ""]
    assert "1 of 12 cells failed at count: no words: true · more (seed 1)." in means.notes
    # the base is shared, so that it is there of all others
    (note,) = [note for note in means.notes if "have not run to their end" in note]
    assert note.startswith("7 of 12 cells have not run to their end: false · nothing (seed 3), ")
    assert tables.differences(found).rows[0][1] == ""
    assert "have not run to their end" in page.page(study, found, "x.json")


def test_a_measure_that_is_nowhere_is_a_mistake(tmp_path: Path) -> None:
    study = made(tmp_path, STUDY.replace("words.words", "words.word"))
    with pytest.raises(RecipeError) as error:
        results_of(study)
    assert str(error.value) == f'{study.path}: measure.words: there is no "word" in words. Did you mean "words"?'


def test_a_measure_may_be_in_a_cell_that_has_not_run(tmp_path: Path) -> None:
    text = STUDY.replace("words.words", "words.word")
    found = results_of(made(tmp_path, text, wanted=lambda cell: cell.seed == 1))
    told = 'there is no "word" in words. Did you mean "words"?'
    assert found["absent"] == {"words": told}
    assert tables.means(found).notes[-1] == f"words is in no cell so far: {told}"
    with pytest.raises(RecipeError, match="the results are of another study: measures there are not those here"):
        join(found, results_of(made(tmp_path / "other")))


def test_a_figure_that_some_cells_do_not_have_is_told(tmp_path: Path) -> None:
    text = STUDY.replace('figure: "count.curve[].bits", unit', 'figure: "count.curve[].bits", at: 1003, unit')
    found = results_of(made(tmp_path, text))
    assert found["rows"][0]["figures"]["on the way"]["seeds"] == 1
    assert found["absent"] == {}
    first, second = tables.means(found).notes[-2:]
    assert first.startswith("on the way is not in study.false.nothing.1, study.false.more.1, ")
    assert first.endswith("count.curve[].bits cannot be read at 1003 bytes: the curve is from 0 to 1001")
    assert second.endswith("from 0 to 1002")


def test_the_page(tmp_path: Path) -> None:
    study = made(tmp_path, STUDY + "saw: Loud is **better**.\n")
    found = results_of(study)
    path = page.write(study, found, tmp_path / "pages", "figures.json")
    text = path.read_text(encoding="utf-8")
    without_recipe = re.sub(r"```yaml.*?```", "", text, flags=re.DOTALL)
    assert re.findall(r"^#+ .*", without_recipe, re.MULTILINE) == [
        "# How loud should it be?",
        "## Figures",
        "### Means over seeds",
        "### Differences from words.shout false",
        "## Seeds and items",
        "### bits",
        "## What it took",
        "## What the papers say",
        "## What we saw",
        "## Under which conditions",
        "## What we cannot say",
    ]
    links = re.findall(r"!\[.*?\]\((.*?)\)", text)
    assert links == [f"figures/study/{name}.svg" for name in ("bits", "on-the-way")]
    assert "words.shout:\n  - false\n  - true" in text  # what the study sets, not only the recipe before that
    for link in links:
        drawing = ET.parse(path.parent / link).getroot()
        assert drawing.find("{http://www.w3.org/2000/svg}title").text
    for said in (
        "[all figures](figures.json)",
        "- Quietly. (A. Paper 2024)",
        "Loud is **better**.",
        "- Base: small, 7.00",
    ):
        assert said in text
    assert str(tmp_path) not in text
    other = {**results_of(study), "axes": {"words.shout": ["false"], "count.act": ["nothing", "more"]}}
    with pytest.raises(RecipeError, match=r"of another study: its axes are \[\('words\.shout', \['false'\]\), "):
        page.page(study, other, "figures.json")
    assert text == page.page(study, results_of(study), "figures.json")


def test_conclusions_need_results(tmp_path: Path) -> None:
    study = made(tmp_path, STUDY + "saw: Loud is better.\n", lambda _: False)
    with pytest.raises(RecipeError, match=r"saw: it tells what came out, and no cell has run\.\n  Take it away until"):
        page.page(study, results_of(study), "x.json")
    empty = made(tmp_path / "empty", STUDY, lambda _: False)
    text = page.page(empty, results_of(empty), "x.json")
    assert "12 of 12 cells have not run" in text
    assert "Not written yet." in text
    assert "- No cell has run." in text
    assert "![" not in text


def test_the_index(tmp_path: Path) -> None:
    study = made(tmp_path, STUDY.replace("How loud should it be?", "Loud | quiet?") + "answer: Loud.\n")
    text = page.index([(study, results_of(study)), (study, None)])
    row = r"Loud \| quiet? | Loud. | words.shout (2); count.act (2); seeds (3) |"
    assert f"| [study](study.md) | {row} 12 of 12 |" in text
    assert f"| study | {row} 0 of 12 |" in text


def test_drawings_tell_rows_apart(tmp_path: Path) -> None:
    found = results_of(made(tmp_path, STUDY.replace("  on the way:", "  on the <way> & back:")))
    curves = ET.fromstring(drawings.curves(found, "on the <way> & back"))
    lines = curves.findall(".//{*}polyline")
    assert len(lines) == 4
    assert len({(line.get("stroke"), line.get("stroke-dasharray")) for line in lines}) == 4
    assert len(curves.findall(".//{*}polygon[@fill-opacity]")) == 4
    found["rows"][0]["curves"]["on the <way> & back"]["points"][1:] = []  # no curve
    assert len(ET.fromstring(drawings.curves(found, "on the <way> & back")).findall(".//{*}polyline")) == 3
    points = ET.fromstring(drawings.points(found, "bits"))
    assert len(points.findall(".//{*}circle")) == 4
    assert len(points.findall(".//{*}line[@stroke-width='2']")) == 4
    assert len(points.findall(".//{*}line[@stroke-opacity]")) == 12
    for drawing in (curves, points):
        width, height = float(drawing.get("width")), float(drawing.get("height"))
        for text in drawing.findall(".//{*}text"):
            assert 0 <= float(text.get("x")) <= width
            assert 0 <= float(text.get("y")) <= height

"""Studies: cells and their mistakes, steps shared, killed and failed cells."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from stages_for_tests import TABLE, write_recipe

import lingraft
from lingraft.core.artifact import Store
from lingraft.core.errors import RecipeError, StoreError
from lingraft.core.progress import Progress
from lingraft.core.run import Run
from lingraft.core.shipped import find_study, studies
from lingraft.core.study.plan import Planned, distinct, plan_cells, plan_text
from lingraft.core.study.run import Failure, Failures, execute_cells
from lingraft.core.study.study import Study, chosen, label_of, load
from lingraft.stages import table

STUDY = """# Does shouting help?
question: Does shouting help?
recipe: recipe.yaml
set: {words.workers: 2}
axes:
  words.shout: [false, true]
  count:
    plain: {count.act: ""}
    other: {count.act: nothing, summary: null}
seeds: [1, 2]
measure:
  words: words.words
  counted: {figure: count.words, better: higher}
compare: {against: {count: plain}}
"""
PACKAGES = os.pathsep.join(
    str(folder) for folder in (Path(__file__).parent, Path(__file__).parents[1], Path(lingraft.__file__).parents[1])
)
RUN = """
import sys
from pathlib import Path
from test_study import carry_out
carry_out(Path(sys.argv[1]))
"""


def write(folder: Path, text: str = STUDY) -> Path:
    write_recipe(folder)
    path = folder / "study.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def read(folder: Path, text: str = STUDY) -> Study:
    return load(write(folder, text), TABLE)


def mistakes(folder: Path, text: str) -> list[str]:
    with pytest.raises(RecipeError) as error:
        read(folder, text)
    return str(error.value).replace(f"{folder}/", "").splitlines()


class Said(Progress):
    def __init__(self) -> None:
        self.lines: list[str] = []

    def event(self, kind: str, **values: object) -> None:
        self.lines.append(f"{kind} {values.get('step') or values.get('cell')}")


def planned(folder: Path, selection: Sequence[str] = ()) -> list[Planned]:
    study = load(folder / "study.yaml", TABLE)
    return plan_cells(chosen(study, selection), TABLE, Store(folder / "store"))


def carry_out(folder: Path, screen: Progress | None = None, selection: Sequence[str] = ()) -> dict[str, Failure]:
    store = Store(folder / "store")
    return execute_cells(planned(folder, selection), store, Failures(store, "study"), screen or Progress(), ())


def test_cells_are_the_product_of_axes_and_seeds(tmp_path: Path) -> None:
    study = read(tmp_path)
    assert [cell.run for cell in study.cells][:4] == [
        "study.false.plain.1",
        "study.false.other.1",
        "study.true.plain.1",
        "study.true.other.1",
    ]
    assert len(study.cells) == 8
    last = study.cells[-1]
    assert (last.labels, last.seed) == ({"words.shout": "true", "count": "other"}, 2)
    assert last.recipe.stages["words"].shout is True
    assert last.recipe.stages["count"].act == "nothing"
    assert "summary" not in last.recipe.stages
    assert last.recipe.stages["words"].workers == 2
    assert last.recipe.seed == 2
    assert "summary" in study.cells[0].recipe.stages
    assert study.rows()[1] == {"words.shout": "false", "count": "other"}
    assert len(study.rows()) == 4
    assert study.measures["words"].figure == "words.words"


def test_cells_can_be_skipped_and_chosen(tmp_path: Path) -> None:
    study = read(tmp_path, STUDY + "skip: [{words.shout: true, count: other}, {count: other, seed: 2}]\n")
    assert [cell.run for cell in study.cells] == [
        *("study.false.plain.1", "study.false.other.1", "study.true.plain.1"),
        *("study.false.plain.2", "study.true.plain.2"),
    ]
    assert len(study.rows()) == 3
    assert [cell.run for cell in chosen(study, ["seed=2", "words.shout=true"])] == ["study.true.plain.2"]
    assert len(chosen(study, ["count=plain", "count=other"])) == 5
    for selection, said in (
        ("seed=3", '--cells: there is no value of seed "3".'),
        ("shout=true", '--cells: there is no axis "shout".\n  Did you mean "words.shout"?'),
        ("count", '--cells: "count" is not of the form axis=label.'),
    ):
        with pytest.raises(RecipeError) as error:
            chosen(study, [selection])
        assert said in str(error.value)
    with pytest.raises(RecipeError, match="the study has no such cell: it skips them"):
        chosen(study, ["seed=2", "count=other"])


@pytest.mark.parametrize(
    ("value", "label"), [(True, "true"), (None, "null"), (0.25, "0.25"), (1e6, "1e+06"), (3, "3"), ("a", "a")]
)
def test_labels_of_values(value: object, label: str) -> None:
    assert label_of(value) == label


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("question: Does", "qestion: Does", 'study.yaml:2: qestion: this key is not known. Did you mean "question"?'),
        ("recipe.yaml", "no/such", 'study.yaml:3: recipe: there is no recipe file or shipped recipe "no/such". Known'),
        ("[false, true]", "[false, 3]", "study.yaml:6: stages.words.shout: input should be a valid boolean (got 3)."),
        ("[false, true]", "[]", "study.yaml:6: axes.words.shout: an axis is a list of values, or {label:"),
        ("[false, true]", "[true, true]", "study.yaml:6: axes.words.shout.1: true stands here twice."),
        ("[false, true]", "[[1]]", "study.yaml:6: axes.words.shout.0: a value of several parts needs a label:"),
        ("words.shout:", "words.shot:", "study.yaml:6: stages.words.shot: this key is not known."),
        ("words.workers", "words.shout", "study.yaml:6: axes.words.shout: words.shout is set by set too."),
        ("words.workers", "seed", "study.yaml:4: set: seed is set by seeds too."),
        ("words.workers: 2", "count: {act: more}", "study.yaml:7: axes.count: count.act is set by set too."),
        ("words.workers: 2", "stages.count.act: more", "study.yaml:7: axes.count: count.act is set by set too."),
        (
            "  counted:",
            "  Words!:",
            "study.yaml:13: measure.Words!: its name has no letters or digits, or the same as an",
        ),
        ("words.workers: 2", "words.workers: two", "study.yaml:4: stages.words.workers: input should be a valid int"),
        ("words.shout:", "seed:", "study.yaml:6: axes.seed: seeds are an axis of their own: write seeds: [1, 2, 3]."),
        ('plain: {count.act: ""}', "plain: loud", "study.yaml:8: axes.count.plain: a label stands for settings,"),
        ("    other:", '    "a b": {}\n    a_b:', 'study.yaml:10: axes.count.a_b: "a_b" and "a b" are too much alike'),
        ("count.act: nothing", "words.shout: true", "study.yaml:7: axes.count: words.shout is set by the axis words.s"),
        ("seeds: [1, 2]", "seeds: [1, 1]", "study.yaml:10: seeds: a seed stands here twice."),
        ("seeds: [1, 2]", "seeds: [a]", "study.yaml:10: seeds.0: input should be a valid integer (got 'a')."),
        ("words: words.words", "words: wrds.words", 'study.yaml:12: measure.words: no cell has a step "wrds". Did you'),
        ("words: words.words", "words: words", "study.yaml:12: measure.words.figure: a figure is written step.key[mo"),
        ("words: words.words", "words: words.a[=3]", "study.yaml:12: measure.words.figure: a figure is written step"),
        ("count: plain", "count: plan", 'study.yaml:14: compare.against.count: the axis has no "plan". Did you mean'),
        ("count: plain", "cunt: plain", 'study.yaml:14: compare.against.cunt: there is no axis "cunt". Did you mean'),
        ("compare: ", "skip: [{count: plain}]\ncompare: ", "study.yaml:15: compare.against: there is no such cell: "),
        ("compare: ", "skip: [{}]\ncompare: ", "study.yaml:14: skip: every cell is skipped."),
    ],
)
def test_mistakes_are_told_with_their_line(tmp_path: Path, old: str, new: str, said: str) -> None:
    assert old in STUDY
    told = mistakes(tmp_path, STUDY.replace(old, new, 1))
    assert any(line.startswith(said) for line in told), told


def test_every_mistake_is_told_at_once(tmp_path: Path) -> None:
    text = STUDY.replace("[false, true]", "[1, 2]").replace("count.act: nothing", "count.art: nothing")
    told = mistakes(tmp_path, text)
    assert [line.partition(": ")[0] for line in told] == ["study.yaml:6", "study.yaml:9", "study.yaml:6"]
    with pytest.raises(RecipeError, match="the study cannot be read: No such file"):
        load(tmp_path / "none.yaml", TABLE)


def test_shared_steps_are_carried_out_once(tmp_path: Path) -> None:
    write(tmp_path)
    before = distinct(planned(tmp_path))
    assert sum(len(one.steps) for one in planned(tmp_path)) == 28
    # base; words by shout and seed; count by them and act; a summary of each of the plain ones
    assert len(before) == 1 + 4 + 8 + 4
    text = plan_text(planned(tmp_path)).plain
    assert "8 cells, 28 steps, 17 of them distinct; still to do: about 4.0 s" in text
    said = Said()
    assert carry_out(tmp_path, said, ["seed=1"]) == {}
    assert [line for line in said.lines if line.startswith("step ")].count("step words") == 2
    assert len([line for line in said.lines if line.startswith("step ")]) == 1 + 2 + 4 + 2
    assert [one.state for one in planned(tmp_path)] == ["done"] * 4 + ["resume"] * 4
    said = Said()
    carry_out(tmp_path, said)
    assert len([line for line in said.lines if line.startswith("step ")]) == 17 - 9
    assert plan_text(planned(tmp_path)).plain.endswith("all done")
    artifacts = dict(Run(Store(tmp_path / "store"), "study.true.other.2").artifacts())
    assert artifacts["words"].figures["seed"] == 2


def test_what_the_checks_find_is_told_once(tmp_path: Path) -> None:
    write(tmp_path)
    (tmp_path / "words.txt").unlink()
    with pytest.raises(RecipeError) as error:
        planned(tmp_path)
    said = "in study.false.plain.1, study.false.other.1, study.true.plain.1 and 5 more"
    assert str(error.value) == f"words: words.txt: there is no such file.\n  {said}"


def test_a_failed_cell_is_told_and_does_not_stop_the_others(tmp_path: Path) -> None:
    text = STUDY.replace("[false, true]", "[false]").replace("nothing, summary: null", "refuse")
    path = write(tmp_path, text)
    said = Said()
    failed = carry_out(tmp_path, said)
    assert list(failed) == ["study.false.other.1", "study.false.other.2"]
    failure = failed["study.false.other.1"]
    assert (failure.step, failure.why) == ("count", "words.txt:3: the words are no words.\n  Write words.")
    assert [one.state for one in planned(tmp_path)] == ["done", "resume"] * 2
    kept = Failures(Store(tmp_path / "store"), "study")
    assert kept.read(planned(tmp_path)) == failed
    assert said.lines.count("cell failed count") == 2
    path.write_text(path.read_text(encoding="utf-8").replace("refuse", "nothing"), encoding="utf-8")
    assert kept.read(planned(tmp_path)) == {}  # what failed was another step
    assert carry_out(tmp_path) == {}
    assert json.loads(kept.path.read_text(encoding="utf-8")) == {}


def test_a_cell_that_another_command_carries_out_fails_alone(tmp_path: Path) -> None:
    write(tmp_path)
    with Run(Store(tmp_path / "store"), "study.false.plain.1").lock():
        failed = carry_out(tmp_path, selection=["seed=1"])
    assert list(failed) == ["study.false.plain.1"]
    assert failed["study.false.plain.1"].step == ""
    assert 'another command is carrying out the run "study.false.plain.1" now' in failed["study.false.plain.1"].why
    assert [one.state for one in planned(tmp_path, ["seed=1"])] == ["resume", "done", "done", "done"]


def test_failures_of_two_commands_are_all_kept(tmp_path: Path) -> None:
    failures = Failures(Store(tmp_path / "store"), "study")
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: failures.keep(f"run.{number}", Failure("count", "no")), range(40)))
    assert len(json.loads(failures.path.read_text(encoding="utf-8"))) == 40


def test_the_disk_must_hold_all_cells(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path)
    needed = sum(step.forecast.disk_bytes or 0 for step, _ in distinct(planned(tmp_path)))
    one = sum(step.forecast.disk_bytes or 0 for step in planned(tmp_path)[0].steps)
    assert needed > one > 0
    monkeypatch.setattr(Store, "free_bytes", lambda _: int(needed) - 1)
    with pytest.raises(StoreError, match=r"of disk and .* are free"):
        planned(tmp_path)


def test_what_is_only_shown_need_not_fit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path)
    monkeypatch.setattr(Store, "free_bytes", lambda _: 0)
    cells = load(tmp_path / "study.yaml", TABLE).cells
    assert len(plan_cells(cells, TABLE, Store(tmp_path / "store"), must_fit=())) == len(cells)


def test_a_setting_of_all_cells_is_not_lost_in_one_that_sets_more(tmp_path: Path) -> None:
    labels = ["without: {count: null}", "with: {count: {act: more}}"]
    written = 'plain: {count.act: ""}\n    other: {count.act: nothing, summary: null}'
    for in_order in (labels, labels[::-1]):
        text = STUDY.replace(written, "\n    ".join(in_order)).replace("words.workers: 2", "count.act: nothing")
        assert any("axes.count: count is set by set too." in line for line in mistakes(tmp_path, text))


def test_a_cell_that_could_not_begin_is_no_news_of_its_steps(tmp_path: Path) -> None:
    failures = Failures(Store(tmp_path / "store"), "study")
    failures.keep("run.1", Failure("count", "no"))
    failures.keep("run.1", Failure("", "busy"))
    assert json.loads(failures.path.read_text(encoding="utf-8"))["run.1"]["why"] == "no"


def test_failures_that_cannot_be_written_down_are_told(tmp_path: Path) -> None:
    failures = Failures(Store(tmp_path / "store"), "study")
    failures.path.mkdir(parents=True)
    with pytest.raises(StoreError, match=r"what failed cannot be written down: Is a directory\.\n  Free space and run"):
        failures.keep("run.1", Failure("count", "no"))


def test_a_shared_step_that_fails_is_not_tried_again(tmp_path: Path) -> None:
    text = STUDY.replace('"", ', "").replace("nothing, summary: null", "crash").replace("[false, true]", "[true]")
    text = text.replace("    other:", "    again: {count.act: crash, summary.parts: [count]}\n    other:")
    write(tmp_path, text)
    failed = carry_out(tmp_path, selection=["seed=1"])
    assert failed["study.true.again.1"].why.startswith("step count failed; its log ")
    other = failed["study.true.other.1"]
    assert (other.step, other.why) == ("count", "the same step failed in study.true.again.1.")


def test_a_killed_study_goes_on(tmp_path: Path) -> None:
    small = STUDY.replace("[false, true]", "[false]").replace("[1, 2]", "[1]")
    write(tmp_path, small.replace("nothing, summary: null", "hang"))
    os.mkfifo(tmp_path / "pid")
    command = subprocess.Popen([sys.executable, "-c", RUN, str(tmp_path)], env={**os.environ, "PYTHONPATH": PACKAGES})
    (tmp_path / "pid").read_text(encoding="utf-8")
    command.send_signal(signal.SIGKILL)
    command.wait(timeout=60)
    assert [one.state for one in planned(tmp_path)] == ["done", "resume"]
    (tmp_path / "pid").unlink()
    (tmp_path / "never").unlink()
    write(tmp_path, small)
    said = Said()
    assert carry_out(tmp_path, said) == {}
    assert said.lines[:5] == [
        "cell study.false.plain.1",
        *(f"reused {n}" for n in ("base", "words", "count", "summary")),
    ]
    assert {one.state for one in planned(tmp_path)} == {"done"}


def test_shipped_studies_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LINGRAFT_DATA", "/nowhere")
    monkeypatch.setenv("LINGRAFT_BASES", "/nowhere")
    assert len(studies()) >= 3
    for name, (path, summary) in studies().items():
        study = load(find_study(name), table())
        assert len(study.seeds) >= 3, name
        assert study.papers, name
        assert summary.endswith("."), name
        assert study.path == path
    with pytest.raises(RecipeError, match='there is no study file or shipped study "repaly"'):
        find_study("repaly")

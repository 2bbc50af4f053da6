"""Fingerprints, states and forecasts: what changes them and what does not."""

from dataclasses import replace
from pathlib import Path

import pytest
from stages_for_tests import RECIPE, TABLE, write_recipe

from lingraft.core import machine
from lingraft.core.artifact import Store, fingerprint
from lingraft.core.errors import RecipeError, StoreError
from lingraft.core.outside import ContentHashes, TextSource
from lingraft.core.plan import Step, plan
from lingraft.core.recipe import load


def steps(folder: Path, *overrides: str, table: dict = TABLE, store: Store | None = None) -> dict[str, Step]:
    recipe = load(folder / "recipe.yaml", table, overrides)
    return {step.name: step for step in plan(recipe, table, store or Store(folder / "store"))}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_recipe(tmp_path)
    return tmp_path


def changed(before: dict[str, Step], after: dict[str, Step]) -> set[str]:
    return {name for name in before if before[name].fingerprint != after[name].fingerprint}


def test_a_fingerprint_is_24_hex_digits_of_sorted_json() -> None:
    # printf '{"a":"ą","b":1}' | sha256sum
    assert fingerprint({"b": 1, "a": "ą"}) == "1f33c958b120d72a2bb78ef0"


def test_planning_twice_gives_the_same_and_writes_nothing(folder: Path) -> None:
    assert steps(folder) == steps(folder)
    assert not (folder / "store").exists()


@pytest.mark.parametrize(
    ("override", "steps_changed"),
    [
        ("words.workers=8", set()),
        ("words.scale=1", set()),
        ("replay=en", set()),
        ("words.shout=true", {"words", "count", "summary"}),
        ("words.scale=2", {"words", "count", "summary"}),
        ("seed=18", {"words", "count", "summary"}),
        ("count.act=x", {"count", "summary"}),
        ("base.model=other", {"base", "summary"}),
        ("language=de", {"summary"}),
    ],
)
def test_what_changes_a_fingerprint(folder: Path, override: str, steps_changed: set[str]) -> None:
    assert changed(steps(folder), steps(folder, override)) == steps_changed


def test_a_raised_version_makes_the_stage_and_what_follows_new(folder: Path) -> None:
    table = {**TABLE, "count": replace(TABLE["count"], version=2)}
    assert changed(steps(folder), steps(folder, table=table)) == {"count", "summary"}


def test_content_counts_and_not_where_it_stands(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    moved = tmp_path_factory.mktemp("moved")
    write_recipe(moved)
    assert changed(steps(folder), steps(moved)) == set()
    (moved / "deeper").mkdir()
    (moved / "words.txt").rename(moved / "deeper" / "other.txt")
    assert changed(steps(folder), steps(moved, "words.files.0.path=deeper/other.txt")) == set()
    (moved / "words.txt").write_text("one two threw", encoding="utf-8")
    assert changed(steps(folder), steps(moved)) == {"words", "count", "summary"}


def test_the_resolved_recipe_gives_the_same_fingerprints(folder: Path) -> None:
    resolved = load(folder / "recipe.yaml", TABLE).yaml()
    before = steps(folder)
    (folder / "recipe.yaml").write_text(resolved, encoding="utf-8")
    assert changed(before, steps(folder)) == set()


def test_states_and_inputs(folder: Path) -> None:
    store = Store(folder / "store")
    planned = steps(folder, store=store)
    assert {step.state for step in planned.values()} == {"new"}
    assert planned["count"].inputs == {"words": planned["words"].fingerprint}
    store.open_work("words", planned["words"].fingerprint)
    assert steps(folder, store=store)["words"].state == "resume"
    store.finish("words", planned["words"].fingerprint, {"figures": {"tokens": 5, "flops": 7}, "seconds": 2.5})
    done = steps(folder, store=store)["words"]
    assert (done.state, done.forecast.tokens, done.forecast.flops) == ("done", 5, 7)
    assert (done.forecast.seconds, done.forecast.disk_bytes) == (2.5, 0)


def test_every_failed_check_is_told_with_its_step(folder: Path) -> None:
    text = RECIPE.replace("  count:\n", "  more: {kind: words, files: [{path: gone.txt}]}\n  count:\n")
    write_recipe(folder, text)
    with pytest.raises(RecipeError) as error:
        steps(folder, "words.files.0.path=lost.txt")
    assert str(error.value).splitlines() == [
        "words: lost.txt: there is no such file.",
        "more: gone.txt: there is no such file.",
    ]


def test_a_disk_too_small_for_the_forecast(folder: Path) -> None:
    with pytest.raises(StoreError, match=r"the run needs about 2000000000\.0 GB of disk and [\d.]+ GB are free"):
        steps(folder, "words.scale=2e9")


def test_a_memory_too_small_for_the_forecast(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(machine.describe(), "gpu", [])
    said = r"count: the step needs about 1000000 GB of memory, this machine has [\d.]+ GB\.\n  Take a smaller base"
    with pytest.raises(RecipeError, match=said):
        steps(folder, "count.act=huge")
    monkeypatch.setitem(machine.describe(), "gpu", ["a GPU"])
    assert steps(folder, "count.act=huge")["count"].forecast.memory_bytes == 1e15


def test_content_hashes_are_remembered_until_the_file_changes(tmp_path: Path) -> None:
    memory, file = tmp_path / "hashes.json", tmp_path / "a.txt"
    file.write_text("one", encoding="utf-8")
    first = ContentHashes(memory)(file)
    assert first == "7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed"
    known = memory.read_text(encoding="utf-8")
    memory.write_text(known.replace(first, "remembered"), encoding="utf-8")
    assert ContentHashes(memory)(file) == "remembered"
    file.write_text("other", encoding="utf-8")
    assert ContentHashes(memory)(file) == "d9298a10d1b0735837dc4bd85dac641b0f3cef27a47e5d53a54f2f3f5b2fcffa"


def test_a_memory_of_hashes_that_cannot_be_used(tmp_path: Path) -> None:
    memory, file = tmp_path / "hashes.json", tmp_path / "a.txt"
    file.write_text("one", encoding="utf-8")
    memory.write_text("{", encoding="utf-8")
    with pytest.raises(StoreError, match=r"hashes\.json: this is not valid JSON: .*\n  Delete the file\."):
        ContentHashes(memory)
    with pytest.raises(StoreError, match=r"hashes\.json: the store cannot be written: Not a directory\."):
        ContentHashes(file / "hashes.json")(file)


@pytest.mark.parametrize("values", [{}, {"path": "a", "dataset": "b"}])
def test_a_source_is_one_place(values: dict) -> None:
    with pytest.raises(ValueError, match="name either a path or a dataset"):
        TextSource(**values)

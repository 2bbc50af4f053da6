"""The store and its runs: sealed whole, found undamaged, made by one process at a time."""

import json
import multiprocessing
import os
from multiprocessing.connection import Connection
from pathlib import Path

import pytest
from stages_for_tests import TABLE, write_recipe

from lingraft.core.artifact import SCRATCH, Store, write_json
from lingraft.core.errors import StoreError
from lingraft.core.plan import plan
from lingraft.core.recipe import load
from lingraft.core.run import Run

MANIFEST = {"figures": {"words": 3}, "seconds": 1.5}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def make(store: Store, mark: str = "aa") -> Path:
    work = store.open_work("words", mark)
    (work / "deep").mkdir()
    (work / "deep" / "words.txt").write_text("one two three", encoding="utf-8")
    return store.finish("words", mark, MANIFEST).folder


def test_an_artifact_is_sealed_with_the_hash_of_every_file(store: Store) -> None:
    assert store.find("words", "aa") is None
    work = store.open_work("words", "aa")
    for leftover in ("log.txt", "artifact.json", "artifact.json.tmp"):
        (work / leftover).write_text("left by a stopped run", encoding="utf-8")
    folder = make(store)
    assert not work.exists()
    found = store.find("words", "aa")
    assert found is not None
    assert (found.kind, found.fingerprint, found.folder, found.figures) == ("words", "aa", folder, {"words": 3})
    sha256 = "6899ee404683a14e8c2a03149860df25d67d34d9cd4dae7350cbe91e4b3976be"
    assert found.manifest["files"] == [{"path": "deep/words.txt", "bytes": 13, "sha256": sha256}]
    assert {"machine", "versions", "finished", "seconds"} <= set(found.manifest)
    assert json.loads((folder / "artifact.json").read_text(encoding="utf-8")) == found.manifest


def test_a_manifest_that_cannot_be_read(store: Store) -> None:
    folder = make(store)
    (folder / "artifact.json").write_text('{"kind": ', encoding="utf-8")
    with pytest.raises(StoreError, match=r"artifact\.json: the artifact is damaged: Expecting value") as error:
        store.find("words", "aa")
    assert f"Delete the folder {folder} and run again" in str(error.value)
    (folder / "artifact.json").write_bytes(b"\xff\xfe")
    with pytest.raises(StoreError, match="the artifact is damaged: 'utf-8' codec"):
        store.find("words", "aa")
    (folder / "artifact.json").unlink()
    with pytest.raises(StoreError, match=r"the artifact is damaged: .*No such file"):
        store.find("words", "aa")


def test_a_file_that_is_gone_or_cut_off(store: Store) -> None:
    file = make(store) / "deep" / "words.txt"
    file.write_text("one", encoding="utf-8")
    with pytest.raises(StoreError, match="damaged: the file has 3 bytes and should have 13"):
        store.find("words", "aa")
    file.unlink()
    with pytest.raises(StoreError, match=r"words\.txt: the artifact is damaged: the file is gone"):
        store.find("words", "aa")
    read = store.read("words", "aa")
    assert read is not None
    assert read.figures == {"words": 3}


def test_a_store_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    store = Store(tmp_path / "file")
    with pytest.raises(
        StoreError, match=r"the store cannot be written: Not a directory\.\n  Give a folder of your own"
    ):
        store.open_work("words", "aa")
    no_folder = "the store cannot be written: Not a directory"
    with pytest.raises(StoreError, match=no_folder), store.lock("words", "aa", print):
        pass
    with pytest.raises(StoreError, match=no_folder):
        Run(store, "run").open("", [])
    (tmp_path / "artifacts" / "words" / "aa.lock").mkdir(parents=True)
    with pytest.raises(StoreError, match="written: Is a directory"), Store(tmp_path).lock("words", "aa", print):
        pass


def _hold(root: Path, pipe: Connection) -> None:
    with Store(root).lock("words", "aa", print):
        pipe.send(os.getpid())
        pipe.recv()


@pytest.mark.parametrize("end", ["done", "killed"])
def test_one_process_makes_an_artifact_at_a_time(store: Store, end: str) -> None:
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    other = context.Process(target=_hold, args=(store.root, there))
    other.start()
    pid = here.recv()
    told = []

    def held(whose: str) -> None:
        told.append(whose)
        other.kill() if end == "killed" else here.send("go on")

    with store.lock("words", "bb", held):
        assert told == []
    with store.lock("words", "aa", held):
        assert told == [f"process {pid} on {os.uname().nodename}"]
    other.join()


def test_json_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "figures.json"
    write_json(path, {"ą": 1})
    with pytest.raises(TypeError, match="not JSON serializable"):
        write_json(path, {"ą": object()})
    assert json.loads(path.read_text(encoding="utf-8")) == {"ą": 1}


def test_free_bytes_of_a_store_that_is_not_there_yet(tmp_path: Path) -> None:
    assert Store(tmp_path / "a" / "b").free_bytes() > 0


def test_a_run_lists_links_and_logs(store: Store, tmp_path: Path) -> None:
    recipe = load(write_recipe(tmp_path), TABLE)
    steps = plan(recipe, TABLE, store)
    run = Run(store, "mine")
    run.open(recipe.yaml(), steps)
    assert dict(run.artifacts()) == dict.fromkeys(("base", "words", "count", "summary"))
    artifact = store.find("words", make(store, steps[1].fingerprint).name)
    assert artifact is not None
    for _ in range(2):
        run.link("words", artifact)
    assert (run.folder / "words").readlink() == Path("../../artifacts/words") / steps[1].fingerprint
    assert (run.folder / "words" / "deep" / "words.txt").read_text(encoding="utf-8") == "one two three"
    run.event("done", step="words", seconds=1.0)
    event = json.loads((run.folder / "events.jsonl").read_text(encoding="utf-8"))
    assert (event["event"], event["step"], event["seconds"]) == ("done", "words", 1.0)
    assert dict(run.artifacts())["words"] == artifact
    (artifact.folder / "deep" / "words.txt").unlink()
    assert dict(run.artifacts())["words"] == artifact
    run.open(recipe.yaml(), steps[:1])
    assert not (run.folder / "words").is_symlink()
    assert list(dict(run.artifacts())) == ["base"]
    assert (run.folder / "recipe.yaml").read_text(encoding="utf-8") == recipe.yaml()


def test_a_run_that_is_not_there(store: Store) -> None:
    with pytest.raises(StoreError, match='the store has no run called "mine"') as error:
        list(Run(store, "mine").artifacts())
    assert "It has no runs yet: lingraft run RECIPE makes one." in str(error.value)
    Run(store, "mine").open("", [])
    with pytest.raises(StoreError, match=r'Did you mean "mine"\?'):
        list(Run(store, "mime").artifacts())


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "/"])
def test_a_name_that_is_no_folder(store: Store, name: str) -> None:
    with pytest.raises(StoreError, match=f'"{name}" cannot be the name of a run'), Run(store, name).lock():
        pass


def test_scratch_is_kept_until_the_artifact_is_sealed_and_no_part_of_it(store: Store) -> None:
    work = store.open_work("words", "aa")
    for place in (work / "kept.txt", work / SCRATCH / "checkpoint" / "state.bin"):
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text("x", encoding="utf-8")
    sealed = store.finish("words", "aa", {"figures": {}, "seconds": 1})
    assert [file["path"] for file in sealed.manifest["files"]] == ["kept.txt"]
    assert sorted(path.name for path in sealed.folder.iterdir()) == ["artifact.json", "kept.txt"]

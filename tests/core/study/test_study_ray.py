"""Studies on a Ray cluster: a local one with two workers."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from stages_for_tests import TABLE
from test_study import PACKAGES, STUDY, planned, write

from lingraft.core.artifact import Store
from lingraft.core.errors import RecipeError
from lingraft.core.progress import Progress
from lingraft.core.run import Run
from lingraft.core.study import on_ray
from lingraft.core.study.run import Failures
from lingraft.core.study.study import load

RUN = """
import sys
from pathlib import Path
import ray
from test_study_ray import carry_out
ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
carry_out(Path(sys.argv[1]))
"""


def carry_out(folder: Path) -> None:
    store = Store(folder / "store")
    on_ray.execute_cells(planned(folder), store, Failures(store, "study"), Progress(), ())


def test_steps_are_tasks_of_a_cluster(tmp_path: Path) -> None:
    text = STUDY.replace("[false, true]", "[false]").replace("nothing, summary: null", "refuse")
    path = write(tmp_path, text)
    command = subprocess.run(
        [sys.executable, "-c", RUN, str(tmp_path)],
        env={**os.environ, "PYTHONPATH": PACKAGES},
        check=False,
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert command.returncode == 0, command.stderr
    assert [one.state for one in planned(tmp_path)] == ["done", "resume"] * 2
    store = Store(tmp_path / "store")
    failed = Failures(store, "study").read(planned(tmp_path))
    assert {name: failure.step for name, failure in failed.items()} == {
        "study.false.other.1": "count",
        "study.false.other.2": "count",
    }
    assert failed["study.false.other.1"].why == "words.txt:3: the words are no words.\n  Write words."
    for cell in load(path, TABLE).cells:
        artifacts = dict(Run(store, cell.run).artifacts())
        assert artifacts["words"].figures["seed"] == cell.seed
        assert (Run(store, cell.run).folder / "words").is_symlink()
    made = sorted((tmp_path / "store" / "artifacts" / "words").glob("*/artifact.json"))
    assert len(made) == 2


def test_a_missing_ray_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    write(tmp_path)
    with pytest.raises(RecipeError, match=r"the engine ray needs the package ray.*\n  pip install 'lingraft\[ray\]'"):
        carry_out(tmp_path)


def test_more_processors_than_any_node_has_are_refused() -> None:
    nodes = [{"Alive": True, "Resources": {"CPU": 4.0}}, {"Alive": False, "Resources": {"CPU": 64.0}}]
    on_ray._check_processors(nodes, 4, num_gpus=0)
    said = (
        r"--cpus-per-step: a step is to have 8 processors, and the largest node of the cluster has 4\.\n  Set it to 4"
    )
    with pytest.raises(RecipeError, match=said):
        on_ray._check_processors(nodes, 8, num_gpus=0)
    nodes += [{"Alive": True, "Resources": {"CPU": 2.0, "GPU": 1.0}}]
    with pytest.raises(RecipeError, match=r"and the largest node with a GPU of the cluster has 2\."):
        on_ray._check_processors(nodes, 4, num_gpus=1)

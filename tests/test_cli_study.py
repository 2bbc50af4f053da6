"""`lingraft study plan | run | show`, over toy stages."""

import json
from pathlib import Path

import pytest
from click.testing import Result
from stages_for_tests import TABLE
from test_study import STUDY, write
from typer.testing import CliRunner

from lingraft.cli import app


@pytest.fixture(autouse=True)
def _somewhere_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LINGRAFT_STORE", raising=False)
    monkeypatch.setattr("lingraft.stages.table", lambda: TABLE)
    monkeypatch.setattr("lingraft.stages.PRELOAD", ())
    write(tmp_path, STUDY.replace("[false, true]", "[false]").replace("nothing, summary: null", "refuse"))


def call(*arguments: str, exit_code: int = 0) -> Result:
    result = CliRunner().invoke(app, ["study", *arguments])
    assert result.exit_code == exit_code, result.output
    return result


def test_a_study_from_plan_to_page(tmp_path: Path) -> None:
    assert "4 cells, 16 steps, 11 of them distinct" in call("plan", "study.yaml").stdout
    told = call("run", "study.yaml", "--cells", "seed=1", exit_code=1)
    assert "1 of 2 cells done; next: lingraft study show study.yaml" in told.stdout
    assert "failed: study.false.other.1: count: words.txt:3: the words are no words." in told.stderr
    assert "1 of 1 cells done" in call("run", "study.yaml", "--cells", "seed=1", "--cells", "count=plain").stdout
    shown = call("show", "study.yaml").stdout
    assert "Does shouting help?" in shown
    assert "1 of 4 cells failed at count" in " ".join(shown.split())
    found = json.loads(call("show", "study.yaml", "--json").stdout)
    assert found["rows"][0]["figures"]["counted"]["values"] == {"1": {"value": 3, "low": None, "high": None}}
    call("show", "study.yaml", "--page", "pages")
    assert json.loads((tmp_path / "pages" / "study.json").read_text(encoding="utf-8")) == found
    assert "[all figures](study.json)" in (tmp_path / "pages" / "study.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["plan", "none"], 'there is no study file or shipped study "none".'),
        (["plan", "none.yaml"], "none.yaml: the study cannot be read: No such file"),
        (["run", "study.yaml", "--cells", "seed=9"], '--cells: there is no value of seed "9".'),
    ],
)
def test_mistakes_end_with_2(arguments: list[str], said: str) -> None:
    assert said in call(*arguments, exit_code=2).stderr

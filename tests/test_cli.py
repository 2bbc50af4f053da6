"""The command line: what it prints, and that a user's mistake ends with 2 and no traceback."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from lingraft.cli import app


@pytest.fixture(autouse=True)
def _somewhere_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LINGRAFT_STORE", raising=False)
    monkeypatch.setenv("COLUMNS", "200")


def call(*arguments: str, exit_code: int = 0) -> Result:
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == exit_code, result.output
    return result


def refused(*arguments: str) -> str:
    """What is said on stderr of a mistake."""
    result = call(*arguments, exit_code=2)
    assert isinstance(result.exception, SystemExit)
    assert "Traceback" not in result.output
    assert result.stdout == ""
    return result.stderr


def test_help_in_a_process_of_its_own() -> None:
    answer = subprocess.run([sys.executable, "-m", "lingraft", "--help"], capture_output=True, text=True, check=True)
    assert "Graft a language onto a pretrained LLM." in answer.stdout
    for command in ("ls", "new", "check", "plan", "run", "show"):
        assert f" {command} " in answer.stdout
    assert answer.stderr == ""


def test_a_mistake_in_a_process_of_its_own() -> None:
    command = [sys.executable, "-m", "lingraft", "check", "startr"]
    answer = subprocess.run(command, check=False, capture_output=True, text=True)
    assert answer.returncode == 2
    assert answer.stdout == ""
    assert answer.stderr == 'there is no recipe file or shipped recipe "startr".\n  Did you mean "starter"?\n'


def test_ls_shows_recipes_and_runs(tmp_path: Path) -> None:
    told = call("ls").stdout
    assert "starter" in told
    assert "Polish onto a small English base" in told
    assert "runs in" not in told
    (tmp_path / "lingraft-store" / "runs" / "mine").mkdir(parents=True)
    (tmp_path / "lingraft-store" / "runs" / "mine" / "run.json").write_text('{"steps": []}', encoding="utf-8")
    assert "runs in lingraft-store: mine" in call("ls").stdout


def test_new_writes_a_recipe_that_passes(tmp_path: Path) -> None:
    assert "next: lingraft check deep/own.yaml" in call("new", "starter", "deep/own.yaml").stdout
    text = (tmp_path / "deep" / "own.yaml").read_text(encoding="utf-8")
    assert text.startswith("# yaml-language-server: $schema=lingraft.schema.json\n# The embedded default")
    schema = json.loads((tmp_path / "deep" / "lingraft.schema.json").read_text(encoding="utf-8"))
    assert schema["title"] == "lingraft recipe"
    assert "own: 10 steps, no mistake found" in call("check", "deep/own.yaml").stdout


def test_new_overwrites_nothing(tmp_path: Path) -> None:
    (tmp_path / "own.yaml").write_text("mine", encoding="utf-8")
    assert "own.yaml: the file exists already.\n  Choose another name." in refused("new", "starter", "own.yaml")
    assert (tmp_path / "own.yaml").read_text(encoding="utf-8") == "mine"
    assert "own.yaml/x.yaml: the file cannot be written: " in refused("new", "starter", "own.yaml/x.yaml")
    assert "none.yaml: the recipe cannot be read: No such file" in refused("new", "none.yaml", "x.yaml")
    assert "shipped recipe" in refused("new", "startr", "x.yaml")
    assert not (tmp_path / "x.yaml").exists()


def test_check(tmp_path: Path) -> None:
    assert call("check", "starter").stdout == "starter: 10 steps, no mistake found\n"
    assert not (tmp_path / "lingraft-store").exists()
    told = refused("check", "starter", "-s", "pretrain.lrr=1", "-s", "seed=x")
    assert "-s seed=x: seed: input should be a valid integer (got 'x')." in told
    assert '-s pretrain.lrr=1: stages.pretrain.lrr: this key is not known. Did you mean "lr"?' in told
    assert "batch_tokens (9) is no multiple of 256" in refused("check", "starter", "-s", "pretrain.batch_tokens=9")
    assert "the recipe cannot be read" in refused("check", "none.yaml")


def test_plan() -> None:
    told = call("plan", "starter").stdout
    assert told.count("new") >= 9
    assert "pretrain" in told
    assert "still to do: about" in told
    assert '"nope" is not of the form' in refused("plan", "starter", "-s", "nope")


def test_run_on_a_store_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    assert "the store cannot be written" in refused("run", "starter", "--store", "file")
    assert '"a/b" cannot be the name of a run.' in refused("run", "starter", "--name", "a/b")


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_show_on_an_empty_store(options: list[str]) -> None:
    told = refused("show", "mine", *options)
    assert 'lingraft-store: the store has no run called "mine".' in told
    assert "It has no runs yet: lingraft run RECIPE makes one." in told


def test_show_a_run(tmp_path: Path) -> None:
    artifact = tmp_path / "s" / "artifacts" / "corpus" / "aa"
    artifact.mkdir(parents=True)
    manifest = {"figures": {"documents": 7}, "seconds": 3, "files": []}
    (artifact / "artifact.json").write_text(json.dumps(manifest), encoding="utf-8")
    run = tmp_path / "s" / "runs" / "mine"
    run.mkdir(parents=True)
    steps = [{"name": name, "kind": name, "fingerprint": "aa"} for name in ("corpus", "pack")]
    (run / "run.json").write_text(json.dumps({"name": "mine", "steps": steps}), encoding="utf-8")
    told = call("show", "mine", "--store", "s").stdout
    assert "documents 7" in told
    assert "not done" in told
    answer = json.loads(call("show", "mine", "--json", "--store", "s").stdout)
    assert answer == {"run": "mine", "steps": {"corpus": manifest, "pack": None}}
    assert 'Did you mean "mine"?' in refused("show", "mien", "--store", "s")

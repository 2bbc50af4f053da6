"""`lingraft tokenizer`: what its commands print."""

import json
import shutil
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from lingraft.cli import app
from lingraft.tokenizer.extension import extend


@pytest.fixture(autouse=True)
def _wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")


@pytest.fixture
def text(tmp_path: Path, polish: list[str]) -> Path:
    file = tmp_path / "polish.txt"
    file.write_text("\n".join(polish * 5), encoding="utf-8")
    return file


def call(*arguments: str | Path, exit_code: int = 0) -> Result:
    result = CliRunner().invoke(app, ["tokenizer", *map(str, arguments)])
    assert result.exit_code == exit_code, result.output
    return result


def test_compare_shows_a_column_a_tokenizer(tiny_base: Path, tmp_path: Path, text: Path, polish: list[str]) -> None:
    extend(tiny_base, polish * 2, tmp_path / "extended", new_tokens=60)
    english = tmp_path / "english.txt"
    english.write_text("The same in English.\n" * 40, encoding="utf-8")
    shown = call("compare", tiny_base, tmp_path / "extended", "--text", text, "--english", english, "--preview")
    lines = shown.output.splitlines()
    assert lines[0].startswith(f"{text}: 40 documents, 0.00 MB, ")
    assert lines[1].split() == [tiny_base.name, "extended"]
    assert lines[2].split() == ["vocabulary", "400", "460"]
    for name in (
        "bytes per token",
        "tokens that are no whole characters",
        "Renyi efficiency",
        "the same text in English",
    ):
        assert name in shown.output
    assert shown.output.count(polish[0]) == 2


def test_compare_gives_all_figures_as_json(tiny_base: Path, text: Path) -> None:
    figures = json.loads(call("compare", tiny_base, "--text", text, "--json").output)
    assert figures[str(text)][tiny_base.name]["documents"] == 40


def test_prove_says_what_holds_and_what_does_not(
    tiny_base: Path, tmp_path: Path, text: Path, polish: list[str]
) -> None:
    assert "BROKEN" not in call("prove", tiny_base, "--text", text).output
    ahead = tmp_path / "ahead"
    extend(tiny_base, polish * 3, ahead, method="chinese_llama", new_tokens=40)
    shown = call("prove", ahead, "--base", tiny_base, "--text", text, exit_code=1).output
    assert "BROKEN" in shown
    assert "rank ahead of all others" in shown
    assert "replay documents resegmented: 40" in shown
    assert "Put new merges after the old." in shown


def test_prove_against_a_base_that_it_does_not_continue(tiny_base: Path, sentencepiece_base: Path) -> None:
    figures = json.loads(call("prove", tiny_base, "--base", sentencepiece_base, "--json", exit_code=1).output)
    assert figures["proofs"]["old_tokens_dropped"] > 100
    assert all(finding["holds"] for finding in figures["findings"])


def test_advise_recommends_a_size(tiny_base: Path, text: Path) -> None:
    shown = call("advise", tiny_base, "--text", text, "--most", "50").output
    assert shown.splitlines()[0].split() == [
        "new",
        "tokens",
        "bytes/token",
        "last",
        "occurs",
        "parameters",
        "FLOPs/byte",
    ]
    assert "take " in shown
    assert json.loads(call("advise", tiny_base, "--text", text, "--most", "50", "--json").output)["curve"][1]


def test_mistakes_end_with_2(tiny_base: Path, tmp_path: Path, text: Path) -> None:
    assert "no tokenizer.json here" in call("prove", tmp_path, exit_code=2).stderr
    assert "there is no such file" in call("compare", tiny_base, "--text", tmp_path / "nowhere.txt", exit_code=2).stderr


def test_tokenizers_go_by_shipped_names_and_hub_ids(
    tiny_base: Path, tmp_path: Path, text: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository, commit = tmp_path / "cache" / "models--owner--name", "0123456789abcdef0123456789abcdef01234567"
    shutil.copytree(tiny_base, repository / "snapshots" / commit)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(commit, encoding="utf-8")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    shown = call("compare", "english-novels-7m", "owner/name", "--text", text).output
    assert shown.splitlines()[1].split() == ["english-novels-7m", "name"]
    assert "take " in call("advise", "owner/name", "--text", text, "--most", "50").output
    said = call("prove", "owner/other", exit_code=2).stderr
    assert 'the hub cannot be reached, and the model "owner/other" is not in the local cache.' in said
    assert (
        'there is no folder "nowhere", and it is no hub id'
        in call("advise", "nowhere", "--text", text, exit_code=2).stderr
    )

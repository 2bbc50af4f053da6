"""`lingraft evaluate`: models side by side without a recipe."""

import json
import shutil
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from lingraft.cli import app


@pytest.fixture(autouse=True)
def _somewhere_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")


def call(*arguments: object, exit_code: int = 0) -> Result:
    result = CliRunner().invoke(app, ["evaluate", *map(str, arguments)])
    assert result.exit_code == exit_code, result.output
    return result


@pytest.fixture
def model(tiny_base: Path, tmp_path: Path) -> Path:
    shutil.copytree(tiny_base, tmp_path / "adapted")
    shutil.copytree(tiny_base, tmp_path / "base")
    return tmp_path / "adapted"


def test_two_models_on_text_and_tasks(model: Path, tmp_path: Path, polish: list[str]) -> None:
    (tmp_path / "held_out.txt").write_text("\n".join(polish[:8]), encoding="utf-8")
    told = call(
        *(model, "--against", "./base", "--language", "pl", "--suite", "starter", "--items", 3, "--shots", 0),
        *("--text", "held_out.txt", "--training-text", "held_out.txt", "--context-tokens", 64),
    ).stdout
    assert "bits per byte of 8 documents, lower is better" in told
    assert "Endings of stories: Accuracy, 3 items, chance 0.500" in told
    assert "no difference, p 1.000" in told
    assert told.index("  base ") < told.index("  adapted ")
    assert "figures and answers: evaluation" in told
    assert max(map(len, told.splitlines())) <= 100
    kept = json.loads((tmp_path / "evaluation" / "figures.json").read_text(encoding="utf-8"))
    assert kept["models"] == ["base", "adapted"]


def test_what_is_missing_is_told_and_ends_with_1(model: Path, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    arguments = (model, "--language", "pl", "--suite", "xcopa=data", "--suite", "starter", "--items", 2, "--shots", 0)
    result = call(*arguments, "--context-tokens", 64, exit_code=1)
    assert "missing: xcopa: data: there is no Polish in this suite's data" in result.stderr
    assert "Questions, by letter" in result.stdout


def test_items_that_were_trained_on_are_told(model: Path, tmp_path: Path) -> None:
    from lingraft.corpus.language import find
    from lingraft.evaluate.suites.loading import load
    from lingraft.evaluate.wanted import Wanted

    story = next(task for task in load(Wanted("starter"), find("pl")) if task.name == "starter-story").items[0]
    (tmp_path / "trained.txt").write_text(f"{story.context}{story.answers[story.gold]}\n", encoding="utf-8")
    arguments = (model, "--language", "pl", "--suite", "starter", "--items", 2, "--shots", 0, "--context-tokens", 64)
    told = call(*arguments, "--training-text", "trained.txt").stderr
    assert f"leak: starter-story: 1 of 2 items stand in the training text: {story.id}" in told


def test_a_suite_has_its_options_and_a_model_the_name_of_its_folder(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "rows.jsonl").write_text('{"text": "The lake has no name"}\n' * 3, encoding="utf-8")
    (tmp_path / "mine.yaml").write_text(
        f"task: mine\ndataset_path: json\ndataset_kwargs: {{data_files: {{test: {tmp_path / 'rows.jsonl'}}}}}\n"
        "test_split: test\noutput_type: loglikelihood_rolling\ndoc_to_text: ''\ndoc_to_target: '{{text}}'\n"
        "metric_list: [{metric: bits_per_byte}]\n",
        encoding="utf-8",
    )
    monkeypatch.chdir(model)
    arguments = (".", "--language", "en", "--suite", "harness=..", "--option", "harness.tasks=[mine.yaml]")
    told = call(*arguments, "--context-tokens", 64, "--out", tmp_path / "out").stdout
    assert "mine: bits_per_byte, 3 items" in told
    assert json.loads((tmp_path / "out" / "figures.json").read_text(encoding="utf-8"))["models"] == ["adapted"]


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ((), "there is nothing to evaluate on."),
        (("--suite", "starer"), 'no suite is called "starer".\n  Did you mean "starter"?'),
        (("--suite", "starter", "--option", "starter=1"), '--option: "starter=1" is not of the form SUITE.NAME=VALUE.'),
        (("--suite", "starter", "--option", "sib.topics={}"), '--option sib.topics: "sib" is not asked.'),
        (("--suite", "sib", "--option", "sib.topics={"), "--option sib.topics:1: not valid YAML"),
        (("--suite", "sib", "--option", "sib.topics=2020-01-01"), "a value of this kind (date) is not used"),
        (("--suite", "sib", "--option", "sib.topic={}"), 'there is no option "topic".\n  Did you mean "topics"?'),
        (("--suite", "harness"), 'the option "tasks" is needed.'),
        (("--suite", "starter", "--context-tokens", 9999), "a context of 9999 tokens is longer than the "),
        (("--suite", "starter", "--prompts", "latin"), 'there are no prompts "latin".'),
        (("--suite", "starter", "--against", "adapted"), "two models have the same name."),
        (("--suite", "starter", "--against", "./nothing"), 'there is no folder "./nothing"'),
    ],
)
def test_mistakes_are_told(model: Path, arguments: tuple[str, ...], text: str) -> None:
    assert text in call(model, "--language", "pl", *arguments, exit_code=2).stderr

"""What docs/translation.md shows works."""

import contextlib
import io
import re
from pathlib import Path

import pytest
from loopback import endpoint
from made_translators import there

from lingraft.conversations.translate import filters
from lingraft.conversations.translate.build import DUPLICATE, HELD_OUT
from lingraft.core.recipe import load
from lingraft.stages import table

PAGE = (Path(__file__).parents[2] / "docs" / "translation.md").read_text(encoding="utf-8")


def block(language: str) -> str:
    (found,) = re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
    return found


def test_the_recipe(tmp_path: Path) -> None:
    (tmp_path / "recipe.yaml").write_text("base: {model: english-novels-7m}\n" + block("yaml"), encoding="utf-8")
    stages = load(tmp_path / "recipe.yaml", table()).stages
    assert stages["translate"].data == "conversations"
    assert stages["translate_preferences"].data == "preferences"


def test_the_python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    said = io.StringIO()
    translated = endpoint(lambda handler, _, body: handler.say(there(body["messages"][-1]["content"])))
    with translated as server, contextlib.redirect_stdout(said):
        exec(block("python").replace("http://127.0.0.1:8000/v1", server.address), {})
    assert f"{there('Run')} [[1]]" not in said.getvalue()
    assert f"{there('Run')} `ls -l` {there('in a shell.')}" in said.getvalue()
    assert said.getvalue().endswith("1\n")


def test_every_reason_is_told() -> None:
    for reason in (*filters.REASONS, DUPLICATE, HELD_OUT):
        assert reason in PAGE

"""What README and docs say runs as it stands there."""

import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

from lingraft import cli, cli_tokenizer
from lingraft.core.recipe import load
from lingraft.stages import table

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str, page: str = README) -> list[str]:
    found = re.findall(rf"^( *)```{language}\n(.*?)^\1```", page, re.MULTILINE | re.DOTALL)
    return [re.sub(rf"^{indent}", "", text, flags=re.MULTILINE) for indent, text in found]


def test_the_python_of_the_readme_runs(tmp_path: Path) -> None:
    (program,) = blocks("python")
    (tmp_path / "src").symlink_to(ROOT / "src")
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert "'unreachable': 0" in done.stdout
    assert (tmp_path / "grafted" / "model.safetensors").exists()


@pytest.mark.parametrize(("page", "fewest"), [("README.md", 8), ("docs/adapting.md", 14)])
def test_the_recipes_of_the_documents_are_some(tmp_path: Path, page: str, fewest: int) -> None:
    (recipe,) = blocks("yaml", (ROOT / page).read_text(encoding="utf-8"))
    path = tmp_path / "mine.yaml"
    path.write_text(recipe, encoding="utf-8")
    named = list(load(path, table()).stages)
    assert named == [kind for kind in table() if kind in named]
    assert len(named) >= fewest


def test_the_commands_of_the_readme_exist() -> None:
    named = set(re.findall(r"`lingraft (\w+)", README))
    commands = {command.name or command.callback.__name__ for command in cli.app.registered_commands}
    assert named == commands | {group.name for group in cli.app.registered_groups}
    in_group = {command.callback.__name__ for command in cli_tokenizer.app.registered_commands}
    assert set(re.findall(r"`lingraft tokenizer (\w+)", README)) == in_group
    assert set(re.findall(r"`?make (\w+)", README)) <= set(
        re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.M)
    )


def test_the_links_of_the_documents_lead_somewhere() -> None:
    pages = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    assert len(pages) >= 3
    for page in pages:
        for link in re.findall(r"\]\(([^)#]+)\)", page.read_text(encoding="utf-8")):
            assert "://" in link or (page.parent / link).exists(), f"{page.name}: {link}"


def test_where_the_texts_of_lab_recipes_and_studies_are_from_is_said() -> None:
    recipes = [*(ROOT / "recipes" / "lab").glob("*.yaml"), *(ROOT / "studies").glob("*.yaml")]
    read = {place for path in recipes for place in re.findall(r"LINGRAFT_DATA\}/([^\"]+)", path.read_text("utf-8"))}
    told = re.findall(r"^\| `(\S+)` \|", (ROOT / "docs" / "data.md").read_text("utf-8"), re.MULTILINE)
    assert len(told) > 20
    assert read - {"bench"} <= set(told)


@pytest.mark.parametrize("name", ["analysis", "recipe", "methods", "suites"])
def test_generated_pages_are_what_the_code_says(name: str) -> None:
    page = runpy.run_path(str(ROOT / "docs" / f"{name}_page.py"))["page"]
    if (ROOT / "docs" / f"{name}.md").read_text(encoding="utf-8") != page():
        pytest.fail(f"docs/{name}.md is not up to date: run python docs/{name}_page.py")


def test_study_pages_are_what_the_records_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LINGRAFT_DATA", "LINGRAFT_BASES"):
        monkeypatch.setenv(name, "data")
    runpy.run_path(str(ROOT / "docs" / "studies_page.py"))["write"](tmp_path)
    written = sorted(path.relative_to(tmp_path) for path in tmp_path.rglob("*.*"))
    there = sorted(path.relative_to(ROOT / "docs" / "studies") for path in (ROOT / "docs" / "studies").rglob("*.*"))
    assert written == there
    for path in written:
        if (ROOT / "docs" / "studies" / path).read_bytes() != (tmp_path / path).read_bytes():
            pytest.fail(f"docs/studies/{path} is not up to date: run python docs/studies_page.py")


def test_system_pages_are_what_the_records_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(ROOT / "docs")
    runpy.run_path(str(ROOT / "docs" / "systems_page.py"))["write"](tmp_path)
    names = ["README.md", "beyond-english.md", "chinese-mixtral.md", "curie.md", "design-choices.md", "sambalingo.md"]
    assert sorted(path.name for path in (ROOT / "docs" / "systems").glob("*.md")) == names
    for name in names:
        if (ROOT / "docs" / "systems" / name).read_bytes() != (tmp_path / name).read_bytes():
            pytest.fail(f"docs/systems/{name} is not up to date: run python docs/systems_page.py")

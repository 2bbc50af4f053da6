"""Who may import whom, what stays light, and how long a file may be: read from the source."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import lingraft

ROOT = Path(lingraft.__file__).parent
FILES = sorted(ROOT.rglob("*.py"))
DOMAIN = {
    *("corpus", "tokenizer", "graft", "ask", "conversations", "train", "forecast"),
    *("evaluate", "judge", "analyze", "export", "report"),
}
MAY_IMPORT = {
    "__init__": set(),
    "__main__": {"cli"},
    "cli": {"stages", "core", *(file.stem for file in FILES if file.stem.startswith("cli_"))},
    "cli_chat": {"stages", "core", "ask", "evaluate", "cli_errors", "cli_options"},
    "cli_errors": {"core"},
    "cli_evaluate": {"stages", "core", "corpus", "evaluate", "cli_errors", "cli_options"},
    "cli_judge": {"core", "judge", "cli_errors", "cli_options"},
    "cli_options": set(),
    "cli_plan": {"stages", "core", "forecast", "cli_errors", "cli_options"},
    "cli_study": {"stages", "core", "evaluate", "report", "cli_errors", "cli_options"},
    "cli_tokenizer": {"stages", "core", "corpus", "tokenizer", "cli_errors", "cli_options"},
    "core": set(),
    "stages": {"core", *DOMAIN},
    "corpus": {"core"},
    "tokenizer": {"core"},
    "graft": {"core", "tokenizer", "evaluate"},
    "ask": {"core", "evaluate"},
    "conversations": {"core", "corpus", "evaluate", "ask"},
    "judge": {"core", "corpus", "evaluate", "ask"},
    "train": {"core", "corpus", "tokenizer", "evaluate", "ask", "conversations"},
    "forecast": {"core", "evaluate", "train"},
    "evaluate": {"core", "corpus"},
    "analyze": {"core", "tokenizer", "evaluate", "graft"},
    "export": {"core", "tokenizer", "graft"},
    "report": {"core"},
}
HEAVY = {"torch", "transformers", "datasets", "peft", "trl", "accelerate", "pandas", "plotly"}


def room(file: Path) -> str:
    """The folder of a file below the package, or the name of a file at its top."""
    place = file.relative_to(ROOT)
    return place.parts[0] if len(place.parts) > 1 else place.stem


def imports(file: Path) -> Iterator[tuple[str, bool]]:
    """Every module that a file imports by its full name, and whether it does so when it is loaded."""
    package = ["lingraft", *file.relative_to(ROOT).parent.parts]

    def walk(node: ast.AST, on_load: bool) -> Iterator[tuple[str, bool]]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.Import):
                yield from ((alias.name, on_load) for alias in child.names)
            elif isinstance(child, ast.ImportFrom):
                above = package[: len(package) - child.level + 1] if child.level else []
                module = ".".join([*above, *([child.module] if child.module else [])])
                yield from ((f"{module}.{alias.name}", on_load) for alias in child.names)
            elif isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING":
                yield from walk(child, False)
            else:
                inside = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
                yield from walk(child, on_load and not inside)

    yield from walk(ast.parse(file.read_text(encoding="utf-8")), True)


def test_every_module_is_walked() -> None:
    assert len(FILES) == sum(1 for _ in ROOT.glob("**/*.py"))
    assert len(FILES) >= 70
    assert {room(file) for file in FILES} == set(MAY_IMPORT)


def test_imports_are_read() -> None:
    found = dict(imports(ROOT / "stages" / "corpus.py"))
    assert found["lingraft.core.stage.Stage"] is True
    assert found["lingraft.corpus.build.build"] is False
    assert dict(imports(ROOT / "core" / "plan.py"))["lingraft.core.recipe.Recipe"] is True
    assert dict(imports(ROOT / "cli.py"))["lingraft.core.plan.Step"] is False


@pytest.mark.parametrize("folder", MAY_IMPORT)
def test_a_floor_stands_only_on_those_below(folder: str) -> None:
    files = [file for file in FILES if room(file) == folder]
    assert files
    wrong = []
    for file in files:
        for module, _ in imports(file):
            parts = module.split(".")
            if parts[0] == "lingraft" and parts[1] not in MAY_IMPORT[folder] | {folder}:
                wrong.append(f"{file.relative_to(ROOT)}: {module}")
    assert not wrong


def test_stages_import_domain_folders_only_inside_functions() -> None:
    found = [(file, *entry) for file in FILES if room(file) in ("stages", "cli") for entry in imports(file)]
    domain = [
        (file.name, name, on_load)
        for file, name, on_load in found
        if name.split(".")[1:2][:1] and name.startswith("lingraft.") and name.split(".")[1] in DOMAIN
    ]
    assert len(domain) >= 15
    assert not [entry for entry in domain if entry[2]]


def test_light_files_import_nothing_heavy_when_loaded() -> None:
    light = [file for file in FILES if room(file) in ("cli", "core", "stages") or file.name == "__init__.py"]
    assert len(light) >= 30
    heavy = [
        (file, name) for file in light for name, on_load in imports(file) if on_load and name.split(".")[0] in HEAVY
    ]
    assert not heavy


def test_a_fresh_process_loads_nothing_heavy() -> None:
    modules = [f"lingraft.core.{file.stem}" for file in sorted((ROOT / "core").glob("[!_]*.py"))]
    assert len(modules) >= 15
    code = (
        f"import importlib, sys\nfor name in {modules!r} + ['lingraft.cli']: importlib.import_module(name)\n"
        f"import lingraft.stages\nassert len(lingraft.stages.table()) == len(lingraft.stages.KINDS)\n"
        f"print(sorted({HEAVY!r} & set(sys.modules)))"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"


def test_the_command_line_loads_only_what_it_shows() -> None:
    code = "import sys, lingraft.cli; print(sorted({'pydantic', 'ruamel', 'rich.progress'} & set(sys.modules)))"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"


def test_no_file_is_long() -> None:
    long = {str(file.relative_to(ROOT)): n for file in FILES if (n := len(file.read_text().splitlines())) > 400}
    assert not long


def test_the_tables_of_stages_and_strategies_name_what_is_there() -> None:
    from lingraft import graft, tokenizer
    from lingraft.core.registry import resolve
    from lingraft.stages import KINDS, table

    assert {kind: stage.kind for kind, stage in table().items()} == {kind: kind for kind in KINDS}
    for strategies in (graft.STRATEGIES, tokenizer.METHODS):
        assert all(callable(resolve(strategies, name, "strategy")) for name in strategies)
    for package in (graft, tokenizer):
        assert all(getattr(package, name) is not None for name in package.__all__)

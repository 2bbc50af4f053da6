"""Writes docs/studies/: a page for every shipped study with recorded figures, and the index of all.

python docs/studies_page.py
"""

import json
import os
from pathlib import Path
from typing import Any

from lingraft.core.shipped import studies
from lingraft.core.study.study import Study, load
from lingraft.report.study import page
from lingraft.stages import table

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "docs" / "studies"
RESULTS = ROOT / "benchmarks" / "results" / "studies"


def read() -> list[tuple[Study, dict[str, Any] | None]]:
    """Every shipped study, with its recorded figures where there are any."""
    for name in ("LINGRAFT_DATA", "LINGRAFT_BASES"):  # a recipe is read only with all of its variables set
        os.environ.setdefault(name, "data")
    found = []
    for name, (path, _) in studies().items():
        recorded = RESULTS / f"{name}.json"
        results = json.loads(recorded.read_text(encoding="utf-8")) if recorded.exists() else None
        found.append((load(path, table()), results))
    return found


def write(folder: Path) -> None:
    """All pages with their figures."""
    folder.mkdir(parents=True, exist_ok=True)
    found = read()
    for study, results in found:
        if results is not None:
            page.write(study, results, folder, f"../../benchmarks/results/studies/{study.name}.json")
    (folder / "README.md").write_text(page.index(found), encoding="utf-8")


if __name__ == "__main__":
    write(FOLDER)

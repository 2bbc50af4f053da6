"""Runs a shipped study and records its figures with machine and versions; the page is then made from them.

    python benchmarks/studies.py NAME --data FOLDER --store FOLDER [--engine ray] [--only-recorded]

What else a study's recipe names (LINGRAFT_BASES) must be set. A stopped study goes on.
Results: benchmarks/results/studies/NAME.json; pages: python docs/studies_page.py.
"""

import argparse
import os
import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).parent / "results" / "studies"
LINGRAFT = [sys.executable, "-m", "lingraft", "study"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--store", type=Path, required=True)
    parser.add_argument("--engine", default="local")
    parser.add_argument("--only-recorded", action="store_true", help="write what the store has, run nothing")
    arguments = parser.parse_args()
    os.environ["LINGRAFT_DATA"] = str(arguments.data.resolve())
    store = ["--store", str(arguments.store)]
    if not arguments.only_recorded:
        # A failed cell is an empty one in the table, which names it.
        subprocess.run([*LINGRAFT, "run", arguments.name, "--engine", arguments.engine, *store], check=False)
    shown = subprocess.run([*LINGRAFT, "show", arguments.name, "--json", *store], capture_output=True, check=True)
    FOLDER.mkdir(parents=True, exist_ok=True)
    (FOLDER / f"{arguments.name}.json").write_bytes(shown.stdout)


if __name__ == "__main__":
    main()

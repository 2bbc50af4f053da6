"""Runs a shipped study and records its figures with machine and versions; the page is then made from them.

    python benchmarks/studies.py NAME --data FOLDER --store FOLDER [--engine ray] [--only-recorded]
    python benchmarks/studies.py NAME --data FOLDER --store EMPTY_FOLDER --again AXIS=LABEL ... seed=N

What else a study's recipe names (LINGRAFT_BASES) must be set. A stopped study goes on. Results:
benchmarks/results/studies/NAME.json; pages: python docs/studies_page.py. `--again` runs cells anew and holds their
figures against the recorded ones, in benchmarks/results/studies_again.json; cells that were not recorded yet are added.
"""

import argparse
import json
import math
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from record import record

from lingraft.report.study.join import join, require_same

FOLDER = Path(__file__).parent / "results" / "studies"
LINGRAFT = [sys.executable, "-m", "lingraft", "study"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--store", type=Path, required=True)
    parser.add_argument("--engine", default="local")
    parser.add_argument("--only-recorded", action="store_true", help="write what the store has, run nothing")
    parser.add_argument("--again", nargs="+", default=[], metavar="AXIS=LABEL")
    arguments = parser.parse_args()
    os.environ["LINGRAFT_DATA"] = str(arguments.data.resolve())
    store = ["--store", str(arguments.store)]
    if not arguments.only_recorded:
        # A failed cell is an empty one in the table, which names it.
        cells = [option for cell in arguments.again for option in ("--cells", cell)]
        subprocess.run([*LINGRAFT, "run", arguments.name, "--engine", arguments.engine, *cells, *store], check=False)
    shown = subprocess.run([*LINGRAFT, "show", arguments.name, "--json", *store], stdout=subprocess.PIPE, check=True)
    recorded = FOLDER / f"{arguments.name}.json"
    now = json.loads(shown.stdout)
    if not arguments.again:
        if recorded.exists() and finished(now) < (there := finished(json.loads(recorded.read_bytes()))):
            raise SystemExit(f"{arguments.store} has {finished(now)} cells, and {there} are recorded: not written.")
        FOLDER.mkdir(parents=True, exist_ok=True)
        recorded.write_bytes(shown.stdout)
        return
    before = json.loads(recorded.read_bytes())
    require_same(before, now)
    record("studies_again", arguments.name, held_against(before, now))
    if any(row["missing"] for row in before["rows"]):
        both = join(before, now)
        recorded.write_text(json.dumps(both, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


def finished(results: dict[str, Any]) -> int:
    """How many cells are done."""
    return sum(len(row["runs"]) - len(row["missing"]) for row in results["rows"])


def held_against(recorded: dict[str, Any], again: dict[str, Any]) -> list[dict[str, Any]]:
    """Every figure that was made again, beside the recorded one and its intervals: over items, and over seeds.

    The same machine makes the same figure. Another processor rounds otherwise, which makes it another training, as
    another seed does: where a single one of those would lie is what the interval over seeds says here, which is wider
    than that of their mean.
    """
    found = []
    for before, now in zip(recorded["rows"], again["rows"], strict=True):
        for label, figure in now["figures"].items():
            for seed, value in figure["values"].items():
                if seed not in before["figures"][label]["values"]:
                    continue
                there = before["figures"][label]["values"][seed]
                ends = {"items": there, "seeds": of_one_more(before["figures"][label])}
                found.append(
                    {
                        "cell": {**now["axes"], "seed": int(seed)},
                        "figure": label,
                        "recorded": there["value"],
                        "again": value["value"],
                        **{of: interval(one, there["value"], value["value"]) for of, one in ends.items()},
                    }
                )
    return found


def of_one_more(figure: dict[str, Any]) -> dict[str, Any]:
    """The ends of the interval for another training, from those for the mean of n: wider by the root of n + 1."""
    if figure["low"] is None:
        return figure
    half = (figure["high"] - figure["mean"]) * math.sqrt(figure["seeds"] + 1)
    return {"low": figure["mean"] - half, "high": figure["mean"] + half}


def interval(ends: dict[str, Any], recorded: float, again: float) -> dict[str, Any] | None:
    """Its ends, and whether the second figure lies in it; None where there is no such interval."""
    if ends["low"] is None:
        return None
    within = math.isclose(again, recorded, rel_tol=1e-6) or ends["low"] <= again <= ends["high"]
    return {"low": ends["low"], "high": ends["high"], "within": within}


if __name__ == "__main__":
    main()

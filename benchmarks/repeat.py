"""Whether a recipe run twice gives the same figures: two empty stores on one machine, every figure compared.

    python benchmarks/repeat.py [RECIPE ...]

Times, speeds, energy and memory differ from run to run and are left out, by their keys below. What else the manifests
say is compared, and so is the content of every file of both runs. Results: benchmarks/results/repeat.json.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from record import record

from lingraft.core.shipped import find

LINGRAFT = [sys.executable, "-m", "lingraft"]
MEASURED = frozenset(
    {"finished", "seconds", "cpu_seconds", "hours", "tokens_per_second", "characters_per_second", "peak_memory_bytes"}
)
MEASURED |= {"device_memory_bytes", "mfu", "peak_flops_per_second", "energy", "watt_hours", "hour", "Wh"}
"""Keys of what is measured by a clock or a meter: of no two runs is it the same."""
FILES = "files"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipes", nargs="*", default=["starter"], metavar="RECIPE")
    for recipe in parser.parse_args().recipes:
        with tempfile.TemporaryDirectory() as first, tempfile.TemporaryDirectory() as second:
            runs = [run(recipe, Path(store)) for store in (first, second)]
        threads = os.environ.get("OMP_NUM_THREADS", "")
        record("repeat", find(recipe).stem, {"threads": threads or "as many as cores", **compare(*runs)})


def run(recipe: str, store: Path) -> dict[str, Any]:
    """The manifests of all steps."""
    subprocess.run([*LINGRAFT, "run", recipe, "--store", str(store)], check=True)
    shown = [*LINGRAFT, "show", find(recipe).stem, "--json", "--store", str(store)]
    return json.loads(subprocess.run(shown, capture_output=True, check=True).stdout)["steps"]


def compare(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, Any]:
    """How many figures were compared, and the names of those that differ; of files likewise."""
    figures = [dict(leaves(steps)) for steps in (first, second)]
    files = [
        {f"{step}/{file['path']}": file["sha256"] for step, made in steps.items() for file in made[FILES]}
        for steps in (first, second)
    ]
    return {
        "steps": list(first),
        "left_out": sorted(MEASURED),
        "figures": len(figures[0]),
        "figures_differ": differing(*figures),
        "files": len(files[0]),
        "files_differ": differing(*files),
    }


def differing(first: Mapping[str, Any], second: Mapping[str, Any]) -> list[str]:
    """Keys that one of both lacks, or that have another value there."""
    nothing = object()
    return sorted(key for key in {*first, *second} if first.get(key, nothing) != second.get(key, nothing))


def leaves(value: Any, way: str = "") -> Iterator[tuple[str, Any]]:
    """Every figure with the way to it; without those that are measured, and without files."""
    if isinstance(value, Mapping):
        # What trainings had reached at equal cost depends on the hours and watt-hours where that is the cost.
        if MEASURED.isdisjoint({value.get("cost")} if isinstance(value.get("cost"), str) else set()):
            for key, inner in value.items():
                if key not in MEASURED and key != FILES:
                    yield from leaves(inner, f"{way}.{key}" if way else key)
    elif isinstance(value, list):
        yield f"{way}.length", len(value)
        for place, inner in enumerate(value):
            yield from leaves(inner, f"{way}[{place}]")
    else:
        yield way, value


if __name__ == "__main__":
    main()

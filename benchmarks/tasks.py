"""Two small adaptations and their tables of tasks: Polish and Turkish, offline, each from one recipe.

    python benchmarks/tasks.py --data FOLDER --store FOLDER [--only pl tr]

FOLDER of --data holds mono, bench and parallel as benchmarks/tasks.yaml and docs/suites.md name them. Every part is
written to benchmarks/results/tasks.json as soon as it is there.
"""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from record import record

HERE = Path(__file__).parent
LINGRAFT = [sys.executable, "-m", "lingraft"]
TURKISH_SUITES = [
    "bits",
    "writing",
    {"suite": "xcopa", "data": "${LINGRAFT_DATA}/bench/xcopa"},
    {"suite": "xquad", "data": "${LINGRAFT_DATA}/bench/xquad", "items": 60, "shots": 0},
    {"suite": "exams", "data": "${LINGRAFT_DATA}/bench/exams", "items": 200, "shots": 1},
    {"suite": "translation", "data": "${LINGRAFT_DATA}/parallel/ntrex", "items": 60, "shots": 2},
]
OVERRIDES = {
    "pl": [],
    "tr": [
        "language=tr",
        "corpus.target=[{path: '${LINGRAFT_DATA}/mono/tur/exams_wiki.sentences.txt.gz', group: null}]",
        f"evaluate.suites={json.dumps(TURKISH_SUITES)}",
    ],
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--store", type=Path, required=True)
    parser.add_argument("--only", nargs="+", choices=sorted(OVERRIDES), default=list(OVERRIDES))
    arguments = parser.parse_args()
    os.environ["LINGRAFT_DATA"] = str(arguments.data.resolve())
    for language in arguments.only:
        record("tasks", language, tables(language, arguments.store.resolve()))


def tables(language: str, store: Path) -> dict[str, Any]:
    """The figures of the evaluation, without the texts that were written."""
    overrides = [part for override in OVERRIDES[language] for part in ("-s", override)]
    name = f"tasks-{language}"
    run = [*LINGRAFT, "run", str(HERE / "tasks.yaml"), *overrides, "--store", str(store), "--name", name]
    done = subprocess.run(run, check=False)
    show = [*LINGRAFT, "show", name, "--json", "--store", str(store)]
    steps = json.loads(subprocess.run(show, capture_output=True, text=True, check=True).stdout)["steps"]
    figures = steps["evaluate"]["figures"]
    return {
        "exit_code": done.returncode,
        "seconds": {step: manifest["seconds"] for step, manifest in steps.items()},
        **{key: figures[key] for key in ("bits", "fertility", "tasks", "missing", "leaks", "writing")},
    }


if __name__ == "__main__":
    main()

"""English after Polish was learned, with replay and with none: what is forgotten, what moved, what it cost.

    python benchmarks/forgetting.py --store FOLDER

The starter's recipe as it is, and with no replay in the mix: the same passes over the same Polish text. A recipe runs
once: what stands in the store is read from there. Hours and watt-hours were taken beside other work, of which the two
trainings met unlike amounts: bytes and FLOPs are what can be compared. Results: benchmarks/results/forgetting.json.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from record import record

from lingraft.analyze.efficiency import efficiency
from lingraft.analyze.forgetting import forgetting
from lingraft.analyze.subject import Subject
from lingraft.corpus.language import find
from lingraft.evaluate.evaluate import held_out

RUNS = {"replay_25": [], "replay_0": ["-s", "pretrain.mix={target: 1.0}"]}
NAMES = {"replay_25": "starter", "replay_0": "starter-no-replay"}
QUICK = ["-s", "evaluate.suites=[bits]"]  # no task of the recipe's own evaluation is needed here
CONTEXT_TOKENS, SEED = 512, 17


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--store", type=Path, required=True)
    store = parser.parse_args().store.resolve()
    for run, changes in RUNS.items():
        place = ["--store", str(store), "--name", NAMES[run]]
        subprocess.run([sys.executable, "-m", "lingraft", "run", "starter", *place, *QUICK, *changes], check=True)
    found = {run: measure(store, run) for run in RUNS}
    both = efficiency(subject(store, *RUNS))
    record("forgetting", "starter", {"forgetting": found, "efficiency": both})
    for run, result in found.items():
        print(run, result["forgotten"], *result["languages"], result["weights"]["whole"], sep="\n  ")
    print(json.dumps(both["at_equal_cost"], indent=1))


def measure(store: Path, run: str) -> dict[str, Any]:
    """The analysis without the rows of single matrices."""
    found = forgetting(subject(store, run))
    found["weights"].pop("matrices")
    return found


def subject(store: Path, *runs: str) -> Subject:
    """The base, the grafted model, and what one of the trainings made of it; figures of all that are named."""
    folders = {run: store / "runs" / NAMES[run] for run in runs}
    first = next(iter(folders.values()))
    kept = store / "forgetting" / "-".join(folder.joinpath("pretrain").resolve().name for folder in folders.values())
    kept.mkdir(parents=True, exist_ok=True)
    return Subject(
        models={"base": first / "base", "graft": first / "graft", "pretrain": first / "pretrain"},
        texts=held_out(first / "corpus", {"target": find("pl"), "replay": find("en")}, None),
        folder=kept,
        context_tokens=CONTEXT_TOKENS,
        seed=SEED,
        trainings={run: figures(folder / "pretrain") for run, folder in folders.items()},
    )


def figures(artifact: Path) -> dict[str, Any]:
    return json.loads((artifact / "artifact.json").read_text(encoding="utf-8"))["figures"]


if __name__ == "__main__":
    main()

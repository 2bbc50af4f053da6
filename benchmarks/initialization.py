"""Every strategy for new rows, before training and after it: bits per byte over languages and seeds.

    python benchmarks/initialization.py --data FOLDER --store FOLDER [--megabytes 1] [--strategies NAME ...]
        [--only-measured]

Nothing is measured twice: what stands in the store is read from there, so a stopped run goes on. A seed decides which
novels are held out, what is drawn and the order of the text. Results: benchmarks/results/initialization.json.
"""

import argparse
import json
import os
import subprocess
import sys
from itertools import product
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from record import record

from lingraft.graft import STRATEGIES

HERE = Path(__file__).parent
LINGRAFT = [sys.executable, "-m", "lingraft"]
TEXTS = {"pl": "mono/pol/novels.jsonl.gz", "hu": "mono/hun/novels.jsonl.gz"}
SEEDS = (1, 2, 3)
T_95 = 4.303
"""Two-sided quantile of Student's t with two degrees of freedom: three seeds."""
NEED_MORE = ("wechsel", "omp")
"""Strategies that need a dictionary or a donor model, which there is none of for these languages and this base."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--store", type=Path, required=True)
    parser.add_argument("--megabytes", type=int, default=1)
    parser.add_argument("--strategies", nargs="+", default=[name for name in STRATEGIES if name not in NEED_MORE])
    parser.add_argument("--only-measured", action="store_true", help="write the table of what the store has")
    arguments = parser.parse_args()
    os.environ["LINGRAFT_DATA"] = str(arguments.data.resolve())
    measured: dict[str, Any] = {}
    for seed, language, strategy in product(SEEDS, TEXTS, arguments.strategies):
        name = f"{language}-{strategy}-{seed}-{arguments.megabytes}"
        if arguments.only_measured and not (arguments.store / "runs" / name / "pretrain" / "artifact.json").exists():
            continue
        curve = run(arguments.store, arguments.data, language, strategy, seed, arguments.megabytes)
        measured.setdefault(language, {}).setdefault(strategy, {})[seed] = curve
        record("initialization", f"{arguments.megabytes} MB", {"curves": measured, "table": table(measured)})
        print(language, strategy, seed, *(point["bits_per_byte"] for point in curve), flush=True)


def run(store: Path, data: Path, language: str, strategy: str, seed: int, megabytes: int) -> list[dict[str, Any]]:
    """The held-out curve of one training: bits per byte of target and replay text by bytes of text seen."""
    name = f"{language}-{strategy}-{seed}-{megabytes}"
    settings = {
        "language": language,
        "seed": seed,
        "corpus.target": json.dumps([{"path": str(data.resolve() / TEXTS[language])}]),
        "graft.strategy": strategy,
        "pretrain.budget_bytes": megabytes * 1e6,
        "pretrain.curve_points": 2 if megabytes == 1 else megabytes + 1,
    }
    overrides = [part for key, value in settings.items() for part in ("-s", f"{key}={value}")]
    recipe = HERE / "initialization.yaml"
    subprocess.run([*LINGRAFT, "run", recipe, "--store", store, "--name", name, *overrides], check=True)
    shown = subprocess.run([*LINGRAFT, "show", name, "--json", "--store", store], capture_output=True, check=True)
    return json.loads(shown.stdout)["steps"]["pretrain"]["figures"]["held_out_curve"]


def table(measured: dict[str, Any]) -> list[dict[str, Any]]:
    """Per language, strategy and point: mean over seeds with a 95 % interval, and the paired difference to subwords."""
    rows = []
    for language, strategies in measured.items():
        for strategy, curves in strategies.items():
            for at, stream in product(range(len(next(iter(curves.values())))), ("target", "replay")):
                values = {seed: curve[at]["bits_per_byte"][stream] for seed, curve in curves.items()}
                reference = strategies.get("subwords", {})
                paired = [
                    value - reference[seed][at]["bits_per_byte"][stream]
                    for seed, value in values.items()
                    if seed in reference
                ]
                rows.append(
                    {
                        "language": language,
                        "strategy": strategy,
                        "stream": stream,
                        "megabytes": round(mean(curve[at]["bytes"] for curve in curves.values()) / 1e6, 2),
                        "bits_per_byte": interval(list(values.values())),
                        "against_subwords": interval(paired),
                    }
                )
    return rows


def interval(values: list[float]) -> dict[str, float | int | None]:
    """Mean and half the width of its 95 % interval by Student's t; None with fewer than three seeds."""
    half = T_95 * stdev(values) / len(values) ** 0.5 if len(values) == len(SEEDS) else None
    return {"mean": mean(values) if values else None, "plus_minus": half, "seeds": len(values)}


if __name__ == "__main__":
    main()

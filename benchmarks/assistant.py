"""From a model that knows the language to one that answers: fine-tuning and preferences over three seeds.

    python benchmarks/assistant.py --data FOLDER --store FOLDER [--seeds 1 2 3] [--only both target]

FOLDER of --data holds mono, instruct and prefs as benchmarks/assistant.yaml names them. The model to begin with is
that of benchmarks/tasks.yaml, made first where the store has none. Each seed draws other held-out
conversations and pairs and another order. Every seed is written to benchmarks/results/assistant.json as soon
as it is there, and then what they have in common. `target` is fine-tuning on Polish conversations alone.
"""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from record import RESULTS, record

HERE = Path(__file__).parent
LINGRAFT = [sys.executable, "-m", "lingraft"]
STUDENT = {2: 12.706, 3: 4.303, 4: 3.182, 5: 2.776}
"""The 97.5 % quantile of Student's t for so many seeds."""
TARGET_SHARE = "outputs_in_target"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--store", type=Path, required=True)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--only", nargs="+", choices=["both", "target"], default=["both", "target"])
    arguments = parser.parse_args()
    os.environ["LINGRAFT_DATA"] = str(arguments.data.resolve())
    store = arguments.store.resolve()
    model = adapted(store)
    if "target" in arguments.only:
        record("assistant", "target-alone", target_alone(model, arguments.seeds, store))
    if "both" not in arguments.only:
        return
    for seed in arguments.seeds:
        record("assistant", f"seed-{seed}", one(model, seed, store))
    kept = json.loads((RESULTS / "assistant.json").read_text(encoding="utf-8"))
    found = [part["result"] for name, part in kept.items() if name.startswith("seed-")]
    record("assistant", "together", together(found))


def adapted(store: Path) -> Path:
    """The model of benchmarks/tasks.yaml, which has learned Polish from three megabytes; without asking it anything."""
    name = "assistant-begins-with"
    told = ["-s", "evaluate.documents=5", "-s", "evaluate.suites=[bits]", "--name", name, "--store", str(store)]
    subprocess.run([*LINGRAFT, "run", str(HERE / "tasks.yaml"), *told], check=True)
    return store / "runs" / name / "pretrain"


def carried_out(recipe: str, name: str, model: Path, seed: int, store: Path) -> dict[str, Any]:
    told = ["-s", f"base.model={model}", "-s", f"seed={seed}", "--name", name, "--store", str(store)]
    subprocess.run([*LINGRAFT, "run", str(HERE / recipe), *told], check=True)
    shown = subprocess.run(
        [*LINGRAFT, "show", name, "--json", "--store", str(store)], capture_output=True, text=True, check=True
    )
    return json.loads(shown.stdout)["steps"]


def target_alone(model: Path, seeds: list[int], store: Path) -> dict[str, Any]:
    """The share of answers in Polish before and after, and what held-out answers cost, over the seeds."""
    found = [carried_out("assistant_target.yaml", f"assistant-target-{seed}", model, seed, store) for seed in seeds]
    rows = [one["judge"]["figures"]["answers"]["rows"] for one in found]
    shares = {
        of: [next(row["value"] for row in one if (row["model"], row["metric"]) == (of, TARGET_SHARE)) for one in rows]
        for of in ("base", "sft")
    }
    bits = [one["sft"]["figures"]["held_out"]["target"] for one in found]
    return {
        "seeds": seeds,
        "prompts": rows[0][0]["items"],
        "answers_in_polish": {of: over(values) for of, values in shares.items()},
        "response_bits": {
            side: over([one[side]["value"] for one in bits]) for side in ("before", "after", "difference")
        },
        "minutes_of_sft": over([one["sft"]["seconds"] / 60 for one in found]),
    }


def one(model: Path, seed: int, store: Path) -> dict[str, Any]:
    steps = carried_out("assistant.yaml", f"assistant-{seed}", model, seed, store)
    sft, dpo, judge = (steps[step]["figures"] for step in ("sft", "dpo", "judge"))
    return {
        "seconds": {step: steps[step]["seconds"] for step in ("conversations", "sft", "preferences", "dpo", "judge")},
        "sft": {key: sft[key] for key in ("held_out", "streams", "padding_share", "tokens", "tokens_per_second")},
        "dpo": {key: dpo[key] for key in ("held_out", "streams", "tokens", "tokens_per_second", "beta", "loss")},
        "answers": [
            {key: row[key] for key in ("model", "metric", "value", "low", "high", "items")}
            for row in judge["answers"]["rows"]
        ],
        "asked_in": judge["asked_in"],
        "bits": [
            {key: row[key] for key in ("model", "stream", "bits_per_byte", "low", "high")}
            for row in steps["evaluate"]["figures"]["bits"]
            if row["source"] == "all"
        ],
        "quarantined": {step: steps[step]["figures"]["quarantined"] for step in ("conversations", "preferences")},
    }


def together(found: list[dict[str, Any]]) -> dict[str, Any]:
    """Means over the seeds with 95 % intervals (Student)."""
    summary: dict[str, Any] = {"seeds": len(found)}
    for stream in ("target", "replay"):
        summary[f"response_bits_{stream}"] = {
            side: over([one["sft"]["held_out"][stream][side]["value"] for one in found])
            for side in ("before", "after", "difference")
        }
        for what in ("accuracy", "margin", "by_likelihood"):
            summary[f"{what}_{stream}"] = {
                side: over([one["dpo"]["held_out"][stream][what][side]["value"] for one in found])
                for side in ("before", "after", "difference")
            }
    summary["answers_in_polish"] = {
        model: over(
            [
                next(row["value"] for row in one["answers"] if (row["model"], row["metric"]) == (model, TARGET_SHARE))
                for one in found
            ]
        )
        for model in ("base", "sft", "dpo")
    }
    summary["minutes_of_sft_and_dpo"] = over([(one["seconds"]["sft"] + one["seconds"]["dpo"]) / 60 for one in found])
    return summary


def over(values: list[float]) -> dict[str, Any]:
    half = STUDENT[len(values)] * stdev(values) / len(values) ** 0.5 if len(values) > 1 else None
    return {"mean": mean(values), "half_of_interval": half, "values": values}


if __name__ == "__main__":
    main()

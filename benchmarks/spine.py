"""The main job, measured: quality, replay, tokenizer, resume, start-up time.

    python benchmarks/spine.py --data FOLDER --store FOLDER [--only quality resume start]

FOLDER holds mono/pol/novels.jsonl.gz and mono/eng/novels.jsonl.gz, records with `text` and `source` (the novel).
Every part is written to benchmarks/results/spine.json as soon as it is there.
"""

import argparse
import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from statistics import median
from typing import Any

from record import record

HERE = Path(__file__).parent
LINGRAFT = [sys.executable, "-m", "lingraft"]
RECIPE = "lab/polish-novels"
KILLS, SEED = 5, 17


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--store", type=Path, required=True)
    parser.add_argument("--only", nargs="+", choices=sorted(PARTS), default=list(PARTS))
    arguments = parser.parse_args()
    os.environ["LINGRAFT_DATA"] = str(arguments.data.resolve())
    for part in arguments.only:
        record("spine", part, PARTS[part](arguments.store.resolve()))


def quality(store: Path) -> dict[str, Any]:
    """The recipe as it is, and the same without replay; both see the same bytes of text."""
    runs = {"replay_25": [], "replay_0": ["-s", "pretrain.mix={target: 1.0}"]}
    results = {}
    for name, overrides in runs.items():
        subprocess.run([*LINGRAFT, "run", RECIPE, "--store", store, "--name", name, *overrides], check=True)
        figures = {step: found["figures"] for step, found in show(store, name).items()}
        training, tokenizer = figures["pretrain"], figures["tokenizer"]
        wanted = ("bytes", "tokens", "steps", "seconds", "tokens_per_second", "realized_mix", "epochs", "flops")
        results[name] = {
            "bits_per_byte": all_sources(show(store, name)),
            "fertility": figures["evaluate"]["fertility"],
            "speed": figures["evaluate"]["speed"],
            "training": {key: training[key] for key in wanted},
            "held_out_curve": training["held_out_curve"],
            "proofs": tokenizer["proofs"],
            "tokenizer_fertility": tokenizer["fertility"],
            "graft": {key: figures["graft"][key] for key in ("new_rows", "rows_from_subwords", "rows_random")},
            "gate": figures["export"]["gate"],
        }
    return results


def resume(store: Path) -> dict[str, Any]:
    """The starter, undisturbed and killed five times: in the training and in four other steps drawn at random."""
    often = ["-s", "pretrain.checkpoint_minutes=0.1"]
    whole, killed = store / "undisturbed", store / "disturbed"
    began = time.perf_counter()
    subprocess.run([*LINGRAFT, "run", "starter", "--store", whole, *often], check=True)
    wall_seconds = time.perf_counter() - began
    steps = show(whole, "starter")
    draw = random.Random(SEED)
    others = draw.sample([name for name in steps if name != "pretrain"], KILLS - 1)
    moments = {name: draw.uniform(0.2, 0.9) * steps[name]["seconds"] for name in steps if name in (*others, "pretrain")}
    kills = [kill_at(killed, often, step, seconds) for step, seconds in moments.items()]
    subprocess.run([*LINGRAFT, "run", "starter", "--store", killed, *often], check=True)
    again = show(killed, "starter")
    resumed = [line for line in events(killed) if line["event"] == "resumed"]
    hashes = {
        name: weights_hash(root, found)
        for name, root, found in (("undisturbed", whole, steps), ("resumed", killed, again))
    }
    return {
        "starter": {"wall_seconds": wall_seconds, "bits_per_byte": all_sources(steps)},
        "kills": kills,
        "trainings_resumed_from": [line["checkpoint"] for line in resumed],
        "sha256": hashes,
        "bit_identical": hashes["undisturbed"] == hashes["resumed"],
    }


def start(store: Path) -> dict[str, Any]:
    """Seconds of `lingraft --help`, whole process."""
    command, seconds = [Path(sys.executable).with_name("lingraft"), "--help"], []
    for _ in range(10):
        began = time.perf_counter()
        subprocess.run(command, capture_output=True, check=True)
        seconds.append(time.perf_counter() - began)
    return {"help_seconds": {"median": median(seconds), "max": max(seconds), "runs": len(seconds)}}


PARTS = {"quality": quality, "resume": resume, "start": start}


def show(store: Path, run: str) -> dict[str, Any]:
    """Every step's manifest of a run."""
    command = [*LINGRAFT, "show", run, "--json", "--store", store]
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)["steps"]


def all_sources(steps: dict[str, Any]) -> list[dict[str, Any]]:
    """Bits per byte of every model and stream over all sources."""
    return [row for row in steps["evaluate"]["figures"]["bits"] if row["source"] == "all"]


def events(store: Path) -> list[dict[str, Any]]:
    """The events of the starter run so far."""
    path = store / "runs" / "starter" / "events.jsonl"
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []


def kill_at(store: Path, overrides: list[str], step: str, seconds: float) -> dict[str, Any]:
    """Start the run, wait for the step to start and so many seconds more, and send SIGKILL to the command."""
    before = len(events(store))
    process = subprocess.Popen([*LINGRAFT, "run", "starter", "--store", store, *overrides], stderr=subprocess.DEVNULL)
    while not any(line["event"] == "start" and line["step"] == step for line in events(store)[before:]):
        if process.poll() is not None:
            raise RuntimeError(f"the run ended before step {step} began")
        time.sleep(0.05)
    time.sleep(seconds)
    process.send_signal(signal.SIGKILL)
    process.wait()
    return {"step": step, "seconds_into_step": round(seconds, 2)}


def weights_hash(store: Path, steps: dict[str, Any]) -> str:
    """The SHA-256 of the weights that the training made."""
    step = steps["pretrain"]
    folder = store / "artifacts" / "pretrain" / step["fingerprint"]
    return hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()


if __name__ == "__main__":
    main()

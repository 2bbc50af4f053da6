"""Training, measured: what each way of it gives and costs, speed beside bare loops and peers, killed and gone on with.

    python benchmarks/training.py --data FOLDER --store FOLDER [--only methods variants speed resume] [--seeds 1 2 3]
        [--rounds 5] [--steps 40]
        [--peer trl=PYTHON] [--peer litgpt=PYTHON] [--peer llamafactory=PYTHON]

`variants` and `speed` time the peers that are named with an interpreter that has them installed (`trl`; `litgpt` and
`litdata`; `llamafactory`; without a GPU, a CPU build of torch and no torchvision). Nothing of `methods` is measured
twice: what stands in the store is read from there. Results: benchmarks/results/training.json.
"""

import argparse
import hashlib
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import product
from pathlib import Path
from statistics import median
from typing import Any

from initialization import LINGRAFT, TEXTS, interval
from record import RESULTS, record
from training_peers import VARIANTS as PEERS
from training_speed import SETTINGS, prepare
from training_speed import VARIANTS as OURS

from lingraft.core.engine import KEEP_FREED_MEMORY
from lingraft.train.pretrain import pretrain

HERE = Path(__file__).parent
RECIPE = HERE / "initialization.yaml"
LORA = {"lora.rank": 32, "lora.alpha": 64.0, "lr": 1e-3}
METHODS: dict[str, dict[str, Any]] = {
    "full": {"train": "full"},
    "lora, new rows": {"train": "lora", **LORA},
    "qlora, new rows": {"train": "qlora", **LORA},
    "rows": {"train": "rows", "lr": 3e-3},
    "lora, whole tables": {"train": "lora", "lora.tables": "full", **LORA},
    "embeddings": {"train": "embeddings", "lr": 1e-3},
    "top_bottom": {"train": "top_bottom"},
    "full, new rows at 10 times the rate": {"train": "full", "new_rows.lr": 3e-3},
    "full, muon": {"train": "full", "optimizer": "muon"},
}
KILLS, SEED = 20, 17


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--store", type=Path, required=True)
    parser.add_argument("--only", nargs="+", choices=sorted(PARTS), default=list(PARTS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[1, 2, 3])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--peer", type=peer, action="append", default=[], metavar="PEER=INTERPRETER")
    arguments = parser.parse_args()
    os.environ["LINGRAFT_DATA"] = str(arguments.data.resolve())
    arguments.peer = dict(arguments.peer)
    for part in arguments.only:
        PARTS[part](arguments)


def methods(arguments: argparse.Namespace) -> None:
    """Bits per byte of Polish and English after the same megabyte of Polish, without replay, by what moves."""
    measured: dict[str, dict[int, dict[str, Any]]] = {}
    for (method, settings), seed in product(METHODS.items(), arguments.seeds):
        overrides = {"seed": seed, **{f"pretrain.{key}": value for key, value in settings.items()}}
        step = run(arguments, f"{method}-{seed}".replace(", ", "-").replace(" ", "-"), overrides)["pretrain"]
        figures = step["figures"]
        last = figures["held_out_curve"][-1]["bits_per_byte"]
        measured.setdefault(method, {})[seed] = {
            **last,
            "start": figures["held_out_curve"][0]["bits_per_byte"],
            "trainable_share": figures["trainable_share"],
            "peak_memory_bytes": step["peak_memory_bytes"],
            "tokens_per_second": figures["tokens_per_second"],
            "watt_hours": 1000 * figures["energy"]["kwh"],
            "bytes": figures["bytes"],
        }
        table = {
            name: {
                **{
                    key: interval([found[key] for found in runs.values()]) for key in ("target", "replay", "watt_hours")
                },
                "trainable_share": next(iter(runs.values()))["trainable_share"],
                "peak_memory_bytes": median(found["peak_memory_bytes"] for found in runs.values()),
            }
            for name, runs in measured.items()
        }
        record("training", "methods", {"settings": METHODS, "runs": measured, "table": table})
        print(method, seed, measured[method][seed], flush=True)


def variants(arguments: argparse.Namespace) -> None:
    """Every contender once in each of the ways it could be run; `speed` takes the quickest, else the first."""
    with speed_of(arguments) as (contenders, timed):
        found = {name: {way: timed(name, way) for way in ways} for name, (*_, ways, _) in contenders.items()}
    rate = {name: {way: one["tokens_per_second"] for way, one in ways.items() if one} for name, ways in found.items()}
    best = {name: max(ways, key=ways.__getitem__) for name, ways in rate.items() if ways}
    record("training", "variants", {"measured": found, "best": best})


def speed(arguments: argparse.Namespace) -> None:
    """Tokens a second, each contender in a process of its own, in turn, all but one with the same allocator."""
    measured = json.loads((RESULTS / "training.json").read_text(encoding="utf-8")).get("variants")
    found_best = measured["result"]["best"] if measured else {}
    found: dict[str, list[dict[str, Any]]] = {}
    with speed_of(arguments) as (contenders, timed):
        best = {name: found_best.get(name, next(iter(ways))) for name, (*_, ways, _) in contenders.items()}
        for _, name in product(range(arguments.rounds), contenders):
            found.setdefault(name, []).append(timed(name, best[name]) or {})
            wall, cpu = (
                {name: [one.get(rate) for one in ones] for name, ones in found.items()}
                for rate in ("tokens_per_second", "tokens_per_cpu_second")
            )
            result = {
                "variants": best,
                "threads": os.environ.get("OMP_NUM_THREADS"),
                "tokens_per_second": wall,
                "lingraft_against": against(wall),
                "tokens_per_cpu_second": cpu,
                "lingraft_against_by_cpu_time": against(cpu),
                "reached": {name: ones[0] for name, ones in found.items()},
                "steps": arguments.steps,
                "peers": {name: versions(python) for name, python in arguments.peer.items()},
            }
            record("training", "speed", result)


def against(rates: dict[str, list[float]]) -> dict[str, float]:
    """How many times as quick lingraft was, the median over the rounds that both went through."""
    pairs = {name: list(zip(rates["lingraft"], theirs, strict=False)) for name, theirs in rates.items()}
    return {
        name: median(ours / rate for ours, rate in both if ours and rate)
        for name, both in pairs.items()
        if any(ours and rate for ours, rate in both)
    }


@contextmanager
def speed_of(arguments: argparse.Namespace) -> Iterator[tuple[dict[str, Any], Callable[[str, str], Any]]]:
    """Contenders by name as (interpreter, script, kind, variants, environment), and what times one of them."""
    run(arguments, "speed", {"seed": SEED, "pretrain.budget_bytes": 1e5})
    model, corpus = (arguments.store / "runs" / "speed" / step for step in ("graft", "corpus"))
    kept, plain = {**os.environ, **KEEP_FREED_MEMORY}, dict(os.environ)
    ours, theirs = HERE / "training_speed.py", HERE / "training_peers.py"
    contenders = {
        "lingraft": (sys.executable, ours, "lingraft", OURS, kept),
        "bare loop": (sys.executable, ours, "bare", OURS, kept),
        "bare loop, default allocator": (sys.executable, ours, "bare", ["plain"], plain),
        **{name: (python, theirs, name, PEERS[name], kept) for name, python in arguments.peer.items()},
    }
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder, "work")
        prepare(model, corpus, work, arguments.steps)

        def timed(name: str, variant: str) -> dict[str, Any] | None:
            python, script, kind, _, environment = contenders[name]
            command = [python, script, kind, model, work, variant]
            done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
            found = json.loads(done.stdout.splitlines()[-1]) if done.returncode == 0 else None
            print(name, variant, found or done.stderr.splitlines()[-1:], flush=True)
            return found

        yield contenders, timed


def versions(python: str) -> dict[str, str]:
    """What the interpreter of a peer has installed, of what matters to its speed."""
    names = [*PEERS, "torch", "transformers", "lightning", "litdata", "datasets"]
    code = (
        "import json, sys; from importlib.metadata import distributions as d;"
        "print(json.dumps({x.name.lower(): x.version for x in d() if x.name.lower() in sys.argv[1:]}))"
    )
    return json.loads(subprocess.run([python, "-c", code, *names], capture_output=True, text=True, check=True).stdout)


def peer(text: str) -> tuple[str, str]:
    name, _, python = text.partition("=")
    if name not in PEERS or not python:
        raise argparse.ArgumentTypeError(f"{text} is not PEER=INTERPRETER with one of {', '.join(PEERS)}")
    return name, python


def resume(arguments: argparse.Namespace) -> None:
    """A training of 16 steps that writes a checkpoint after each, killed at 20 moments drawn at random."""
    run(arguments, "speed", {"seed": SEED, "pretrain.budget_bytes": 1e5})
    places = [str(arguments.store / "runs" / "speed" / step) for step in ("graft", "pack", "corpus")]
    draw, kills = random.Random(SEED), []
    with tempfile.TemporaryDirectory() as folder:
        whole = train(places, Path(folder, "whole"))
        expected = weights(Path(folder, "whole"))
        for number in range(KILLS):
            after, place = draw.uniform(0, whole), Path(folder, str(number))
            ended = train(places, place, kill_after=after) is not None
            checkpoints = sorted(path.name for path in place.glob("scratch/checkpoint-*/complete.json"))
            if not ended:
                train(places, place)
            kills.append({"seconds": after, "whole_checkpoints": len(checkpoints), "same": weights(place) == expected})
            print(kills[-1], flush=True)
    same = sum(one["same"] for one in kills)
    record("training", "resume", {"whole_seconds": whole, "kills": kills, "bit_identical": same})


def train(places: list[str], folder: Path, kill_after: float | None = None) -> float | None:
    """Seconds of a training in a process of its own, or None when it was killed before it ended."""
    began = time.perf_counter()
    process = subprocess.Popen([sys.executable, __file__, "--one", str(folder), *places], stderr=subprocess.DEVNULL)
    try:
        if process.wait(timeout=kill_after):
            raise RuntimeError(f"the training in {folder} failed")
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        return None
    return time.perf_counter() - began


def one(folder: Path, model: Path, packed: Path, corpus: Path) -> None:
    """The training that is killed."""
    short = replace(SETTINGS, batch_tokens=2048, budget_tokens=16 * 2048, checkpoint_minutes=0.0)
    pretrain(model, packed, corpus, folder, short)


def weights(folder: Path) -> str:
    return hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()


PARTS = {"methods": methods, "variants": variants, "speed": speed, "resume": resume}


def run(arguments: argparse.Namespace, name: str, overrides: dict[str, Any]) -> dict[str, Any]:
    """Carry out the recipe; every step's manifest."""
    settings = {
        "language": "pl",
        "corpus.target": json.dumps([{"path": str(arguments.data.resolve() / TEXTS["pl"])}]),
        **overrides,
    }
    parts = [part for key, value in settings.items() for part in ("-s", f"{key}={value}")]
    subprocess.run([*LINGRAFT, "run", RECIPE, "--store", arguments.store, "--name", name, *parts], check=True)
    return show(arguments.store, name)


def show(store: Path, name: str) -> dict[str, Any]:
    """Every step's manifest of a run."""
    command = [*LINGRAFT, "show", name, "--json", "--store", store]
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)["steps"]


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        one(*map(Path, sys.argv[2:]))
    else:
        main()

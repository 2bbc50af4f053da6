"""Models made from nothing: how their rows should start, and what they know beside the shipped base.

    python benchmarks/bases.py starts --data FOLDER --store FOLDER [--strategies NAME ...] [--seeds N ...]
    python benchmarks/bases.py compare --data FOLDER --store FOLDER [--recipes NAME ...]

`starts` trains the small model of bases.yaml from each start. `compare` makes the bases of recipes/lab, or takes them
from the store, and measures them and the shipped base on text that none of them has seen; the novels that the recipes
hold out are shown apart, because the shipped base was trained on them. Results: benchmarks/results/bases.json.
"""

import argparse
import gzip
import json
import os
import subprocess
import sys
from itertools import product
from pathlib import Path
from statistics import mean
from tempfile import TemporaryDirectory
from typing import Any

from record import record

from lingraft.core.artifact import Store
from lingraft.core.run import Run
from lingraft.corpus import find
from lingraft.evaluate import evaluate
from lingraft.stages.base import SHIPPED

HERE = Path(__file__).parent
LINGRAFT = [sys.executable, "-m", "lingraft"]
SHIPPED_BASE = "english-novels-7m"
RECIPES = ("english-dense", "english-mixtral")
STARTS = ("gaussian", "xavier_uniform", "random_token", "subwords", "mean_all")
SEEDS = (1, 2, 3)
BLOCK, NUM_BLOCKS, CONTEXT_TOKENS, SEED = 4000, 80, 512, 17


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=["starts", "compare"])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--store", type=Path, required=True)
    parser.add_argument("--strategies", nargs="+", default=STARTS)
    parser.add_argument("--seeds", nargs="+", type=int, default=SEEDS)
    parser.add_argument("--recipes", nargs="+", default=RECIPES)
    arguments = parser.parse_args()
    os.environ["LINGRAFT_DATA"] = str(arguments.data.resolve())
    if arguments.part == "starts":
        starts(arguments.store, arguments.strategies, arguments.seeds)
    else:
        compare(arguments.data, arguments.store, arguments.recipes)


def starts(store: Path, strategies: list[str], seeds: list[int]) -> None:
    """Held-out bits per byte on the way of a training from each start; the same text in the same order by seed."""
    curves: dict[str, dict[int, Any]] = {}
    for seed, strategy in product(seeds, strategies):
        name = f"start-{strategy}-{seed}"
        overrides = ["-s", f"graft.strategy={strategy}", "-s", f"seed={seed}"]
        figures = run(store, HERE / "bases.yaml", name, overrides)
        norms = {side: figures["graft"][f"{side}_row_norm"]["mean"] for side in ("old", "new")}
        points = [
            {"tokens": point["tokens"], "bits_per_byte": point["bits_per_byte"]["target"]}
            for point in figures["pretrain"]["held_out_curve"]
        ]
        curves.setdefault(strategy, {})[seed] = {"row_norm": norms, "curve": points}
        table = {
            strategy: {
                "seeds": len(found),
                "last": mean(one["curve"][-1]["bits_per_byte"] for one in found.values()),
                "against_gaussian": [
                    one["curve"][-1]["bits_per_byte"] - curves["gaussian"][seed]["curve"][-1]["bits_per_byte"]
                    for seed, one in found.items()
                    if seed in curves.get("gaussian", {})
                ],
            }
            for strategy, found in curves.items()
        }
        record("bases", "starts", {"curves": curves, "table": table})
        print(strategy, seed, norms, *(round(point["bits_per_byte"], 4) for point in points), flush=True)


def compare(data: Path, store: Path, recipes: list[str]) -> None:
    """Bits per byte of the shipped base and the new ones, by kind of text; training figures of the new ones."""
    models, made, corpus = {SHIPPED_BASE: SHIPPED / SHIPPED_BASE}, {}, None
    for name in recipes:
        figures = run(store, f"lab/{name}", name, [])
        steps = dict(Run(Store(store), name).artifacts())
        models[name], corpus = steps["export"].folder / "hf", steps["corpus"].folder
        kept = (
            "parameters",
            "weight_bytes",
            "tokens",
            "bytes",
            "epochs",
            "seconds",
            "tokens_per_second",
            "held_out_curve",
        )
        made[name] = {key: figures["pretrain"][key] for key in kept if key in figures["pretrain"]}
    english = find("en")
    unseen = [(text, kind) for kind, texts in other_texts(data).items() for text in texts]
    novels = evaluate.held_out(corpus, {"target": english}, NUM_BLOCKS)[0].texts
    texts = [
        evaluate.HeldOut("target", english, [text for text, _ in unseen], [kind for _, kind in unseen]),
        evaluate.HeldOut("replay", english, novels, ["novels"] * len(novels)),
    ]
    with TemporaryDirectory() as folder:
        measured = evaluate.measure_bits(models, texts, Path(folder), context_tokens=CONTEXT_TOKENS)
    rows = evaluate.bits_table(measured, texts, seed=SEED)
    for row in rows:
        row["source"] = "novels" if row["stream"] == "replay" else row["source"]
        row["unseen_by"] = "all" if row.pop("stream") == "target" else "all but the shipped base"
    print(markdown(rows, list(models)))
    fertility = [row for row in evaluate.fertility_table(measured, texts) if row["stream"] == "target"]
    record("bases", "compare", {"made": made, "bits": rows, "fertility": fertility, "context_tokens": CONTEXT_TOKENS})


def markdown(rows: list[dict[str, Any]], models: list[str]) -> str:
    """A line for each kind of text, a column for each model, with intervals."""
    cells: dict[str, list[str]] = {}
    for row in rows:
        figures = f"{row['bits_per_byte']:.2f} [{row['low']:.2f}, {row['high']:.2f}]"
        cells.setdefault(f"{row['source']} (unseen by {row['unseen_by']})", []).append(figures)
    head = ["| bits per byte | " + " | ".join(models) + " |", "|---" * (len(models) + 1) + "|"]
    return "\n".join(head + [f"| {text} | {' | '.join(found)} |" for text, found in cells.items()])


def run(store: Path, recipe: Any, name: str, overrides: list[str]) -> dict[str, Any]:
    """The figures of a recipe's steps, which are carried out where the store lacks them."""
    subprocess.run([*LINGRAFT, "run", recipe, "--store", store, "--name", name, *overrides], check=True)
    shown = subprocess.run([*LINGRAFT, "show", name, "--json", "--store", store], capture_output=True, check=True)
    return {step: found["figures"] for step, found in json.loads(shown.stdout)["steps"].items()}


def other_texts(data: Path) -> dict[str, list[str]]:
    """English that is in no novel of the file: blocks evenly spread over modern fiction, articles, web pages, plays."""
    passages = [json.loads(line)["text"] for line in lines(data / "bench/lambada/eng.jsonl.gz")]
    english = data / "mono/eng"
    return {
        "modern fiction": spread(passages, 400),
        "encyclopedia": blocks("\n".join(lines(english / "wiki_demo.txt.gz"))),
        "web": blocks("\n".join(lines(english / "c4_demo.txt.gz"))),
        "plays of 1600": blocks("\n".join(lines(english / "tinyshakespeare.txt.gz"))),
    }


def lines(path: Path) -> list[str]:
    with gzip.open(path, "rt", encoding="utf-8") as file:
        return file.read().splitlines()


def blocks(text: str) -> list[str]:
    return spread([text[at : at + BLOCK] for at in range(0, len(text) - BLOCK, BLOCK)], NUM_BLOCKS)


def spread(texts: list[str], most: int) -> list[str]:
    step = max(1, len(texts) // most)
    return texts[::step][:most]


if __name__ == "__main__":
    main()

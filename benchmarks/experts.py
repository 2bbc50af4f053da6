"""What each expert of a Mixtral is worth, before and after it learns Polish.

    python benchmarks/experts.py --data FOLDER --store FOLDER [--base FOLDER] [--documents N]

Takes the base of recipes/lab/english-mixtral.yaml from the store, or makes it (an hour), unless --base is its folder;
adapts it by experts.yaml, and disables each of its experts in turn on held-out novels in either language. Goes on where
it was stopped. Results: benchmarks/results/experts.json.
"""

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path
from statistics import mean, median
from typing import Any

from record import record

from lingraft.analyze.experts import experts
from lingraft.analyze.measures import count, measures
from lingraft.analyze.mixture import MODES, Below, decoder_layers
from lingraft.analyze.subject import Subject, spread
from lingraft.core.artifact import Store
from lingraft.core.run import Run
from lingraft.corpus import find
from lingraft.evaluate.evaluate import HeldOut, held_out, load

HERE = Path(__file__).parent
LINGRAFT = [sys.executable, "-m", "lingraft"]
DOCUMENT_BYTES, CONTEXT_TOKENS, SEED = 1024, 512, 17


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--store", type=Path, required=True)
    parser.add_argument("--base", type=Path)
    parser.add_argument("--documents", type=int, default=48)
    arguments = parser.parse_args()
    os.environ["LINGRAFT_DATA"] = str(arguments.data.resolve())
    base, adapted, corpus, training = models(arguments.store, arguments.base)
    texts = held_out(corpus, {"target": find("pl"), "replay": find("en")}, arguments.documents)
    folder = arguments.store / "experts"
    folder.mkdir(exist_ok=True)
    subject = Subject({"base": base, "adapted": adapted}, texts, folder, CONTEXT_TOKENS, SEED)
    figures = experts(subject, documents=arguments.documents, document_bytes=DOCUMENT_BYTES)
    record("experts", "polish-mixtral", {"training": training, **figures})
    seconds = skipping(base, texts)
    record("experts", "skipping", seconds)
    print("CPU seconds of a measurement:", seconds)
    for name, found in figures["models"].items():
        dead = [f"{one['layer']}/{one['expert']}: {one['why']}" for one in found["dead"]]
        print(name, "dead:", dead)
        for stream, shown in found["scores"].items():
            for mode in MODES:
                heat_map = shown[mode]
                print(f"{name}, {stream}, {mode}: {heat_map['num_differ']} differ, noise {heat_map['noise']:.4f}")
                for layer, row in zip(found["layers"], heat_map["change"], strict=True):
                    cells = (f"{cell['value']:+.3f}{'*' if cell['differs'] else ' '}" for cell in row)
                    print(f"  layer {layer}:", *cells)


def skipping(base: Path, texts: list[HeldOut]) -> dict[str, Any]:
    """CPU seconds of a measurement of the whole model, and of one from each layer on; medians of three."""
    loaded = load(base)
    scored = measures([spread(text, 4, most_bytes=DOCUMENT_BYTES) for text in texts], (), CONTEXT_TOKENS)
    layers = decoder_layers(loaded.model)
    below, found = Below(layers), []
    for layer in range(len(layers)):
        below.advance(layer, lambda: count(scored, loaded))
        times = []
        for _ in range(3):
            began = time.process_time()
            with below.skipped():
                count(scored, loaded)
            times.append(time.process_time() - began)
        found.append(median(times))
    return {"whole": found[0], "from_layer": found, "mean_share": mean(found) / found[0]}


def models(store: Path, base: Path | None) -> tuple[Path, Path, Path, dict[str, Any]]:
    """The folders of the base, the adapted model and the texts, and what the adapted one was trained on."""
    if base is None:
        base = made(store, "lab/english-mixtral", "english-mixtral", [])["export"].folder / "hf"
    steps = made(store, HERE / "experts.yaml", "polish-mixtral", ["-s", f"base.model={base.resolve()}"])
    figures = steps["pretrain"].figures
    training = {key: figures[key] for key in ("parameters", "tokens", "bytes", "held_out_curve")}
    return base, steps["export"].folder / "hf", steps["corpus"].folder, training


def made(store: Path, recipe: Any, name: str, overrides: list[str]) -> dict[str, Any]:
    subprocess.run([*LINGRAFT, "run", recipe, "--store", store, "--name", name, *overrides], check=True)
    return dict(Run(Store(store), name).artifacts())


if __name__ == "__main__":
    main()

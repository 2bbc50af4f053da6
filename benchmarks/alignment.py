"""Whether Polish sentences find their English translations by their states: every layer, before and after adaptation.

    python benchmarks/alignment.py --data FOLDER --store FOLDER [--recipes starter lab/polish-novels]

FOLDER holds parallel/ntrex/{pol,eng}.txt (NTREX-128), parallel/tatoeba/eng-pol.tsv.gz (Tatoeba), and for
lab/polish-novels the texts of benchmarks/spine.py. A recipe runs once: what stands in the store is read from there,
and so are the scores of a model. Results: benchmarks/results/alignment.json, a part for every recipe.
"""

import argparse
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from record import record

from lingraft.analyze.alignment import HEADLINE, alignment
from lingraft.analyze.subject import Subject
from lingraft.corpus.language import find
from lingraft.evaluate.evaluate import held_out

MODELS = ("base", "graft", "pretrain")
SOURCES = {"starter": None, "ntrex": "parallel/ntrex", "tatoeba": "parallel/tatoeba/eng-pol.tsv.gz"}
SENTENCES, CONTEXT_TOKENS, SEED = 2000, 512, 17


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--store", type=Path, required=True)
    parser.add_argument("--recipes", nargs="+", default=["starter", "lab/polish-novels"])
    arguments = parser.parse_args()
    os.environ["LINGRAFT_DATA"] = str(arguments.data.resolve())
    for recipe in arguments.recipes:
        quick = ["-s", "evaluate.suites=[bits]"]  # no task of the recipe's own evaluation is needed here
        command = [sys.executable, "-m", "lingraft", "run", recipe, "--store", str(arguments.store), *quick]
        subprocess.run(command, check=True)
        found = {name: measure(arguments.store, recipe, name, arguments.data) for name in SOURCES}
        record("alignment", recipe, found)
        for source, result in found.items():
            print(recipe, source, result["chance"], result["spelling"], *result["models"], sep="\n  ")


def measure(store: Path, recipe: str, source: str, data: Path) -> dict[str, Any]:
    """The analysis on one set of translations."""
    run = store / "runs" / Path(recipe).name
    folder = store / "alignment" / (run / "pretrain").resolve().name / source
    folder.mkdir(parents=True, exist_ok=True)
    subject = Subject(
        models={name: run / name for name in MODELS},
        texts=held_out(run / "corpus", {"target": find("pl"), "replay": find("en")}, 1),
        folder=folder,
        context_tokens=CONTEXT_TOKENS,
        seed=SEED,
    )
    place = SOURCES[source]
    return told(alignment(subject, parallel=None if place is None else data / place, sentences=SENTENCES))


def told(found: dict[str, Any]) -> dict[str, Any]:
    """The figures without the ways apart, and with the gains of the headline alone."""
    layers = [
        {
            "model": row["model"],
            "layer": row["layer"],
            "accuracy": {variant: ways["both"] for variant, ways in row["accuracy"].items()},
            "gain": row["accuracy"][HEADLINE]["gain"],
            "separation": row["separation"]["centered"],
        }
        for row in found["layers"]
    ]
    return {**found, "layers": layers}


if __name__ == "__main__":
    main()

"""What the shipped base, a Mixtral, and what was adapted from each lose at 16, 8 and 4 bits.

    python benchmarks/quantization.py PART --base FOLDER [--adapted FOLDER] --corpus FOLDER [--documents N]

PART is the name of the result; `--base` a Hugging Face folder or the name of a shipped base; `--corpus` a corpus
artifact of Polish with English replay. Results: benchmarks/results/quantization.json.
"""

import argparse
from pathlib import Path
from tempfile import TemporaryDirectory

from record import record

from lingraft.analyze.quantization import quantization
from lingraft.analyze.subject import Subject
from lingraft.corpus import find
from lingraft.evaluate.evaluate import held_out
from lingraft.stages.base import SHIPPED

CONTEXT_TOKENS, SEED = 512, 17


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part")
    parser.add_argument("--base", required=True)
    parser.add_argument("--adapted", type=Path)
    parser.add_argument("--corpus", type=Path, required=True)
    parser.add_argument("--documents", type=int, default=80)
    arguments = parser.parse_args()
    shipped = SHIPPED / arguments.base
    models = {"base": shipped if shipped.is_dir() else Path(arguments.base)}
    if arguments.adapted:
        models["adapted"] = arguments.adapted
    texts = held_out(arguments.corpus, {"target": find("pl"), "replay": find("en")}, arguments.documents)
    with TemporaryDirectory() as folder:
        subject = Subject(models, texts, Path(folder), CONTEXT_TOKENS, SEED)
        figures = quantization(subject, documents=arguments.documents)
    record("quantization", arguments.part, figures)
    for row in figures["rows"]:
        score = row["score"]
        told = [f"{row['model']:8} {row['measure']:16} {row['precision']:11} {score['value']:.4f}"]
        for key in ("change", "more_than_before"):
            if key in row:
                found = row[key]
                interval = f"{found['value']:+.4f} [{found['low']:+.4f}, {found['high']:+.4f}]"
                told.append(f"{key} {interval}{'*' if found['differs'] else ''}")
        print(*told, sep="  ")
    print(figures["models"])


if __name__ == "__main__":
    main()

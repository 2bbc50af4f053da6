"""What the shipped base, a Mixtral, and what was adapted from each lose at 16, 8 and 4 bits.

    python benchmarks/quantization.py PART --base FOLDER [--adapted FOLDER] --corpus FOLDER [--documents N]

PART is the name of the result; `--base` a Hugging Face folder or the name of a shipped base; `--corpus` a corpus
artifact of Polish with English replay. The tasks are the starter tasks. Results: benchmarks/results/quantization.json.
"""

import argparse
from pathlib import Path
from tempfile import TemporaryDirectory

from record import record

from lingraft.analyze.quantization import quantization
from lingraft.analyze.subject import Subject, spread
from lingraft.corpus import find
from lingraft.evaluate.evaluate import held_out
from lingraft.evaluate.suites.source import Source
from lingraft.evaluate.suites.starter import starter
from lingraft.evaluate.suites.words import native
from lingraft.stages.base import SHIPPED

DOCUMENT_BYTES, CONTEXT_TOKENS, SEED = 2048, 512, 17


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
    held = held_out(arguments.corpus, {"target": find("pl"), "replay": find("en")}, arguments.documents)
    texts = [spread(text, arguments.documents, most_bytes=DOCUMENT_BYTES) for text in held]
    polish = find("pl")
    tasks = [task for task in starter(Source(polish), native(polish, {})) if task.kind == "choice"]
    with TemporaryDirectory() as folder:
        subject = Subject(models, texts, Path(folder), CONTEXT_TOKENS, SEED, tasks=tasks)
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

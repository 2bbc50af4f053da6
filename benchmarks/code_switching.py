"""How well foreign words in generated text are found: the labelled sentences of benchmarks/labelled/code_switching.

    python benchmarks/code_switching.py --data FOLDER [--part dev test] [--seeds 1 2 3] [--show]

The models of the languages are learned from the texts under --data; every seed draws other texts. A sentence counts as
found when any foreign word is found in it; words are compared as they stand. Intervals are over sentences (2000
resamples, 95 %). Results: benchmarks/results/code_switching.json.
"""

import argparse
import gzip
import json
import random
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from corpora import take
from record import record

from lingraft.corpus.language import find
from lingraft.evaluate import prose
from lingraft.evaluate.output_language import describe
from lingraft.evaluate.word_language import WordLanguages

LABELLED = Path(__file__).parent / "labelled" / "code_switching"
LANGUAGES = ("pl", "tr", "hi")
FILES = {
    "pl": ["mono/pol/exams_wiki.sentences.txt.gz", "mono/pol/novels.jsonl.gz"],
    "tr": ["mono/tur/exams_wiki.sentences.txt.gz"],
    "hi": [
        f"mono/hin/{name}.txt.gz" for name in ("bbc_headlines", "bhaav_stories", "discourse_stories", "product_reviews")
    ],
    "en": ["mono/eng/c4_demo.txt.gz", "mono/eng/wiki_demo.txt.gz", "mono/eng/novels.jsonl.gz"],
}
MEGABYTES = (0.2, 2, 20)
"""Of text of either language, from each of its files in equal parts as far as they go."""
RESAMPLES = 2000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--labelled", type=Path, default=LABELLED)
    parser.add_argument("--part", nargs="+", choices=("dev", "test"), default=["dev", "test"])
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--megabytes", type=float, nargs="+", default=MEGABYTES)
    parser.add_argument("--show", action="store_true", help="Print every mistake in dev.")
    parser.add_argument("--dry", action="store_true", help="Record nothing.")
    arguments = parser.parse_args()
    for megabytes in arguments.megabytes:
        rows = [row for seed in arguments.seeds for row in measure(arguments, megabytes, seed)]
        for part in arguments.part:
            found = [row for row in rows if row["part"] == part]
            print(part, megabytes, "MB", json.dumps(summary(found)["sentences"]["together"]))
            if not arguments.dry:
                record("code_switching", f"{part}, {megabytes:g} MB of text", summary(found))


def measure(arguments: argparse.Namespace, megabytes: float, seed: int) -> list[dict[str, Any]]:
    """Each labelled sentence with what was found in it."""
    rows = []
    texts = {tag: draw(arguments.data, tag, megabytes, seed) for tag in (*LANGUAGES, "en")}
    for tag in LANGUAGES:
        language = find(tag)
        began = time.perf_counter()
        words = WordLanguages.learn(texts[tag], texts["en"], language, find("en"))
        seconds = time.perf_counter() - began
        for line in (arguments.labelled / f"{tag}.jsonl").read_text(encoding="utf-8").splitlines():
            item = json.loads(line)
            if item["part"] not in arguments.part:
                continue
            written = describe([item["text"]], [item["prompt"]], words, language)[0]
            wanted = [word.text for label in item["switched"] for word in prose.words(label, language)]
            found = [word for passage in written.switched for word in passage]
            rows.append(item | {"language": tag, "seed": seed, "wanted": wanted, "found": found, "learning": seconds})
            if arguments.show and item["part"] == "dev" and Counter(wanted) != Counter(found):
                print(tag, item["kind"], "|", item["prompt"], "|", item["text"], "|", wanted, found)
    return rows


def draw(data: Path, language: str, megabytes: float, seed: int) -> list[str]:
    """Texts of all files of the language, mixed."""
    drawn = []
    for name in FILES[language]:
        with gzip.open(data / name, "rt", encoding="utf-8") as lines:
            documents = [json.loads(line)["text"] if ".jsonl" in name else line for line in lines]
        random.Random(seed).shuffle(documents)
        drawn += take(documents, megabytes / len(FILES[language]))
    random.Random(seed).shuffle(drawn)
    return drawn


def summary(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Precision and recall of sentences and of words, by language and together; what was missed, by kind."""
    groups = {"together": rows} | {tag: [row for row in rows if row["language"] == tag] for tag in LANGUAGES}
    wrong = Counter(row["kind"] for row in rows if bool(row["wanted"]) != bool(row["found"]))
    return {
        "sentences": {name: scores(group, sentence) for name, group in groups.items()},
        "words": {name: scores(group, word) for name, group in groups.items()},
        "wrong by kind": {kind: [wrong[kind], sum(row["kind"] == kind for row in rows)] for kind in sorted(wrong)},
        "seconds of learning": {tag: round(np.mean([row["learning"] for row in groups[tag]]), 1) for tag in LANGUAGES},
    }


def sentence(row: dict[str, Any]) -> tuple[int, int, int]:
    """Found rightly, found wrongly, missed."""
    wanted, found = bool(row["wanted"]), bool(row["found"])
    return int(wanted and found), int(found and not wanted), int(wanted and not found)


def word(row: dict[str, Any]) -> tuple[int, int, int]:
    """Found rightly, found wrongly, missed."""
    wanted, found = Counter(row["wanted"]), Counter(row["found"])
    return (wanted & found).total(), (found - wanted).total(), (wanted - found).total()


def scores(rows: list[dict[str, Any]], count: Any) -> dict[str, Any]:
    """Resampled by labelled sentence: what the seeds make of one stays together."""
    ids = sorted({(row["language"], row["id"]) for row in rows})
    sums = np.zeros((len(ids), 3))
    for row in rows:
        sums[ids.index((row["language"], row["id"]))] += count(row)
    draws = np.random.default_rng(0).integers(0, len(ids), (RESAMPLES, len(ids)))
    right, false, missed = sums[draws].sum(axis=1).T
    total = sums.sum(axis=0)
    return {
        "items": len(ids),
        "precision": interval(total[0] / (total[0] + total[1]), right / (right + false)),
        "recall": interval(total[0] / (total[0] + total[2]), right / (right + missed)),
    }


def interval(value: float, resampled: np.ndarray) -> dict[str, float]:
    low, high = np.nanquantile(resampled, [0.025, 0.975])
    return {"value": round(float(value), 4), "low": round(float(low), 4), "high": round(float(high), 4)}


if __name__ == "__main__":
    main()

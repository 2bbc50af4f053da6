"""How well foreign words in generated text are found, on the texts of benchmarks/labelled/code_switching.

    python benchmarks/code_switching.py --data FOLDER [--part dev test] [--seeds 1 2 3] [--megabytes 0.2 2 20] [--show]

The models of the languages are learned from the texts under --data; every seed draws others. `sentences`: is any word
found in a text that has one; `words`: each word. Intervals are over labelled texts (95 %, 2000 resamples).

`native`: the share of sentences of professional translators (NTREX) and of volunteers (Tatoeba) in which something
foreign is found; those of NTREX are news with English names and terms, so not all of it is wrong. `languages`: the
share of sentences in other languages that are taken for the target's. Results: benchmarks/results/code_switching.json.
"""

import argparse
import gzip
import json
import random
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from corpora import take
from record import record

from lingraft.corpus.language import find
from lingraft.evaluate import metrics, prose, statistics
from lingraft.evaluate.output_language import SHARES, Written, describe
from lingraft.evaluate.word_language import WordLanguages

LABELLED = Path(__file__).parent / "labelled" / "code_switching"
LANGUAGES = {"pl": "pol", "tr": "tur", "hi": "hin"}
OTHERS = {**LANGUAGES, "hu": "hun"}
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
NATIVE_SENTENCES = 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--part", nargs="+", choices=("dev", "test"), default=["dev", "test"])
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--megabytes", type=float, nargs="+", default=MEGABYTES)
    parser.add_argument("--show", action="store_true", help="Print every mistake in dev.")
    parser.add_argument("--dry", action="store_true", help="Print, and record nothing.")
    arguments = parser.parse_args()
    for megabytes in arguments.megabytes:
        rows: list[dict[str, Any]] = []
        learned: list[dict[str, Any]] = []
        for seed in arguments.seeds:
            for tag, (words, figures) in learn(arguments.data, megabytes, seed).items():
                found = judge(tag, words, arguments.part)
                rows += found
                unlabelled = {"native": native(arguments.data, tag, words), "languages": {}}
                if find(tag).script == "Latn":
                    unlabelled["languages"] = languages(arguments.data, tag, words)
                learned.append({"language": tag, "seed": seed, **figures, **unlabelled})
                for row in found if arguments.show else ():
                    if row["part"] == "dev" and Counter(row["wanted"]) != Counter(row["found"]):
                        print(tag, row["kind"], "|", row["text"], "|", row["wanted"], row["found"])
        parts = {part: summary([row for row in rows if row["part"] == part]) for part in arguments.part}
        for part, figures in parts.items():
            print(part, f"{megabytes:g} MB", json.dumps(figures["sentences"]))
        if not arguments.dry:
            record("code_switching", f"{megabytes:g} MB of text", {**parts, "learned": learned})


def learn(data: Path, megabytes: float, seed: int) -> dict[str, tuple[WordLanguages, dict[str, Any]]]:
    """Of each language against English: the models, and what they say of themselves."""
    english = draw(data, "en", megabytes, seed)
    learned = {}
    for tag in LANGUAGES:
        texts = draw(data, tag, megabytes, seed)
        began = time.process_time()
        words = WordLanguages.learn(texts, english, find(tag), find("en"))
        seconds = time.process_time() - began
        reliability = {**asdict(words.reliability), "enough": words.reliability.enough}
        learned[tag] = words, {"cpu_seconds": round(seconds, 1), "reliability": reliability}
    return learned


def judge(tag: str, words: WordLanguages, parts: list[str]) -> list[dict[str, Any]]:
    """Each labelled text with what was found in it."""
    rows = []
    for line in (LABELLED / f"{tag}.jsonl").read_text(encoding="utf-8").splitlines():
        item = json.loads(line)
        if item["part"] in parts:
            written = describe([item["text"]], [item["prompt"]], words)[0]
            wanted = [word.text for label in item["switched"] for word in prose.words(label, find(tag))]
            found = [word for passage in written.switched for word in passage]
            rows.append(item | {"language": tag, "wanted": wanted, "found": found})
    return rows


def native(data: Path, tag: str, words: WordLanguages) -> dict[str, float]:
    """The share of sentences in which something foreign is found."""
    ntrex = next((data / "parallel" / "ntrex").glob(f"{LANGUAGES[tag]}.txt*"))
    texts = {"ntrex": lines(ntrex)[:NATIVE_SENTENCES], "tatoeba": tatoeba(data, tag)}
    return {name: share("switched", describe(found, [""] * len(found), words)) for name, found in texts.items()}


def languages(data: Path, tag: str, words: WordLanguages) -> dict[str, float]:
    """The share of the sentences of each language that are taken for the target's."""
    texts = {other: tatoeba(data, other) for other in OTHERS if find(other).script == "Latn"}
    texts["en"] = [line.split("\t")[0] for line in lines(data / "parallel/tatoeba/eng-hun.tsv.gz")][:NATIVE_SENTENCES]
    return {name: share("in_target", describe(found, [""] * len(found), words)) for name, found in texts.items()}


def tatoeba(data: Path, tag: str) -> list[str]:
    pairs = lines(data / f"parallel/tatoeba/eng-{OTHERS[tag]}.tsv.gz")
    return [pair.split("\t")[1] for pair in random.Random(1).sample(pairs, NATIVE_SENTENCES)]


def lines(path: Path) -> list[str]:
    with gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open(encoding="utf-8") as file:
        return [line.strip() for line in file if line.strip()]


def share(name: str, written: list[Written]) -> float:
    above, below = (sum(counts) for counts in zip(*map(SHARES[name], written), strict=True))
    return round(above / below, 4)


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
    """Precision and recall of texts and of words, by language and together; how many were judged wrongly, by kind."""
    groups = {"together": rows} | {tag: [row for row in rows if row["language"] == tag] for tag in LANGUAGES}
    kinds = Counter(row["kind"] for row in rows)
    wrong = Counter(row["kind"] for row in rows if bool(row["wanted"]) != bool(row["found"]))
    return {
        "sentences": {name: scores(group, of_text) for name, group in groups.items()},
        "words": {name: scores(group, of_words) for name, group in groups.items()},
        "wrong by kind": {kind: f"{wrong[kind]} of {kinds[kind]}" for kind in sorted(wrong)},
    }


def of_text(row: dict[str, Any]) -> tuple[int, int, int]:
    """Found and wanted, found, wanted."""
    wanted, found = bool(row["wanted"]), bool(row["found"])
    return int(wanted and found), int(found), int(wanted)


def of_words(row: dict[str, Any]) -> tuple[int, int, int]:
    """Found and wanted, found, wanted."""
    wanted, found = Counter(row["wanted"]), Counter(row["found"])
    return (wanted & found).total(), found.total(), wanted.total()


def scores(rows: list[dict[str, Any]], count: Callable[[dict[str, Any]], tuple[int, int, int]]) -> dict[str, Any]:
    """What the seeds make of one labelled text stays together when texts are resampled."""
    texts = [f"{row['language']} {row['id']}" for row in rows]
    counts = [count(row) for row in rows]
    of = {"precision": [(both, found) for both, found, _ in counts], "recall": [(both, w) for both, _, w in counts]}
    return {"texts": len(set(texts))} | {
        name: rounded(statistics.estimate(pairs, metrics.ratio, seed=0, groups=texts)) for name, pairs in of.items()
    }


def rounded(interval: statistics.Interval) -> dict[str, float]:
    return {name: round(value, 4) for name, value in asdict(interval).items()}


if __name__ == "__main__":
    main()

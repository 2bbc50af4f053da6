"""The real texts that benchmarks measure with: one string per document, in a fixed shuffled order."""

import gzip
import json
import random
from pathlib import Path

FILES = {
    "pl": ["mono/pol/novels.jsonl.gz"],
    "hu": ["mono/hun/novels.jsonl.gz"],
    "tr": ["mono/tur/exams_wiki.sentences.txt.gz"],
    "hi": [
        f"mono/hin/{name}.txt.gz" for name in ("bbc_headlines", "bhaav_stories", "discourse_stories", "product_reviews")
    ],
    "en": ["mono/eng/novels.jsonl.gz"],
}


def texts(data: Path, language: str) -> list[str]:
    """Every document (a chapter, or a sentence) of the language, shuffled."""
    found: list[str] = []
    for name in FILES[language]:
        with gzip.open(data / name, "rt", encoding="utf-8") as lines:
            stripped = (line.strip() for line in lines)
            found += (json.loads(line)["text"] if ".jsonl" in name else line for line in stripped if line)
    random.Random(17).shuffle(found)
    return found


def take(documents: list[str], megabytes: float) -> list[str]:
    """The first documents, until there are so many megabytes; all when there are fewer."""
    taken, size = [], 0
    for document in documents:
        if size >= megabytes * 1e6:
            break
        taken.append(document)
        size += len(document.encode())
    return taken

"""What the filters of translations find, and what they take away that is right; what is protected in real answers.

LINGRAFT_DATA names the folder with the real data; python benchmarks/translation_filters.py writes
results/translation_filters.json.

`ntrex`: lines of NTREX-128, English as the text and Polish as its translation by a person, two lines a record; in a
quarter of the records the second line is damaged in one of five ways. The translator is a table of the lines, and so is
the one back. The words of both languages are learned from 600 parts of novels, 1840 to 1920.

`protected`: every text of the instruction and preference sets is split and joined again.
"""

import gzip
import json
import os
import random
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from record import record

from lingraft.ask.message import ASSISTANT, USER, Message
from lingraft.ask.respondent import Reply
from lingraft.conversations.languages import Expected
from lingraft.conversations.record import Conversation
from lingraft.conversations.translate.protect import join, split
from lingraft.conversations.translate.translate import Bounds, translate
from lingraft.core.progress import SILENT, Progress
from lingraft.corpus import find

SEED = 17
DAMAGED = 0.25
PARTS = 700
"""Of the novels: the last hundred are for the trial."""


class Table:
    """Translates by a table of lines."""

    name = "table"

    def __init__(self, lines: Mapping[str, str]) -> None:
        self.lines = lines

    def translate(self, texts: Sequence[str], *, progress: Progress = SILENT) -> list[Reply]:
        return [Reply(self.lines[text]) for text in texts]


def lines(path: Path) -> list[str]:
    with gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open(encoding="utf-8") as file:
        return file.read().splitlines()


def novels(data: Path, code: str) -> list[str]:
    with gzip.open(data / "mono" / code / "novels.jsonl.gz", "rt", encoding="utf-8") as file:
        return [json.loads(line)["text"][:4000] for line in islice(file, PARTS)]


def ntrex(data: Path) -> dict[str, Any]:
    folder = data / "parallel" / "ntrex"
    texts, right, hungarian = (lines(folder / name) for name in ("eng.txt", "pol.txt", "hun.txt.gz"))
    # A line that is one piece of prose without anything protected can be looked up as it is.
    whole = [at for at, text in enumerate(texts) if [(p.text, p.parts) for p in split(text)] == [(text, ())]]
    damages: dict[str, Callable[[int], str]] = {
        "not translated": lambda at: texts[at],
        "in Hungarian": lambda at: hungarian[at],
        "a third of it": lambda at: right[at][: len(right[at]) // 3],
        "twice": lambda at: f"{right[at]} {right[at]}",
        "of another line": lambda at: right[whole[(whole.index(at) + 100) % len(whole)]],
    }
    draw = random.Random(SEED)
    there = {texts[at]: right[at] for at in whole}
    records, kinds = [], []
    for number, (first, second) in enumerate(zip(whole[::2], whole[1::2], strict=False)):
        kind = draw.choice(list(damages)) if draw.random() < DAMAGED else "right"
        if kind != "right":
            there[texts[second]] = damages[kind](second)
        turns = (Message(USER, texts[first]), Message(ASSISTANT, texts[second]))
        records.append(Conversation(str(number), turns))
        kinds.append(kind)
    # The perfect translator back: what is no line of the Polish, or part of one, comes back as it is.
    polish = dict(zip(right, texts, strict=True))
    back = {new: polish.get(new, new) for new in there.values()}
    train, held_out = slice(0, 600), slice(600, PARTS)
    read = [novels(data, code) for code in ("pol", "eng")]
    expected = Expected.learn(
        find("pl"), find("en"), tuple(found[train] for found in read), tuple(found[held_out] for found in read)
    )
    result: dict[str, Any] = {"records": len(records), "judged_by": expected.figures()}
    for name, translator in (("without_back", None), ("with_back", Table(back))):
        began = time.perf_counter()
        outcomes, figures = translate(records, Table(there), expected, back=translator, bounds=Bounds(max_bad_share=1))
        found: dict[str, Counter[str]] = defaultdict(Counter)
        for kind, outcome in zip(kinds, outcomes, strict=True):
            found[kind][outcome.why or "kept"] += 1
        seconds = round(time.perf_counter() - began, 2)
        result[name] = {"outcomes": found, "length_ratio": figures["length_ratio"], "seconds": seconds}
    return result


def strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for part in value.values() if isinstance(value, dict) else value:
            yield from strings(part)


def protected(data: Path) -> dict[str, Any]:
    files = sorted(path for name in ("instruct", "prefs") for path in (data / name).glob("*.json*"))
    texts = []
    for path in files:
        found = lines(path)
        rows = [json.loads(line) for line in found] if ".jsonl" in path.name else json.loads("\n".join(found))
        texts += strings(rows)
    began = time.perf_counter()
    counts = Counter(texts=0, characters=0, lines=0, prose_characters=0, parts=0, same_again=0)
    slowest = 0.0
    for text in texts:
        started = time.perf_counter()
        pieces = split(text)
        slowest = max(slowest, time.perf_counter() - started)
        prose = [piece for piece in pieces if piece.prose]
        counts.update(texts=1, characters=len(text), lines=len(prose), parts=sum(len(p.parts) for p in prose))
        counts.update(prose_characters=sum(len(piece.text) for piece in prose))
        counts.update(same_again=join(pieces, [piece.text for piece in prose]) == text)
    return {**counts, "seconds": round(time.perf_counter() - began, 1), "slowest_seconds": round(slowest, 3)}


def main() -> None:
    data = Path(os.environ["LINGRAFT_DATA"])
    record("translation_filters", "ntrex", ntrex(data))
    record("translation_filters", "protected", protected(data))


if __name__ == "__main__":
    main()

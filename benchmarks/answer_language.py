"""How well the language of answers is told with little text to learn from.

LINGRAFT_DATA names the folder with the real data; python benchmarks/answer_language.py writes
results/answer_language.json. The words of Polish and English are learned from every second text of the starter. Judged
are the starter's own conversations and pairs, whose languages are known, and 999 English answers of LLaMA-Factory's
Alpaca sample, some of which quote or translate into other languages.
"""

import json
import os
import time
from collections import Counter
from pathlib import Path

from record import record

import lingraft
from lingraft.conversations.languages import Expected
from lingraft.conversations.read import read
from lingraft.conversations.record import Conversation
from lingraft.core.outside import RecordSource
from lingraft.corpus import find
from lingraft.corpus.read import texts_of

STARTER = Path(lingraft.__file__).parent / "starter"
ALPACA = RecordSource(path="instruct/llamafactory_alpaca_en_demo.json.gz")
TAGS = ("pl", "en")


def main() -> None:
    texts = {tag: [t for f in sorted((STARTER / "texts" / tag).glob("*.jsonl")) for t in texts_of(f)] for tag in TAGS}
    alpaca = [
        entry.record.answers[0]
        for entry in read(ALPACA, Path(os.environ["LINGRAFT_DATA"]), Conversation, max_record_bytes=10**6)
        if entry.record is not None
    ]
    result = {}
    for own, other in (TAGS, TAGS[::-1]):
        started = time.perf_counter()
        halves = ((texts[own][part::2], texts[other][part::2]) for part in (0, 1))
        expected = Expected.learn(find(own), find(other), *halves)
        learned = time.perf_counter()
        pairs = [json.loads(line) for line in (STARTER / "preferences" / f"{own}.jsonl").open(encoding="utf-8")]
        talks = [json.loads(line) for line in (STARTER / "instructions" / f"{own}.jsonl").open(encoding="utf-8")]
        wrong = {True: [pair["rejected"] for pair in pairs if pair["why"] == "wrong_language"]}
        wrong[False] = [pair["chosen"] for pair in pairs]
        wrong[False] += [pair["rejected"] for pair in pairs if pair["why"] != "wrong_language"]
        wrong[False] += [m["content"] for talk in talks for m in talk["messages"] if m["role"] == "assistant"]
        judging = time.perf_counter()
        judged = [expected.judge([answer]) for answer in alpaca]
        result[own] = {
            "text_bytes": sum(len(text.encode()) for text in texts[own][::2]),
            "trial": expected.figures()["trial"],
            "starter_right": Counter(expected.judge([answer]) for answer in wrong[False]),
            "starter_wrong": Counter(expected.judge([answer]) for answer in wrong[True]),
            "alpaca_english": Counter(judged),
            "seconds_to_learn": round(learned - started, 2),
            "alpaca_answers_per_second": round(len(alpaca) / (time.perf_counter() - judging)),
        }
    record("answer_language", "starter", result)


if __name__ == "__main__":
    main()

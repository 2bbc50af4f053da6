"""Tokenizer extension, measured on real tokenizers and real text: proofs, compression, guard, speed.

    python benchmarks/extension.py --data FOLDER --tokenizers FOLDER [--peer FOLDER]
        [--only proofs append guard encoding speed]

--tokenizers holds a folder for each tokenizer; --peer is a checkout of taidopurason/tokenizer-extension, which is run
beside ours for `speed` (it needs `pip install heapdict`). Results: benchmarks/results/extension.json.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

from corpora import take, texts
from record import record

from lingraft.tokenizer import family, tiktoken
from lingraft.tokenizer.extension import extend
from lingraft.tokenizer.fertility import measure
from lingraft.tokenizer.proofs import prove, prove_guard

LANGUAGES = ("pl", "hu", "tr", "hi")
NEW_TOKENS = 8000
TRAINING_MB, HELD_OUT_MB, GUARD_MB = 12, 0.5, 10
GUARD_SIZES_MB = (0.3, 2, 10, 60)
RUNS = 5
RANK_FILES = {
    "llama4": ("tokenizer.model", "o200k", 0),
    "o200k": ("o200k_base.tiktoken", "o200k", 0),
    "tekken": ("tekken.tiktoken", "tekken", 1000),
}
"""With the name of the split pattern and the id of rank 0."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--tokenizers", type=Path, required=True)
    parser.add_argument("--peer", type=Path)
    parser.add_argument("--only", nargs="+", choices=sorted(PARTS), default=list(PARTS))
    arguments = parser.parse_args()
    os.environ["TOKENIZERS_PARALLELISM"] = "true"
    for part in arguments.only:
        record("extension", part, PARTS[part](arguments))


def proofs(arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """Every tokenizer and language: the proofs with the replay text guarded, on text that was not learned from."""
    rows = []
    for name, base in every_tokenizer(arguments.tokenizers):
        english = texts(arguments.data, "en")
        guard, unguarded = take(english, GUARD_MB), take(english[::-1], 1)
        for language in LANGUAGES:
            held_out, training = split(arguments.data, language)
            with tempfile.TemporaryDirectory() as folder:
                figures = extend(base, training, Path(folder), guard=guard, new_tokens=NEW_TOKENS)
                proven = prove(base, Path(folder), held_out, unguarded, demand=False)
                kept = prove_guard(base, Path(folder), guard)
                gain = [measure(family.open(place), held_out)["bytes_per_token"] for place in (base, Path(folder))]
            rows.append(
                {
                    "tokenizer": name,
                    "language": language,
                    "new_tokens": figures["new_tokens"],
                    "bytes_per_token": gain,
                    "proofs": proven,
                    "guard": kept,
                    "text": figures["text"],
                }
            )
            print(name, language, figures["new_tokens"], gain, kept, flush=True)
    return rows


def append(arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """Bytes per token on held-out text at an equal number of new tokens: continued BPE, append, append repaired."""
    contenders: dict[str, dict[str, Any]] = {
        "continued_bpe": {"method": "continued_bpe"},
        "continued_bpe, base's split pattern": {"method": "continued_bpe", "options": {"join_marks": False}},
        "append": {"method": "append"},
        "append, repaired": {"method": "append", "options": {"repair": True}},
    }
    rows = []
    for name, base in every_tokenizer(arguments.tokenizers, ("llama3", "qwen", "gpt2", "llama2", "mistral_v3")):
        for language in LANGUAGES:
            held_out, training = split(arguments.data, language)
            old = measure(family.open(base), held_out)["bytes_per_token"]
            row: dict[str, Any] = {"tokenizer": name, "language": language, "base": old}
            for contender, how in contenders.items():
                with tempfile.TemporaryDirectory() as folder:
                    figures = extend(base, training, Path(folder), new_tokens=NEW_TOKENS, **how)
                    row[contender] = {
                        "bytes_per_token": measure(family.open(Path(folder)), held_out)["bytes_per_token"],
                        "new_tokens": figures["new_tokens"],
                        "unreachable": figures["text"].get("unreachable", 0),
                    }
            row["gain_over_append"] = row["continued_bpe"]["bytes_per_token"] / row["append"]["bytes_per_token"] - 1
            rows.append(row)
            print(row, flush=True)
    return rows


def guard(arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """What the guard costs of the gain in bytes per token, by how much English text is guarded."""
    english = texts(arguments.data, "en")
    rows = []
    for name, base in every_tokenizer(arguments.tokenizers, ("llama3", "qwen", "gpt2", "llama2")):
        for language in LANGUAGES:
            held_out, training = split(arguments.data, language)
            old = measure(family.open(base), held_out)["bytes_per_token"]
            free = bytes_per_token(base, training, held_out, [])
            guarded = {size: bytes_per_token(base, training, held_out, take(english, size)) for size in GUARD_SIZES_MB}
            price = {size: (free - kept) / (free - old) for size, kept in guarded.items()}
            rows.append(
                {
                    "tokenizer": name,
                    "language": language,
                    "base": old,
                    "unguarded": free,
                    "guarded_by_megabytes": guarded,
                    "price_by_megabytes": price,
                }
            )
            print(name, language, old, free, price, flush=True)
    return rows


def bytes_per_token(base: Path, training: list[str], held_out: list[str], guarded: list[str]) -> float:
    """Of the extended tokenizer on held-out text."""
    with tempfile.TemporaryDirectory() as folder:
        extend(base, training, Path(folder), guard=guarded, new_tokens=NEW_TOKENS)
        return measure(family.open(Path(folder)), held_out)["bytes_per_token"]


def encoding(arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """Megabytes per second of the extended tokenizer against the old one, in turn, target and English text."""
    rows = []
    english = take(texts(arguments.data, "en"), 4)
    for name, base in every_tokenizer(arguments.tokenizers, ("llama3", "qwen", "gpt2", "llama2", "mistral_v3")):
        for language in ("hu", "hi"):
            held_out, training = split(arguments.data, language, 4)
            with tempfile.TemporaryDirectory() as folder:
                extend(base, training, Path(folder), new_tokens=NEW_TOKENS)
                old, new = (family.open(place).backend_tokenizer for place in (base, Path(folder)))
            for stream, found in (("target", held_out), ("replay", english)):
                seconds: dict[str, list[float]] = {"old": [], "new": []}
                for _ in range(RUNS + 1):
                    for which, backend in (("old", old), ("new", new)):
                        began = time.perf_counter()
                        backend.encode_batch_fast(found, add_special_tokens=False)
                        seconds[which].append(time.perf_counter() - began)
                size = sum(len(text.encode()) for text in found) / 1e6
                speed = {which: size / median(times[1:]) for which, times in seconds.items()}  # the first one warms up
                rows.append(
                    {
                        "tokenizer": name,
                        "language": language,
                        "stream": stream,
                        "megabytes_per_second": speed,
                        "ratio": speed["new"] / speed["old"],
                    }
                )
                print(rows[-1], flush=True)
    return rows


def speed(arguments: argparse.Namespace) -> dict[str, Any]:
    """25,000 new tokens for Llama-3 as whole processes: ours and the peer in turn, and ours on four times the text.

    The large text is all languages together: there is no more of one.
    """
    base = arguments.tokenizers / "llama3"
    contenders = {"ours": ["ours", "hu"], "ours, all texts": ["ours", ",".join(("hu", "pl", "en", "tr", "hi"))]}
    if arguments.peer:
        contenders["peer"] = [str(arguments.peer), "hu"]
    measured: dict[str, list[dict[str, float]]] = {name: [] for name in contenders}
    for _ in range(RUNS):
        for name, (which, languages) in contenders.items():
            command = [sys.executable, __file__, "--one", which, languages, str(arguments.data), str(base)]
            began = time.perf_counter()
            output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
            seconds = time.perf_counter() - began
            measured[name].append({"seconds": seconds, **json.loads(output.splitlines()[-1])})
            print(name, measured[name][-1], flush=True)
    medians = {
        name: {key: median(run[key] for run in runs) for key in ("seconds", "megabytes", "peak_gigabytes")}
        for name, runs in measured.items()
    }
    per_megabyte = {name: found["seconds"] / found["megabytes"] for name, found in medians.items()}
    return {
        "new_tokens": 25_000,
        "runs": measured,
        "medians": medians,
        "seconds_per_megabyte": per_megabyte,
        "growth": per_megabyte["ours, all texts"] / per_megabyte["ours"],
        "ratio_to_peer": medians["ours"]["seconds"] / medians["peer"]["seconds"] if arguments.peer else None,
    }


def one(which: str, languages: str, data: Path, base: Path) -> None:
    """One whole process of `speed`: read the text, learn, and for ours write the tokenizer too."""
    found = [text for language in languages.split(",") for text in texts(data, language)]
    size = sum(len(text.encode()) for text in found)
    if which == "ours":
        with tempfile.TemporaryDirectory() as folder:
            learned = extend(base, found, Path(folder), new_tokens=25_000)["new_tokens"]
    else:
        sys.path.insert(0, which)
        from tokenizer_extension.train_vocab_extension import train_vocab_extension
        from transformers import PreTrainedTokenizerFast

        tokenizer = PreTrainedTokenizerFast(tokenizer_file=str(base / "tokenizer.json"))
        result = train_vocab_extension(tokenizer=tokenizer, corpus=found, extension_size=25_000, is_sentencepiece=False)
        learned = len(result["vocab"])
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps({"megabytes": size / 1e6, "new_tokens": learned, "peak_gigabytes": peak / 1e9}))


def split(data: Path, language: str, held_out_mb: float = HELD_OUT_MB) -> tuple[list[str], list[str]]:
    """Held-out and training text."""
    found = texts(data, language)
    held_out = take(found, held_out_mb)
    return held_out, take(found[len(held_out) :], TRAINING_MB)


def every_tokenizer(folder: Path, names: tuple[str, ...] = ()) -> Iterator[tuple[str, Path]]:
    """Each tokenizer with a tokenizer.json, and those published as a rank file alone; or those named."""
    for path in sorted(folder.glob("*/tokenizer.json")):
        if not names or path.parent.name in names:
            yield path.parent.name, path.parent
    for name, (file, pattern, first_id) in RANK_FILES.items():
        if not names or name in names:
            with tempfile.TemporaryDirectory() as made:
                found = tiktoken.read(folder / name / file, pattern, first_id=first_id)
                end = {"<|endoftext|>": 1 + max(found["model"]["vocab"].values())}
                found = tiktoken.read(folder / name / file, pattern, end, first_id=first_id)
                Path(made, "tokenizer.json").write_text(json.dumps(found), encoding="utf-8")
                yield name, Path(made)


PARTS = {"proofs": proofs, "append": append, "guard": guard, "encoding": encoding, "speed": speed}

if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        one(*sys.argv[2:4], *map(Path, sys.argv[4:6]))
    else:
        main()

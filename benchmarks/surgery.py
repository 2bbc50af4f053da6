"""Grafting 25,000 rows onto a Llama-2-7B-shaped checkpoint, beside a plain copy and transformers.

    python benchmarks/surgery.py --folder FOLDER [--rounds 5] [--peer-rounds 1] [--small]

Makes the checkpoint in FOLDER (random bfloat16 weights, 13.5 GB in two shards as the published one) and has each
contender write its result there in turn, in a process of its own: `cp`, lingraft, and transformers' loading,
resize_token_embeddings and save_pretrained; the last takes minutes and takes part in the first rounds alone. Before
each, the checkpoint's pages are written back and dropped from the page cache (fsync, posix_fadvise DONTNEED), so that
all read from the disk; a time ends when every byte of the result is on the disk (fsync). Peak memory is the largest
resident set of the process, mapped files included.
All that was written is deleted in the end. Results: benchmarks/results/surgery.json, none with --small.
"""

import argparse
import json
import os
import shutil
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from itertools import islice, product
from pathlib import Path
from statistics import median
from typing import Any

import torch
from record import record
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from lingraft.graft import initialize

OLD, NEW, SEED = 32_000, 25_000, 17
SHAPE = {"hidden_size": 4096, "intermediate_size": 11008, "num_hidden_layers": 32, "num_attention_heads": 32}
SMALL = {"hidden_size": 2048, "intermediate_size": 5504, "num_hidden_layers": 4, "num_attention_heads": 16}
FIRST_SHARD = 9.98 / 13.48  # of the bytes
CONTENDERS = ("copy", "lingraft", "transformers")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--peer-rounds", type=int, default=1, help="the rounds in which transformers takes part")
    parser.add_argument("--small", action="store_true", help="a shape of 0.7 GB, to try the script")
    parser.add_argument("--only", choices=CONTENDERS, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    folder = arguments.folder.resolve()
    base, tokenizer, result = folder / "base", folder / "tokenizer", folder / "result"
    if arguments.only:
        WORK[arguments.only](base, tokenizer, result)
        return
    try:
        make_tokenizer(base, 0)
        make_tokenizer(tokenizer, NEW)
        make_checkpoint(base, SMALL if arguments.small else SHAPE)
        measured: dict[str, list[dict[str, float]]] = {name: [] for name in CONTENDERS}
        for number in range(arguments.rounds):
            for name in CONTENDERS if number < arguments.peer_rounds else CONTENDERS[:-1]:
                measured[name].append(measure(name, base, folder, result))
                print(name, measured[name][-1], flush=True)
        found = summarize(base, measured)
        print(json.dumps(found, indent=1))
        if not arguments.small:
            record("surgery", "llama-2-7b shape", found)
    finally:
        for made in (base, tokenizer, result):
            shutil.rmtree(made, ignore_errors=True)


def make_tokenizer(folder: Path, num_new: int) -> None:
    """A byte-level BPE of 32,000 tokens: all bytes, then pairs of them; each new token is a pair and a byte."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    special = ["<s>", "</s>"]
    pairs = list(islice(product(alphabet, alphabet), OLD - len(alphabet) - len(special)))
    triples = list(islice(((left + right, third) for third, (left, right) in product(alphabet, pairs)), num_new))
    tokens = [*special, *alphabet, *(left + right for left, right in (*pairs, *triples))]
    vocabulary = {token: index for index, token in enumerate(tokens)}
    tokenizer = Tokenizer(models.BPE(vocabulary, pairs + triples))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(special)
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>").save_pretrained(folder)


def make_checkpoint(folder: Path, shape: dict[str, int]) -> None:
    """Two shards of random weights, written a tensor at a time, and their index."""
    config = LlamaConfig(
        vocab_size=OLD, **shape, tie_word_embeddings=False, bos_token_id=0, eos_token_id=1, dtype="bfloat16"
    )
    config.architectures = ["LlamaForCausalLM"]
    config.save_pretrained(folder)
    with torch.device("meta"):
        shapes = {name: tensor.shape for name, tensor in LlamaForCausalLM(config).named_parameters()}
    total = 2 * sum(shape.numel() for shape in shapes.values())
    shards: tuple[dict[str, torch.Size], ...] = ({}, {})
    written = 0
    for name, shape in shapes.items():
        shards[written > FIRST_SHARD * total][name] = shape
        written += 2 * shape.numel()
    generator = torch.Generator().manual_seed(SEED)
    files = {}
    for number, tensors in enumerate(shards, start=1):
        name = f"model-{number:05}-of-00002.safetensors"
        files |= dict.fromkeys(tensors, name)
        header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
        end = 0
        for tensor, shape in tensors.items():
            header[tensor] = {"dtype": "BF16", "shape": list(shape), "data_offsets": [end, end + 2 * shape.numel()]}
            end += 2 * shape.numel()
        text = json.dumps(header).encode()
        with (folder / name).open("wb") as file:
            file.write(struct.pack("<Q", len(text)) + text)
            for shape in tensors.values():
                weights = 0.02 * torch.randn(shape.numel(), generator=generator)
                file.write(weights.bfloat16().view(torch.uint8).numpy().data)
    index = {"metadata": {"total_size": total}, "weight_map": files}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index), encoding="utf-8")


def measure(name: str, base: Path, folder: Path, result: Path) -> dict[str, float]:
    """Seconds until the result is on the disk, and the peak memory of the process in bytes."""
    shutil.rmtree(result, ignore_errors=True)
    for path in files(base):
        drop(path)
    command = [sys.executable, __file__, "--folder", folder, "--only", name]
    began = time.perf_counter()
    process = subprocess.Popen(["cp", "-r", base, result] if name == "copy" else command)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{name} ended with {process.returncode}")
    for path in files(result):
        with path.open("rb+") as file:
            os.fsync(file.fileno())
    seconds = time.perf_counter() - began
    peak = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    written = sum(path.stat().st_size for path in files(result))
    for path in files(result):
        drop(path)
    return {"seconds": seconds, "peak_memory_bytes": peak, "written_bytes": written}


def drop(path: Path) -> None:
    """Write a file's pages back and take them out of the page cache."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def files(folder: Path) -> Iterator[Path]:
    return (path for path in sorted(folder.rglob("*")) if path.is_file())


def graft(base: Path, tokenizer: Path, result: Path) -> None:
    initialize(base, tokenizer, result, strategy="subwords")


def resize(base: Path, tokenizer: Path, result: Path) -> None:
    """What transformers' documentation advises: load, resize (rows drawn around the mean), save."""
    new = AutoTokenizer.from_pretrained(tokenizer)
    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.bfloat16)
    model.resize_token_embeddings(len(new))
    model.save_pretrained(result)
    new.save_pretrained(result)


WORK = {"lingraft": graft, "transformers": resize}


def summarize(base: Path, measured: dict[str, list[dict[str, float]]]) -> dict[str, Any]:
    """Every measurement, medians, and the ratio to the copy of the same round."""
    ratios = {
        name: [one["seconds"] / copy["seconds"] for one, copy in zip(rounds, measured["copy"], strict=False)]
        for name, rounds in measured.items()
    }
    return {
        "checkpoint_bytes": sum(path.stat().st_size for path in base.glob("*.safetensors")),
        "old_rows": OLD,
        "new_rows": NEW,
        "strategy": "subwords",
        "rounds": measured,
        "median": {
            name: {key: median(one[key] for one in rounds) for key in rounds[0]} for name, rounds in measured.items()
        },
        "ratio_to_copy": {name: {"median": median(values), "rounds": values} for name, values in ratios.items()},
    }


if __name__ == "__main__":
    main()

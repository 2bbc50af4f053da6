"""What sharding saves and costs: peak memory and tokens a second of each process, and the time of a checkpoint.

    python benchmarks/sharding.py MODEL PACK CORPUS

Two processes on this machine's processors over gloo, with whole copies and sharded, on a Llama of random weights with
the tokenizer of MODEL (a folder of a grafted or base model), against one process at the same batch. The checkpoint is
measured beside the two files that the Trainer of transformers would write. Results: benchmarks/results/sharding.json.
"""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import torch
from record import most_resident_bytes, record
from safetensors.torch import save_file
from training_speed import SETTINGS
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, LlamaConfig

from lingraft.core.launch import SHARD
from lingraft.train import checkpoints
from lingraft.train.pretrain import pretrain

STEPS, BATCH_TOKENS, SEED = 4, 1024, 17
GEOMETRY = {"hidden_size": 512, "intermediate_size": 1536, "num_hidden_layers": 12, "num_attention_heads": 8}


def main(tokenizer: Path, packed: Path, corpus: Path) -> None:
    with TemporaryDirectory() as place:
        base = Path(place) / "base"
        parameters = make_base(tokenizer, base)
        found: dict[str, Any] = {"parameters": parameters, "batch_tokens": BATCH_TOKENS, "steps": STEPS}
        for name, num_processes, sharded in (
            ("one process", 1, False),
            ("two processes, whole copies", 2, False),
            ("two processes, sharded", 2, True),
        ):
            found[name] = launched(num_processes, sharded, base, packed, corpus, Path(place) / "out")
        found["checkpoint, one process"] = checkpoint_seconds(base, Path(place))
    one = found["one process"][0]["losses"]
    for name in ("two processes, whole copies", "two processes, sharded"):
        losses = found[name][0]["losses"]
        found[f"largest relative difference in loss, {name}"] = max(
            abs(a / b - 1) for a, b in zip(losses, one, strict=True)
        )
    record("sharding", "two processes on a processor", found)
    print(json.dumps(found, indent=1))


def make_base(tokenizer: Path, folder: Path) -> int:
    vocabulary = AutoConfig.from_pretrained(tokenizer).vocab_size
    AutoTokenizer.from_pretrained(tokenizer).save_pretrained(folder)
    torch.manual_seed(SEED)
    model = AutoModelForCausalLM.from_config(LlamaConfig(vocab_size=vocabulary, tie_word_embeddings=True, **GEOMETRY))
    model.save_pretrained(folder)
    return sum(p.numel() for p in model.parameters())


def launched(num: int, sharded: bool, base: Path, packed: Path, corpus: Path, out: Path) -> list[dict[str, Any]]:
    """What every process of a launch found."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    processes = []
    for rank in range(num):
        place = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": num, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
        values = {name: str(value) for name, value in ({SHARD: sharded} | (place if num > 1 else {})).items()}
        command = [sys.executable, __file__, "one", str(base), str(packed), str(corpus), str(out)]
        processes.append(subprocess.Popen(command, env={**os.environ, **values}, stdout=subprocess.PIPE, text=True))
    answers = [process.communicate()[0] for process in processes]
    shutil.rmtree(out)
    return [json.loads(answer.splitlines()[-1]) for answer in answers]


def one(base: Path, packed: Path, corpus: Path, out: Path) -> None:
    """One process of a launch; prints what it found."""
    settings = replace(
        SETTINGS,
        precision="fp32",
        batch_tokens=BATCH_TOKENS,
        micro_batch_sequences=1,
        budget_tokens=STEPS * BATCH_TOKENS,
    )
    before = most_resident_bytes()
    curve = pretrain(base, packed, corpus, out, settings)["curve"]
    seconds = median(after["seconds"] - earlier["seconds"] for earlier, after in pairwise(curve))
    print(
        json.dumps(
            {
                "peak_bytes_before": before,
                "peak_bytes": most_resident_bytes(),
                "tokens_per_second": BATCH_TOKENS / seconds,
                "losses": [point["loss"] for point in curve],
            }
        )
    )


def checkpoint_seconds(base: Path, place: Path) -> dict[str, float]:
    """Medians of three, in turn; ours makes sure that the disk has it, the other does not."""
    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, fused=True)
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter)
    optimizer.step()
    named = dict(model.named_parameters())
    seconds: dict[str, list[float]] = {"ours": [], "ours, read": [], "save_file and torch.save": []}
    for _ in range(3):
        began = time.perf_counter()
        checkpoints.save_training(place / "checkpoint", named, optimizer)
        seconds["ours"].append(time.perf_counter() - began)
        began = time.perf_counter()
        checkpoints.load_training(place / "checkpoint", named, torch.optim.AdamW(named.values(), fused=True))
        seconds["ours, read"].append(time.perf_counter() - began)
        began = time.perf_counter()
        save_file({name: p.detach() for name, p in named.items()}, place / "weights.safetensors")
        torch.save(optimizer.state_dict(), place / "optimizer.pt")
        seconds["save_file and torch.save"].append(time.perf_counter() - began)
    written = sum(path.stat().st_size for path in (place / "checkpoint").rglob("*") if path.is_file())
    return {**{name: median(found) for name, found in seconds.items()}, "bytes": written}


if __name__ == "__main__":
    if sys.argv[1] == "one":
        one(*map(Path, sys.argv[2:]))
    else:
        main(*map(Path, sys.argv[1:]))

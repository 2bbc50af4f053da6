"""What `lingraft plan` says of a training against what the training takes: peak memory and tokens a second.

    python benchmarks/planning.py [--only NAME ...] [--processor-time]

`--processor-time` is for a machine that others use meanwhile: speeds of one thread, by the seconds that it computes.

Each case is planned in one process and trained for some steps in another, as a run does it. Random weights but for the
shipped base; text and tokenizer are the starter's. Results: benchmarks/results/planning.json.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, replace
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

from record import most_resident_bytes, record

from lingraft.core.engine import KEEP_FREED_MEMORY
from lingraft.train.settings import Lora, Settings

STARTER = Path(__file__).parents[1] / "src" / "lingraft" / "starter"
SHIPPED = "english-novels-7m"
STEPS, NUM_NEW = 5, 1000
GEOMETRIES = {
    "30m": {"hidden_size": 384, "intermediate_size": 1024, "num_hidden_layers": 6, "num_attention_heads": 6},
    "120m": {"hidden_size": 768, "intermediate_size": 2048, "num_hidden_layers": 12, "num_attention_heads": 12},
    "350m": {"hidden_size": 1024, "intermediate_size": 2816, "num_hidden_layers": 24, "num_attention_heads": 16},
}
SETTINGS = Settings(
    mix={"target": 1.0},
    sequence_tokens=512,
    batch_tokens=4096,
    micro_batch_sequences=None,
    lr=1e-4,
    schedule="constant",
    warmup_share=0.0,
    weight_decay=0.1,
    max_grad_norm=1.0,
    precision="bf16",
    budget_bytes=None,
    budget_tokens=None,
    epochs=None,
    curve_points=2,
    curve_documents=16,
    checkpoint_minutes=60,
    seed=17,
)
LORA = Lora(rank=16, alpha=32.0)
SMALL = {"batch_tokens": 1024}
CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "7m full": (SHIPPED, {}),
    "7m full, micro-batches of 2": (SHIPPED, {"micro_batch_sequences": 2}),
    "7m rows": (SHIPPED, {"train": "rows"}),
    "7m lora": (SHIPPED, {"train": "lora", "lora": LORA}),
    "30m full": ("30m", {}),
    "30m full, checkpointing": ("30m", {"gradient_checkpointing": True}),
    "30m embeddings": ("30m", {"train": "embeddings"}),
    "30m muon": ("30m", {"optimizer": "muon"}),
    "120m full, micro-batches of 1": ("120m", {**SMALL, "micro_batch_sequences": 1}),
    "120m full, checkpointing": ("120m", {**SMALL, "gradient_checkpointing": True}),
    "120m lora": ("120m", {**SMALL, "train": "lora", "lora": LORA}),
    "120m top_bottom": ("120m", {**SMALL, "train": "top_bottom"}),
    "350m full, micro-batches of 1": ("350m", {**SMALL, "micro_batch_sequences": 1}),
    "350m lora": ("350m", {**SMALL, "train": "lora", "lora": LORA}),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=list(CASES), default=list(CASES))
    parser.add_argument("--processor-time", action="store_true")
    arguments = parser.parse_args()
    clock = "processor time of one thread" if arguments.processor_time else "wall time"
    if arguments.processor_time:
        os.environ |= {"OMP_NUM_THREADS": "1", "PROCESSOR_TIME": "1"}
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        prepare(place, {CASES[name][0] for name in arguments.only})
        for name in arguments.only:
            planned = in_process("plan", name, place)
            taken = in_process("train", name, place)
            ratios = {key: planned[key] / taken[key] for key in ("memory_bytes", "tokens_per_second")}
            found[name] = {"planned": planned, "measured": taken, "planned_to_measured": ratios}
            print(f"{name:32}", *(f"{key} {value:.3f}" for key, value in ratios.items()), flush=True)
            settings = {name: {"model": CASES[name][0], **plain(CASES[name][1])} for name in found}
            record(
                "planning",
                "cuda" if on_gpu() else "cpu",
                {"steps": STEPS, "clock": clock, "cases": settings, "found": found},
            )


def prepare(place: Path, models: set[str]) -> None:
    """A corpus, its tokens, and the models."""
    import shutil

    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    from lingraft.core.outside import TextSource
    from lingraft.corpus.build import build
    from lingraft.train.pack import pack

    build(
        [TextSource(path="texts/en/*.jsonl")],
        [],
        place / "corpus",
        base_folder=STARTER,
        held_out_docs=20,
        max_document_bytes=100_000,
        max_bad_share=0,
        seed=1,
    )
    pack(place / "corpus", STARTER / SHIPPED, place / "packed", sequence_tokens=SETTINGS.sequence_tokens)
    for name in models:
        shutil.copytree(STARTER / SHIPPED, place / name)
        if name in GEOMETRIES:
            torch.manual_seed(1)
            config = LlamaConfig(vocab_size=32000, tie_word_embeddings=False, dtype="bfloat16", **GEOMETRIES[name])
            LlamaForCausalLM(config).to(torch.bfloat16).save_pretrained(place / name)


def in_process(what: str, name: str, place: Path) -> dict[str, Any]:
    command = [sys.executable, __file__, "--one", what, name, str(place)]
    environment = {**os.environ, **KEEP_FREED_MEMORY}
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def settings_of(name: str) -> tuple[str, Settings]:
    model, changes = CASES[name]
    settings = replace(SETTINGS, **changes)
    return model, replace(settings, budget_tokens=STEPS * settings.batch_tokens)


def train(name: str, place: Path) -> dict[str, float]:
    import torch
    from transformers import AutoConfig

    from lingraft.train.pretrain import pretrain

    model, settings = settings_of(name)
    rows = AutoConfig.from_pretrained(place / model).vocab_size
    new_ids = range(rows - NUM_NEW, rows)
    with tempfile.TemporaryDirectory() as folder:
        figures = pretrain(
            place / model, place / "packed", place / "corpus", Path(folder), settings, new_ids=list(new_ids)
        )
    seconds = [after["seconds"] - before["seconds"] for before, after in pairwise(figures["curve"])]
    used = torch.cuda.max_memory_allocated() if on_gpu() else most_resident_bytes()
    return {"memory_bytes": used, "tokens_per_second": settings.batch_tokens / median(seconds)}


def plan(name: str, place: Path) -> dict[str, Any]:
    import torch
    from transformers import AutoConfig

    from lingraft.forecast.planner import predict

    model, settings = settings_of(name)
    began = time.perf_counter()
    found = predict(AutoConfig.from_pretrained(place / model), settings, num_new=NUM_NEW)
    return {
        "memory_bytes": found.device_bytes,
        "tokens_per_second": found.tokens_per_second,
        "parts": dict(found.parts),
        "threads": torch.get_num_threads(),
        "planning_seconds": time.perf_counter() - began,
    }


def on_gpu() -> bool:
    import torch

    return torch.cuda.is_available()


def plain(changes: dict[str, Any]) -> dict[str, Any]:
    return {key: asdict(value) if isinstance(value, Lora) else value for key, value in changes.items()}


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        what, name, place = sys.argv[2:]
        if "PROCESSOR_TIME" in os.environ:
            time.perf_counter = time.monotonic = time.process_time
        print(json.dumps({"plan": plan, "train": train}[what](name, Path(place))))
    else:
        main()

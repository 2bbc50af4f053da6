"""Tokens a second of `pretrain`, of a bare PyTorch loop, or of TRL's SFTTrainer on the same batches.

    python benchmarks/training_speed.py lingraft|bare|trl MODEL PACK CORPUS

Prints the rate over the second half of the steps, when the allocator has settled.
"""

import sys
import time
from itertools import pairwise
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import torch
from torch.optim.lr_scheduler import LambdaLR
from transformers import AutoModelForCausalLM

from lingraft.train.mix import Mixture
from lingraft.train.pack import Shard
from lingraft.train.pretrain import pretrain
from lingraft.train.reading import collate, training_order
from lingraft.train.settings import Settings

STEPS = 40
SETTINGS = Settings(
    mix={"target": 0.75, "replay": 0.25},
    sequence_tokens=512,
    batch_tokens=8192,
    micro_batch_sequences=None,
    lr=1e-3,
    schedule="constant",
    warmup_share=0.0,
    weight_decay=0.1,
    max_grad_norm=1.0,
    precision="bf16",
    budget_bytes=None,
    budget_tokens=STEPS * 8192,
    epochs=None,
    curve_points=2,
    curve_documents=1,
    checkpoint_minutes=60,
    seed=17,
)


def ours(model: Path, packed: Path, corpus: Path) -> float:
    with TemporaryDirectory() as folder:
        curve = pretrain(model, packed, corpus, Path(folder), SETTINGS)["curve"]
    times = [entry["seconds"] for entry in curve]
    return rate([after - before for before, after in pairwise(times)])


def bare(folder: Path, packed: Path, corpus: Path) -> float:
    rows, streams, _ = training_order(packed, SETTINGS)
    data = Mixture([Shard(packed / name, SETTINGS.sequence_tokens, 0) for name in streams], rows)
    size = SETTINGS.batch_tokens // SETTINGS.sequence_tokens
    torch.manual_seed(SETTINGS.seed)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=SETTINGS.lr, weight_decay=SETTINGS.weight_decay, fused=True)
    schedule = LambdaLR(optimizer, lambda step: 1.0)
    seconds = []
    for step in range(STEPS):
        began = time.perf_counter()
        batch = collate([data[index] for index in range(step * size, (step + 1) * size)])
        with torch.autocast("cpu", torch.bfloat16):
            loss = model(**batch, use_cache=False).loss  # with a cache, documents would see each other
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), SETTINGS.max_grad_norm)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        loss.item()
        seconds.append(time.perf_counter() - began)
    return rate(seconds)


def trl(folder: Path, packed: Path, corpus: Path) -> float:
    """Sequences as they are packed here, which spares it its own packing; it lets their documents see each other."""
    from datasets import Dataset
    from transformers import AutoTokenizer, TrainerCallback
    from trl import SFTConfig, SFTTrainer

    rows, streams, _ = training_order(packed, SETTINGS)
    data = Mixture([Shard(packed / name, SETTINGS.sequence_tokens, 0) for name in streams], rows)
    times: list[float] = []

    class Clock(TrainerCallback):
        def on_step_end(self, *_: object, **__: object) -> None:
            times.append(time.perf_counter())

    with TemporaryDirectory() as place:
        settings = SFTConfig(
            output_dir=place,
            per_device_train_batch_size=SETTINGS.batch_tokens // SETTINGS.sequence_tokens,
            max_steps=STEPS,
            max_length=None,
            learning_rate=SETTINGS.lr,
            weight_decay=SETTINGS.weight_decay,
            lr_scheduler_type="constant",
            bf16=True,
            gradient_checkpointing=False,
            logging_steps=STEPS,
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
            use_cpu=True,
            train_sampling_strategy="sequential",
            seed=SETTINGS.seed,
        )
        trainer = SFTTrainer(
            AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32),
            args=settings,
            train_dataset=Dataset.from_list([{"input_ids": row["input_ids"].tolist()} for row in data]),
            processing_class=AutoTokenizer.from_pretrained(folder),
            callbacks=[Clock()],
        )
        trainer.train()
    return rate([after - before for before, after in pairwise(times)])


def rate(seconds: list[float]) -> float:
    return SETTINGS.batch_tokens / median(seconds[len(seconds) // 2 :])


if __name__ == "__main__":
    kind, *places = sys.argv[1:]
    print({"lingraft": ours, "bare": bare, "trl": trl}[kind](*map(Path, places)))

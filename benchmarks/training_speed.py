"""Tokens a second of `pretrain` or of a bare PyTorch loop on the same batches, and what of the text reaches the model.

    python benchmarks/training_speed.py lingraft|bare MODEL WORK [VARIANT]

WORK is a folder that `prepare` has made. Prints a JSON object: the rate over the second half of the steps, when the
allocator has settled, and the counts of `reached`. The peers are timed by training_peers.py, which gets their own
interpreters.
"""

import json
import sys
from dataclasses import replace
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import torch
from torch.optim.lr_scheduler import LambdaLR
from training_peers import clock, result
from transformers import AutoModelForCausalLM, AutoTokenizer

from lingraft.corpus import shards
from lingraft.train.mix import Mixture
from lingraft.train.pack import Shard, pack
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
DOCUMENTS = {"target": 600, "replay": 250}  # three tokens of the target language to one of replay
HELD_OUT_DOCUMENTS = 40
VARIANTS: dict[str, dict[str, Any]] = {
    "plain": {},
    "compiled": {"compile": True},
    "compiled, eager": {"compile": True, "attention": "eager"},
}


def prepare(model: Path, corpus: Path, work: Path, steps: int) -> None:
    """The same text for all: a small corpus and its pack, JSON lines, text files, and the tokens it should become."""
    texts = []
    for name, num_documents in DOCUMENTS.items():
        for part, number in (("train", num_documents), ("held_out", HELD_OUT_DOCUMENTS)):
            place = work / "corpus" / name / part
            place.mkdir(parents=True)
            pq.write_table(pq.read_table(corpus / name / part).slice(0, number), place / "00000.parquet")
        texts += [text for text, _, _ in shards.documents(work / "corpus", name, "train")]
    held_out = [text for text, _, _ in shards.documents(work / "corpus", "target", "held_out")]
    pack(work / "corpus", model, work / "pack", sequence_tokens=SETTINGS.sequence_tokens)
    (work / "text.json").write_text(json.dumps([{"text": text} for text in texts]), encoding="utf-8")
    for folder, documents in (("texts", texts), ("held-out-texts", held_out)):
        (work / folder).mkdir()
        for number, text in enumerate(documents):
            (work / folder / f"{number:05}.txt").write_text(text, encoding="utf-8")
    tokenizer = AutoTokenizer.from_pretrained(model)
    counts = np.zeros(len(tokenizer), dtype=np.int64)
    for text in texts:
        ids = [*tokenizer(text, split_special_tokens=True)["input_ids"], tokenizer.eos_token_id]
        counts += np.bincount(ids, minlength=len(counts))
    np.save(work / "tokens.npy", counts, allow_pickle=False)
    job = {
        "steps": steps,
        "sequence_tokens": SETTINGS.sequence_tokens,
        "batch_sequences": SETTINGS.batch_tokens // SETTINGS.sequence_tokens,
        "lr": SETTINGS.lr,
        "weight_decay": SETTINGS.weight_decay,
        "max_grad_norm": SETTINGS.max_grad_norm,
        "seed": SETTINGS.seed,
        "bos_id": tokenizer.bos_token_id,
        "eos_id": tokenizer.eos_token_id,
        "pad_id": tokenizer.pad_token_id,
    }
    (work / "work.json").write_text(json.dumps(job), encoding="utf-8")


def settings(work: Path) -> Settings:
    return replace(SETTINGS, budget_tokens=described(work)["steps"] * SETTINGS.batch_tokens)


def described(work: Path) -> dict[str, Any]:
    return json.loads((work / "work.json").read_text(encoding="utf-8"))


def lingraft(model: Path, work: Path, variant: dict[str, Any]) -> None:
    with TemporaryDirectory() as folder:
        pretrain(model, work / "pack", work / "corpus", Path(folder), replace(settings(work), **variant))


def bare(folder: Path, work: Path, variant: dict[str, Any]) -> None:
    data, size = mixture(work), SETTINGS.batch_tokens // SETTINGS.sequence_tokens
    torch.manual_seed(SETTINGS.seed)
    way = variant.get("attention", "sdpa")
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation=way).train()
    if variant.get("compile"):
        model.compile()
    optimizer = torch.optim.AdamW(model.parameters(), lr=SETTINGS.lr, weight_decay=SETTINGS.weight_decay, fused=True)
    schedule = LambdaLR(optimizer, lambda step: 1.0)
    for step in range(described(work)["steps"]):
        batch = collate([data[index] for index in range(step * size, (step + 1) * size)])
        with torch.autocast("cpu", torch.bfloat16):
            loss = model(**batch, use_cache=False).loss  # with a cache, documents would see each other
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), SETTINGS.max_grad_norm)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        loss.item()


def mixture(work: Path) -> Mixture:
    rows, streams, _ = training_order(work / "pack", settings(work))
    return Mixture(opened(work, streams), rows)


def opened(work: Path, streams: list[str]) -> list[Shard]:
    pad_id = described(work)["pad_id"]
    return [Shard(work / "pack" / name, SETTINGS.sequence_tokens, pad_id) for name in streams]


def main(kind: str, model: Path, work: Path, variant: str = "plain") -> None:
    times = clock()
    {"lingraft": lingraft, "bare": bare}[kind](model, work, VARIANTS[variant])
    everything = (shard[index]["input_ids"] for shard in opened(work, list(DOCUMENTS)) for index in range(len(shard)))
    shown = (row["input_ids"] for row in islice(mixture(work), len(mixture(work))))
    print(json.dumps(result(work, times, shown, everything)))


if __name__ == "__main__":
    kind, model, work, *variant = sys.argv[1:]
    main(kind, Path(model), Path(work), *variant)

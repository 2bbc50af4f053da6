"""Make the starter's base: a small Llama from random weights on English novels.

    python benchmarks/starter_base.py --novels novels.jsonl.gz --out FOLDER [--tokens 12.7e6]

The file has a record per chapter with `text` and `source` (the novel). The figures in docs/starter.md are those of
the shipped weights; a run of this script repeats the procedure, not the bits.
"""

import argparse
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from torch.optim.lr_scheduler import LambdaLR
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from lingraft.core.outside import TextSource
from lingraft.corpus import documents
from lingraft.corpus.build import build
from lingraft.train import mix
from lingraft.train.pack import Shard, pack, sequence_bytes
from lingraft.train.pretrain import collate

SPECIAL = ["<|bos|>", "<|eos|>", "<|pad|>"]
VOCABULARY, SEQUENCE_TOKENS, SEQUENCES = 8192, 512, 16
WARMUP_STEPS, DECAY_SHARE, SEED = 60, 0.4, 17


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--novels", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--tokens", type=float, default=12.7e6)
    arguments = parser.parse_args()
    with TemporaryDirectory() as scratch:
        corpus, packed = Path(scratch) / "corpus", Path(scratch) / "packed"
        novels = TextSource(path=str(arguments.novels.resolve()))
        build(
            [novels],
            [],
            corpus,
            base_folder=Path(),
            held_out_docs=300,
            max_document_bytes=10_000_000,
            max_bad_share=0.01,
            seed=SEED,
        )
        make_tokenizer(corpus, arguments.out)
        pack(corpus, arguments.out, packed, sequence_tokens=SEQUENCE_TOKENS)
        train(packed, arguments.tokens).to(torch.bfloat16).save_pretrained(arguments.out)


def make_tokenizer(corpus: Path, folder: Path) -> None:
    """Byte-level BPE whose post-processor adds BOS."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY, special_tokens=SPECIAL, initial_alphabet=pre_tokenizers.ByteLevel.alphabet()
    )
    tokenizer.train_from_iterator((text for text, _, _ in documents(corpus, "target", "train")), trainer)
    tokenizer.post_processor = processors.TemplateProcessing(single="<|bos|> $A", special_tokens=[("<|bos|>", 0)])
    names = dict(zip(("bos_token", "eos_token", "pad_token"), SPECIAL, strict=True))
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, model_max_length=1024, **names).save_pretrained(folder)


def train(packed: Path, tokens: float) -> LlamaForCausalLM:
    """Muon for the matrices of the layers, AdamW for the table and the norms; warmup, constant, linear decay."""
    torch.manual_seed(SEED)
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=VOCABULARY,
            hidden_size=256,
            intermediate_size=768,
            num_hidden_layers=6,
            num_attention_heads=4,
            num_key_value_heads=2,
            max_position_embeddings=1024,
            tie_word_embeddings=True,
            bos_token_id=0,
            eos_token_id=1,
            pad_token_id=2,
        )
    )
    shard = Shard(packed / "target", SEQUENCE_TOKENS, 2)
    rows = mix.order(
        {"target": sequence_bytes(packed, "target")},
        {"target": 1.0},
        seed=SEED,
        budget_tokens=tokens,
        sequence_tokens=SEQUENCE_TOKENS,
        multiple=SEQUENCES,
    )
    data = mix.Mixture([shard], rows)
    steps = len(rows) // SEQUENCES
    matrices = [p for name, p in model.named_parameters() if p.ndim == 2 and "layers" in name]
    others = [p for name, p in model.named_parameters() if p.ndim != 2 or "layers" not in name]
    optimizers = [torch.optim.Muon(matrices, lr=0.02), torch.optim.AdamW(others, lr=3e-3, weight_decay=0.0)]

    def scale(step: int) -> float:
        return min(1.0, (step + 1) / WARMUP_STEPS, (steps - step) / (DECAY_SHARE * steps))

    schedules = [LambdaLR(optimizer, scale) for optimizer in optimizers]
    losses: list[float] = []
    for step in range(steps):
        batch = collate([data[index] for index in range(step * SEQUENCES, (step + 1) * SEQUENCES)])
        with torch.autocast("cpu", torch.bfloat16):
            loss = model(**batch).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optimizer, schedule in zip(optimizers, schedules, strict=True):
            optimizer.step()
            schedule.step()
            optimizer.zero_grad()
        losses.append(loss.item())
        if step % 20 == 0 or step == steps - 1:
            print(f"step {step} of {steps}: loss {np.mean(losses[-20:]):.3f}", flush=True)
    return model


if __name__ == "__main__":
    main()

"""Tokenizers made by hand from that of a base, so that the graft is tested alone."""

import json
import re
from collections import Counter
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer, decoders, models, normalizers, trainers
from transformers import PreTrainedTokenizerFast

from conftest import ENGLISH, POLISH
from lingraft.tokenizer import family

NEW = 30
NO_PAIR = re.compile("<| [Ġ▁]")
Edit = Callable[[dict[str, Any]], None]


def edited(base: Path, folder: Path, edit: Edit) -> Path:
    """The tokenizer of `base` with its tokenizer.json changed in place by `edit`."""
    folder.mkdir(parents=True, exist_ok=True)
    family.copy(base, folder, ("config.json", *family.SETTINGS_FILES))
    content = json.loads((base / "tokenizer.json").read_text(encoding="utf-8"))
    edit(content)
    (folder / "tokenizer.json").write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
    return folder


def learned(base: Path, texts: list[str], num_new: int) -> list[tuple[str, str]]:
    """The merges that plain BPE learns next, from the texts as the base segments them."""
    tokenizer = Tokenizer.from_file(str(base / "tokenizer.json"))
    words = [[tokenizer.id_to_token(i) for i in tokenizer.encode(text, add_special_tokens=False).ids] for text in texts]
    merges: list[tuple[str, str]] = []
    while len(merges) < num_new:
        pairs = Counter(pair for word in words for pair in pairwise(word) if not NO_PAIR.search(" ".join(pair)))
        best = min(pairs, key=lambda pair: (-pairs[pair], pair))
        merges.append(best)
        for at, word in enumerate(words):
            merged: list[str] = []
            for token in word:
                if merged and (merged[-1], token) == best:
                    merged[-1] += token
                else:
                    merged.append(token)
            words[at] = merged
    return merges


def with_merges(merges: list[tuple[str, str]], first_id: int) -> Edit:
    """Enter the merges and their tokens after all that is there."""

    def edit(content: dict[str, Any]) -> None:
        model = content["model"]
        model["merges"] += [list(merge) for merge in merges]
        model["vocab"] |= {left + right: first_id + rank for rank, (left, right) in enumerate(merges)}

    return edit


def save_extended(base: Path, folder: Path) -> Path:
    """The tokenizer of the tiny base with 30 new tokens, ids 400 to 429."""
    return edited(base, folder, with_merges(learned(base, POLISH, NEW), 400))


def save_sentencepiece(folder: Path) -> Path:
    """A tokenizer in the manner of Llama 2: spaces as ▁, one before the text, unknown characters as bytes."""
    tokenizer = Tokenizer(models.BPE(byte_fallback=True, unk_token="<unk>", fuse_unk=True))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    special = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256))]
    trainer = trainers.BpeTrainer(vocab_size=450, special_tokens=special, show_progress=False)
    tokenizer.train_from_iterator([word for text in ENGLISH for word in text.split()], trainer)
    saved = json.loads(tokenizer.to_str())
    saved["added_tokens"] = saved["added_tokens"][:3]
    PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer.from_str(json.dumps(saved)), bos_token="<s>", eos_token="</s>", unk_token="<unk>"
    ).save_pretrained(folder)
    return folder

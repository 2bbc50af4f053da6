"""Bases, what was grafted onto them, and what a training might have made of it: every weight moved a little."""

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM

from conftest import ENGLISH, POLISH
from lingraft.analyze.subject import Subject
from lingraft.corpus.language import find
from lingraft.evaluate.evaluate import HeldOut
from lingraft.graft import initialize
from lingraft.tokenizer import extend

SHIPPED = Path(__file__).parents[2] / "src/lingraft/starter/english-novels-7m"
NOT_WEIGHTS = shutil.ignore_patterns("*.safetensors*")


def grafted(base: Path, folder: Path, method: str = "continued_bpe") -> Path:
    """New Polish tokens by a method of the tokenizer, their rows started."""
    extend(base, POLISH * 3, folder / "tokenizer", new_tokens=330 if method == "swap" else 40, method=method)
    initialize(base, folder / "tokenizer", folder / "graft")
    return folder / "graft"


def moved(model: Path, folder: Path, share: float, *, shard_size: str = "5GB", frozen: Sequence[str] = ()) -> Path:
    """The model with noise of a share of each tensor's own size, but for the frozen ones."""
    shutil.copytree(model, folder, ignore=NOT_WEIGHTS)
    loaded = AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32)
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for name, weight in loaded.named_parameters():
            noise = torch.randn(weight.shape, generator=generator)
            if name not in frozen:
                weight += share * noise * weight.std()
    loaded.save_pretrained(folder, max_shard_size=shard_size)
    return folder


def subject(models: Mapping[str, Path], folder: Path, **more: Any) -> Subject:
    """All sentences of the tests as held-out text."""
    texts = [
        HeldOut(stream, find(tag), sentences, ["tests"] * len(sentences))
        for stream, tag, sentences in (("target", "pl", POLISH), ("replay", "en", ENGLISH))
    ]
    folder.mkdir(exist_ok=True)
    return Subject(**{"models": models, "texts": texts, "folder": folder, "context_tokens": 64, "seed": 1, **more})

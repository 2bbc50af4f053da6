"""How many tokens to add: what each further token buys on held-out text, and what it costs the model."""

from collections.abc import Iterable
from itertools import compress, cycle
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForCausalLM

from lingraft.core.errors import InputError
from lingraft.core.progress import SILENT, Progress

from .continued_bpe import learn
from .gain import Shape, curve, recommend
from .method import Source

MOST = 64_000
HELD_OUT_EVERY = 20


def shape(base: Path) -> Shape:
    """The shape of the model in `base`, from its config alone.

    Raises InputError when transformers has no causal model for it.
    """
    try:
        config = AutoConfig.from_pretrained(base, local_files_only=True)
        with torch.device("meta"):
            model = AutoModelForCausalLM.from_config(config)
    except (OSError, ValueError) as error:
        raise InputError(
            f"transformers cannot build this model: {error}",
            where=base / "config.json",
            remedy="Give the folder of a causal language model.",
        ) from error
    embedding, head = model.get_input_embeddings().weight, model.get_output_embeddings().weight
    tied = embedding is head
    total = sum(parameter.numel() for parameter in model.parameters())
    rows, hidden_size = embedding.shape
    return Shape(total - rows * hidden_size * (1 if tied else 2), hidden_size, rows, tied)


def advise(
    source: Source, texts: Iterable[str], model: Shape | None, *, most: int = MOST, progress: Progress = SILENT
) -> dict[str, Any]:
    """A gain curve for 0 to `most` new tokens from one training, and the size to take.

    Every 20th text is held out and gives the curve, the others are learned from. Without a model its costs are left
    out, and the softmax counts as free.
    """
    texts = list(texts)
    hold = [False] * (HELD_OUT_EVERY - 1) + [True]
    held_out = list(compress(texts, cycle(hold)))
    training = compress(texts, cycle(not held for held in hold))
    if not held_out:
        raise InputError(
            f"{len(texts)} texts are too few to hold one out.",
            remedy=f"Give at least {HELD_OUT_EVERY} documents or lines.",
        )
    learned = learn(source, training, most, held_out=held_out, progress=progress)
    num_bytes = sum(len(text.encode()) for text in held_out)
    return {
        "text": learned.figures,
        "held_out": {"documents": len(held_out), "bytes": num_bytes},
        "curve": curve(learned, num_bytes, model),
        "recommended": recommend(learned, num_bytes, model),
    }

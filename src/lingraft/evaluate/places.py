"""The logits of some places of a text, a few at a time: those of all places can be larger than the model.

B rows, S places, N places that are asked for, C of them at once, V tokens of the vocabulary.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from transformers import PreTrainedModel


def logits_at(
    model: PreTrainedModel, inputs: dict[str, Any], rows: Sequence[int], places: Sequence[int], at_once: int
) -> Iterator[torch.Tensor]:
    """The logits (C, V) of N places, `at_once` of them at a time: the LM head is given no others.

    The text is read once. For all but the first of the parts the decoder gives what it gave before, so that what a
    model does to its logits (a scale, a cap) is done to each of them.
    """
    head, decoder = model.get_output_embeddings(), model.get_decoder()
    part = slice(0, at_once)

    def choose(_: torch.nn.Module, given: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
        return (given[0][list(rows[part]), list(places[part])][None], *given[1:])

    def once(first: int) -> torch.Tensor:
        nonlocal part
        part = slice(first, first + at_once)
        chosen = head.register_forward_pre_hook(choose)
        try:
            return model(**inputs, use_cache=False).logits[0]
        finally:
            chosen.remove()

    if len(places) <= at_once or decoder is model:
        for first in range(0, len(places), at_once):
            yield once(first)
        return
    read: list[Any] = []
    keeper = decoder.register_forward_hook(lambda *found: read.append(found[-1]))
    try:
        logits_CV = once(0)
    finally:
        keeper.remove()
    yield logits_CV
    del logits_CV
    own = decoder.__dict__.get("forward")
    decoder.forward = lambda *_, **__: read[0]
    try:
        for first in range(at_once, len(places), at_once):
            yield once(first)
    finally:
        del decoder.forward
        if own is not None:
            decoder.forward = own

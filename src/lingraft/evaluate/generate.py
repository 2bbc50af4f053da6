"""Text that a model writes: samples from fixed prompts, and how fast it writes."""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from transformers import (
    GenerationConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    StoppingCriteria,
    StoppingCriteriaList,
    set_seed,
)

from lingraft.core.errors import InputError
from lingraft.core.progress import SILENT, Progress

from .context import start_token

BATCH_TOKENS = 8192
"""Prompt and answer together, of all texts that are written at once."""
SEED = 17
"""Of what is sampled."""
STOP_WINDOW_TOKENS = 12
"""How far back a stop is looked for at each step."""
WARM_UP_TOKENS = 4
"""Written before the clock is started: weights come from the disk when they are first used."""
LEAST_PROMPT_TOKENS = 16
"""That a context has to leave beside what is written."""


@dataclass(frozen=True)
class Loaded:
    """A model with its tokenizer."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase


def forget_habits(model: PreTrainedModel) -> None:
    """Have a model write as it is asked to: of its generation_config.json only the ends of a text are kept.

    A penalty or a temperature from there would change even greedy decoding, and of some models only.
    """
    own = model.generation_config
    model.generation_config = GenerationConfig(
        bos_token_id=own.bos_token_id, eos_token_id=own.eos_token_id, pad_token_id=own.pad_token_id
    )


@torch.inference_mode()
def continue_prompts(
    loaded: Loaded, prompts: Sequence[str], *, max_new_tokens: int, temperature: float, top_p: float, seed: int
) -> list[str]:
    """What the model writes after each prompt; sampled when temperature is above 0, else greedy."""
    texts = []
    for prompt in prompts:
        set_seed(seed)
        inputs = loaded.tokenizer(prompt, return_tensors="pt", return_token_type_ids=False).to(loaded.model.device)
        sampling = _sampling(temperature, top_p)
        ids = loaded.model.generate(**inputs, max_new_tokens=max_new_tokens, pad_token_id=_pad(loaded), **sampling)
        texts.append(loaded.tokenizer.decode(ids[0, inputs["input_ids"].shape[1] :], skip_special_tokens=True))
    return texts


@torch.inference_mode()
def write_until(
    loaded: Loaded,
    prompts: Sequence[str],
    *,
    stop: Sequence[str],
    max_new_tokens: int,
    context_tokens: int,
    temperature: float = 0.0,
    top_p: float = 1.0,
    top_k: int = 0,
    bos: bool = True,
    special_tokens: bool = False,
    progress: Progress = SILENT,
) -> tuple[list[str], list[int]]:
    """What the model writes after each prompt up to the first stop, and how many tokens of the prompt were cut.

    Prompts of like length are written at once. One that is too long loses its beginning. A control token that stands
    written in a prompt is text, unless `special_tokens` says that it is meant. Sampled when temperature is above 0,
    from the `top_k` likeliest tokens (0: all).

    Raises InputError where what may be written leaves hardly any of the context for a prompt.
    """
    found = write_passages(
        loaded,
        prompts,
        stop=stop,
        max_new_tokens=max_new_tokens,
        context_tokens=context_tokens,
        sampling=_sampling(temperature, top_p, top_k),
        bos=bos,
        special_tokens=special_tokens,
        progress=progress,
    )
    return [passage.text for passage in found], [passage.cut for passage in found]


@dataclass(frozen=True)
class Passage:
    """What a model wrote after a prompt."""

    text: str
    ended: bool
    """Whether it came to an end or a stop by itself."""
    read: int
    """Tokens of the prompt that it saw."""
    written: int
    """Tokens, with the one that ends the text."""
    cut: int
    """Tokens of the prompt that it did not see."""


@torch.inference_mode()
def write_passages(
    loaded: Loaded,
    prompts: Sequence[str | list[int]],
    *,
    stop: Sequence[str],
    max_new_tokens: int,
    context_tokens: int,
    sampling: Mapping[str, Any],
    bos: bool,
    special_tokens: bool,
    progress: Progress = SILENT,
) -> list[Passage]:
    """What `write_until` writes, and how it came to its end; `sampling` are options of `generate`.

    A prompt can be given as its ids, to which nothing but a BOS is added.
    """
    tokenizer = loaded.tokenizer
    start = start_token(tokenizer)
    room = context_tokens - max_new_tokens
    if room < LEAST_PROMPT_TOKENS:
        raise InputError(
            f"a context of {context_tokens} tokens leaves no room for a prompt beside {max_new_tokens} new ones.",
            where=tokenizer.name_or_path,
            remedy=f"Raise context_tokens to {max_new_tokens + LEAST_PROMPT_TOKENS} or more, or have less written.",
        )
    ids, cut = [], []
    for prompt in prompts:
        plain = {"add_special_tokens": False, "split_special_tokens": not special_tokens, "verbose": False}
        found = tokenizer(prompt, **plain)["input_ids"] if isinstance(prompt, str) else prompt
        whole = [start, *found] if bos or not found else found
        ids.append(whole[-room:])
        cut.append(max(0, len(whole) - room))
    found: dict[int, Passage] = {}
    progress.start("writing answers", len(prompts), "answers")
    set_seed(SEED)
    for batch in _of_like_length(ids, max_new_tokens):
        written = _write(loaded, [ids[i] for i in batch], stop, max_new_tokens, sampling)
        for index, (text, ended, count) in zip(batch, written, strict=True):
            found[index] = Passage(text, ended, len(ids[index]), count, cut[index])
        progress.advance(len(batch))
    return [found[index] for index in range(len(prompts))]


def speed(loaded: Loaded, prompt: str, *, new_tokens: int) -> float:
    """Tokens a second of greedy generation."""
    _greedy(loaded, prompt, WARM_UP_TOKENS)
    began = time.perf_counter()
    _greedy(loaded, prompt, new_tokens)
    return new_tokens / (time.perf_counter() - began)


def _of_like_length(ids: Sequence[Sequence[int]], max_new_tokens: int) -> Iterator[list[int]]:
    """Indices in batches, the longest first, so that memory is short at once."""
    batch: list[int] = []
    for index in sorted(range(len(ids)), key=lambda index: -len(ids[index])):
        if batch and (len(batch) + 1) * (len(ids[batch[0]]) + max_new_tokens) > BATCH_TOKENS:
            yield batch
            batch = []
        batch.append(index)
    if batch:
        yield batch


class _Stop(StoppingCriteria):
    """Ends a text as soon as it holds a stop."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase, stop: Sequence[str], first: int) -> None:
        self._tokenizer, self._stop, self._first = tokenizer, stop, first
        self._done: torch.Tensor | None = None

    def __call__(self, input_ids: torch.LongTensor, scores: torch.Tensor, **kwargs: object) -> torch.Tensor:
        if self._done is None:
            self._done = torch.zeros(len(input_ids), dtype=torch.bool, device=input_ids.device)
        begin = max(self._first, input_ids.shape[1] - STOP_WINDOW_TOKENS)
        open_rows = (~self._done).nonzero()[:, 0].tolist()
        endings = self._tokenizer.batch_decode(input_ids[open_rows, begin:])
        for row, ending in zip(open_rows, endings, strict=True):
            if any(stop in ending for stop in self._stop):
                self._done[row] = True
        return self._done


def _write(
    loaded: Loaded,
    batch: Sequence[Sequence[int]],
    stop: Sequence[str],
    max_new_tokens: int,
    sampling: Mapping[str, Any],
) -> list[tuple[str, bool, int]]:
    """Each text up to a stop, whether it came to an end, and how many tokens were written."""
    longest = max(map(len, batch))
    ids_BS = torch.full((len(batch), longest), _pad(loaded) or 0, dtype=torch.long)
    mask_BS = torch.zeros_like(ids_BS)
    for row, ids in enumerate(batch):
        ids_BS[row, longest - len(ids) :] = torch.tensor(ids)
        mask_BS[row, longest - len(ids) :] = 1
    written = loaded.model.generate(
        input_ids=ids_BS.to(loaded.model.device),
        attention_mask=mask_BS.to(loaded.model.device),
        max_new_tokens=max_new_tokens,
        pad_token_id=_pad(loaded),
        stopping_criteria=StoppingCriteriaList([_Stop(loaded.tokenizer, stop, longest)] if stop else []),
        **sampling,
    )
    rows = written[:, longest:].tolist()
    texts = loaded.tokenizer.batch_decode(rows, skip_special_tokens=True)
    ends = _ends(loaded.model)
    found = []
    for ids, text in zip(rows, texts, strict=True):
        end = next((place for place, token in enumerate(ids, 1) if token in ends), None)
        # After a stop there is padding until the longest of the batch has ended; how much of it cannot be told.
        stopped = any(mark in text for mark in stop)
        found.append((_before(text, stop), end is not None or stopped, end or len(ids)))
    return found


def _ends(model: PreTrainedModel) -> set[int]:
    """The tokens that end a text."""
    ends = model.generation_config.eos_token_id
    return set() if ends is None else {ends} if isinstance(ends, int) else set(ends)


def _before(text: str, stop: Sequence[str]) -> str:
    return text[: min((text.index(end) for end in stop if end in text), default=len(text))]


@torch.inference_mode()
def _greedy(loaded: Loaded, prompt: str, new_tokens: int) -> None:
    inputs = loaded.tokenizer(prompt, return_tensors="pt", return_token_type_ids=False).to(loaded.model.device)
    length = {"max_new_tokens": new_tokens, "min_new_tokens": new_tokens}
    loaded.model.generate(**inputs, **length, do_sample=False, pad_token_id=_pad(loaded))


def _sampling(temperature: float, top_p: float, top_k: int = 0) -> dict[str, Any]:
    """What `generate` takes; left out, top_k would be 50."""
    if not temperature:
        return {"do_sample": False}
    return {"do_sample": True, "temperature": temperature, "top_p": top_p, "top_k": top_k}


def _pad(loaded: Loaded) -> int | None:
    tokenizer = loaded.tokenizer
    return tokenizer.eos_token_id if tokenizer.pad_token_id is None else tokenizer.pad_token_id

"""Text that a model writes: samples from fixed prompts, and how fast it writes."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase, set_seed


@dataclass(frozen=True)
class Loaded:
    """A model with its tokenizer."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase


@torch.inference_mode()
def continue_prompts(
    loaded: Loaded, prompts: Sequence[str], *, max_new_tokens: int, temperature: float, top_p: float, seed: int
) -> list[str]:
    """What the model writes after each prompt; sampled when temperature is above 0, else greedy."""
    texts = []
    for prompt in prompts:
        set_seed(seed)
        inputs = loaded.tokenizer(prompt, return_tensors="pt", return_token_type_ids=False).to(loaded.model.device)
        sampling = (
            {"do_sample": True, "temperature": temperature, "top_p": top_p} if temperature else {"do_sample": False}
        )
        ids = loaded.model.generate(**inputs, max_new_tokens=max_new_tokens, pad_token_id=_pad(loaded), **sampling)
        texts.append(loaded.tokenizer.decode(ids[0, inputs["input_ids"].shape[1] :], skip_special_tokens=True))
    return texts


def speeds(models: Mapping[str, Loaded], prompt: str, *, new_tokens: int, rounds: int = 3) -> dict[str, float]:
    """Tokens a second of greedy generation, by model: medians over rounds.

    The models take turns, so that a slow moment of the machine meets all of them.
    """
    rates: dict[str, list[float]] = {name: [] for name in models}
    for _ in range(rounds):
        for name, loaded in models.items():
            began = time.perf_counter()
            _greedy(loaded, prompt, new_tokens)
            rates[name].append(new_tokens / (time.perf_counter() - began))
    return {name: median(measured) for name, measured in rates.items()}


@torch.inference_mode()
def _greedy(loaded: Loaded, prompt: str, new_tokens: int) -> None:
    inputs = loaded.tokenizer(prompt, return_tensors="pt", return_token_type_ids=False).to(loaded.model.device)
    length = {"max_new_tokens": new_tokens, "min_new_tokens": new_tokens}
    loaded.model.generate(**inputs, **length, do_sample=False, pad_token_id=_pad(loaded))


def _pad(loaded: Loaded) -> int | None:
    tokenizer = loaded.tokenizer
    return tokenizer.eos_token_id if tokenizer.pad_token_id is None else tokenizer.pad_token_id

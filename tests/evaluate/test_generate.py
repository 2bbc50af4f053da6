from pathlib import Path

import pytest
import torch

from lingraft.evaluate import evaluate
from lingraft.evaluate.generate import Loaded, continue_prompts, speeds

PROMPTS = ["The old lighthouse", "Nobody"]


@pytest.fixture(scope="module")
def loaded(tiny_base: Path) -> Loaded:
    """A random model whose answers are not flat: no token is near as likely as the next."""
    loaded = evaluate.load(tiny_base)
    with torch.no_grad():
        for parameter in loaded.model.parameters():
            parameter.mul_(4)
    return loaded


def write(loaded: Loaded, prompts: list[str] = PROMPTS, **changes: float) -> list[str]:
    options = {"max_new_tokens": 12, "temperature": 1.0, "top_p": 0.95, "seed": 4} | changes
    return continue_prompts(loaded, prompts, **options)


def test_greedy_takes_the_likeliest_token(loaded: Loaded) -> None:
    tokenizer, model = loaded.tokenizer, loaded.model
    for prompt, text in zip(PROMPTS, write(loaded, temperature=0), strict=True):
        ids = list(tokenizer(prompt)["input_ids"])
        assert ids[0] == tokenizer.bos_token_id
        start = len(ids)
        while len(ids) < start + 12 and ids[-1] != tokenizer.eos_token_id:
            with torch.inference_mode():
                ids.append(model(input_ids=torch.tensor([ids]), use_cache=False).logits[0, -1].argmax().item())
        assert text == tokenizer.decode(ids[start:], skip_special_tokens=True)


def test_the_seed_decides_and_a_sample_does_not_depend_on_the_others(loaded: Loaded) -> None:
    texts = write(loaded)
    assert write(loaded) == texts
    assert write(loaded, PROMPTS[1:]) == texts[1:]
    assert write(loaded, seed=5) != texts
    assert write(loaded, temperature=0, seed=5) == write(loaded, temperature=0)


def test_no_prompts(loaded: Loaded) -> None:
    assert write(loaded, []) == []


def test_speeds_of_every_model(loaded: Loaded) -> None:
    rates = speeds({"base": loaded, "adapted": loaded}, "Nobody", new_tokens=4, rounds=2)
    assert list(rates) == ["base", "adapted"]
    assert all(rate > 0 for rate in rates.values())

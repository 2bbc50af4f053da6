from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from mixtures_for_tests import mixed_slowly, save_mixtral, save_qwen
from transformers import AutoModelForCausalLM

from lingraft.analyze.mixture import MODES, Below, decoder_layers, disabled, find, watched

IDS = torch.tensor([[0, 17, 301, 44, 8, 120, 255, 9, 33, 71]])
MAKERS = {"mixtral": (save_mixtral, True), "qwen": (save_qwen, False)}


@pytest.fixture(params=MAKERS)
def made(request: pytest.FixtureRequest, tiny_base: Path, tmp_path: Path) -> tuple[Any, bool]:
    save, share_out = MAKERS[request.param]
    return save(tmp_path, tiny_base), share_out


@torch.no_grad()
@pytest.mark.parametrize("mode", MODES)
def test_a_disabled_expert_is_that_of_a_slow_forward(mode: Any, made: tuple[Any, bool]) -> None:
    model, share_out = made
    whole = model(IDS).logits
    differ = 0
    for mixture in find(model):
        block = model.model.layers[mixture.layer].mlp
        for expert in range(mixture.num_experts):
            with disabled(mixture, expert, mode):
                found = model(IDS).logits
            routed = slow_routed(block, expert, mode, share_out=share_out)
            block.experts.forward = routed
            expected = model(IDS).logits
            del block.experts.forward
            torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
            differ += not torch.allclose(found, whole, atol=1e-3)
    assert differ >= 3
    assert torch.equal(model(IDS).logits, whole), "nothing stays disabled"


def slow_routed(block: Any, expert: int, mode: str, *, share_out: bool) -> Callable[..., torch.Tensor]:
    """In the place of the experts' forward; what the router chose is not looked at."""
    return lambda states, *_: mixed_slowly(block, states[None], expert, mode, share_out=share_out)[0]


@torch.no_grad()
def test_choices_are_those_of_the_router(made: tuple[Any, bool]) -> None:
    model, _ = made
    mixtures = find(model)
    states: list[torch.Tensor] = []
    hook = mixtures[-1].router.register_forward_pre_hook(lambda _, given: states.append(given[0].reshape(10, -1)))
    with watched(mixtures) as choices:
        model(IDS)
    hook.remove()
    logits = states[0] @ mixtures[-1].router.weight.T
    torch.testing.assert_close(choices[-1].logits_NE, logits)
    assert torch.equal(choices[-1].chosen_NK.sort().values, logits.topk(2).indices.sort().values)


def test_mixtures_are_found(made: tuple[Any, bool], tiny_base: Path) -> None:
    model, share_out = made
    assert [(found.layer, found.num_experts) for found in find(model)] == ([(0, 4), (1, 4)] if share_out else [(1, 4)])
    assert find(AutoModelForCausalLM.from_pretrained(tiny_base)) == []


@torch.no_grad()
def test_layers_below_are_not_run_again(tiny_base: Path, tmp_path: Path) -> None:
    model = save_mixtral(tmp_path, tiny_base)
    runs = [0, 0]
    for index, layer in enumerate(model.model.layers):
        layer.self_attn.register_forward_hook(lambda *_, index=index: runs.__setitem__(index, runs[index] + 1))
    batches = [IDS, IDS[:, :4].repeat(2, 1)]

    def measure() -> list[torch.Tensor]:
        return [model(batch).logits for batch in batches]

    whole = measure()
    below = Below(decoder_layers(model))
    below.advance(0, measure)
    assert runs == [2, 2], "layer 0 has nothing below it"
    below.advance(1, measure)
    assert runs == [4, 4]
    with below.skipped():
        again = measure()
    assert runs == [4, 6]
    for first, second in zip(whole, again, strict=True):
        torch.testing.assert_close(first, second)
    torch.testing.assert_close(model(IDS).logits, whole[0])

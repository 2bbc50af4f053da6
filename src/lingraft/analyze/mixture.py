"""The experts of a model: what they are chosen for, and the model without one of them.

Transformers keeps the matrices of a layer's experts in one module, which is given the tokens, their experts and the
weights of these; beside it stands the router that chooses. N tokens, E experts, K of them chosen for a token.
"""

import math
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch.overrides import TorchFunctionMode
from transformers import PreTrainedModel

Mode = Literal["zero", "mask"]
MODES: tuple[Mode, ...] = ("zero", "mask")


@dataclass(frozen=True)
class Mixture:
    """The experts of one layer."""

    layer: int
    router: torch.nn.Module
    experts: torch.nn.Module
    num_experts: int


@dataclass(frozen=True)
class Choice:
    """What a router said of some tokens."""

    logits_NE: torch.Tensor
    chosen_NK: torch.Tensor


def decoder_layers(model: PreTrainedModel) -> list[torch.nn.Module]:
    """The layers from the first to the last; none where the model does not name them as transformers does."""
    return list(getattr(model.get_decoder(), "layers", []))


def find(model: PreTrainedModel) -> list[Mixture]:
    """The mixtures from the first layer to the last; none in a dense model, or where they are kept otherwise."""
    found = []
    for index, layer in enumerate(decoder_layers(model)):
        for block in layer.modules():
            experts = [child for child in block.children() if _is_experts(child)]
            if not experts:
                continue
            size = experts[0].num_experts
            routers = [child for child in block.children() if _rows(child) == size]
            if len(experts) == len(routers) == 1:
                found.append(Mixture(index, routers[0], experts[0], size))
    return found


def _is_experts(module: torch.nn.Module) -> bool:
    size = getattr(module, "num_experts", None)
    return any(p.ndim == 3 and p.shape[0] == size for p in module.parameters(recurse=False))


def _rows(module: torch.nn.Module) -> int | None:
    weight = getattr(module, "weight", None)
    return weight.shape[0] if isinstance(weight, torch.Tensor) and weight.ndim == 2 else None


class _Logits(TorchFunctionMode):
    """Sees the logits that a router computes, and takes one expert out of them.

    Every router has rules of its own for what follows (softmax before or after the choice, sigmoids, groups): they
    stay the model's own.
    """

    def __init__(self, num_experts: int, without: int | None) -> None:
        super().__init__()
        self.num_experts, self.without = num_experts, without
        self.seen_NE: torch.Tensor | None = None

    def __torch_function__(self, function: Any, types: Any, arguments: Any = (), named: Any = None) -> Any:
        out = function(*arguments, **(named or {}))
        if function is torch.nn.functional.linear and out.shape[-1] == self.num_experts:
            if self.without is not None:
                out[..., self.without] = -math.inf
            self.seen_NE = out.reshape(-1, self.num_experts)
        return out


@contextmanager
def _routed(mixture: Mixture, without: int | None, tell: Callable[[torch.Tensor | None], None]) -> Iterator[None]:
    forward = mixture.router.forward

    def watched(*arguments: Any, **named: Any) -> Any:
        with _Logits(mixture.num_experts, without) as logits:
            out = forward(*arguments, **named)
        tell(logits.seen_NE)
        return out

    mixture.router.forward = watched
    try:
        yield
    finally:
        del mixture.router.forward


@contextmanager
def disabled(mixture: Mixture, expert: int, mode: Mode) -> Iterator[None]:
    """The model without one expert.

    `zero`: the tokens that chose it get nothing from it, its weight is lost. `mask`: the router cannot choose it, the
    next best takes its place and the weights are shared out again as the model does.
    """
    if mode == "mask":
        with _routed(mixture, expert, lambda _: None):
            yield
        return

    def silence(_: torch.nn.Module, given: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
        states, chosen_NK, weights_NK = given
        return states, chosen_NK, weights_NK.masked_fill(chosen_NK == expert, 0)

    hook = mixture.experts.register_forward_pre_hook(silence)
    try:
        yield
    finally:
        hook.remove()


@contextmanager
def watched(mixtures: list[Mixture]) -> Iterator[list[Choice | None]]:
    """The choices of every mixture in the last run of the model; None where they cannot be seen."""
    logits: list[torch.Tensor | None] = [None] * len(mixtures)
    choices: list[Choice | None] = [None] * len(mixtures)

    def tell(index: int) -> Callable[[torch.Tensor | None], None]:
        return lambda seen_NE: logits.__setitem__(index, seen_NE)

    def chosen(index: int) -> Callable[..., None]:
        def hook(_: torch.nn.Module, given: tuple[torch.Tensor, ...]) -> None:
            is_known = len(given) == 3 and logits[index] is not None
            choices[index] = Choice(logits[index], given[1]) if is_known else None

        return hook

    with ExitStack() as stack:
        for index, mixture in enumerate(mixtures):
            stack.enter_context(_routed(mixture, None, tell(index)))
            hook = mixture.experts.register_forward_pre_hook(chosen(index))
            stack.callback(hook.remove)
        yield choices


class Below:
    """Keeps what the layers below one give, so that a measurement made again and again starts from that layer.

    The measurement has to call the model the same way every time, without a cache of keys and values.
    """

    def __init__(self, layers: list[torch.nn.Module]) -> None:
        self._layers = layers
        self._to = 0
        self._kept: list[torch.Tensor] = []

    def advance(self, to: int, measure: Callable[[], object]) -> None:
        """Keep what the layer `to` is given, by one measurement more."""
        if to == self._to:
            return
        kept: list[torch.Tensor] = []
        hook = self._layers[to].register_forward_pre_hook(lambda _, given: kept.append(given[0]))
        try:
            with self.skipped():
                measure()
        finally:
            hook.remove()
        self._to, self._kept = to, kept

    @contextmanager
    def skipped(self) -> Iterator[None]:
        """The layers below do nothing, and their last one gives what is kept."""
        if not self._to:
            yield
            return
        kept = iter(self._kept)
        for layer in self._layers[: self._to - 1]:
            layer.forward = lambda states, *_, **__: states
        self._layers[self._to - 1].forward = lambda *_, **__: next(kept)
        try:
            yield
        finally:
            for layer in self._layers[: self._to]:
                del layer.forward

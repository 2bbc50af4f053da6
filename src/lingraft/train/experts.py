"""Mixtures of experts, whose matrices transformers keeps as one parameter of three axes.

E experts, O and I outputs and inputs of a matrix, R the rank of an adapter.
"""

import math
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch.nn.utils import parametrize


class ExpertAdapters(torch.nn.Module):
    """A low-rank addition to every expert's matrix: W + scale B A."""

    def __init__(self, shape: tuple[int, int, int], rank: int, scale: float, device: torch.device) -> None:
        super().__init__()
        num_experts, num_out, num_in = shape
        self.scale = scale
        self.lora_A_ERI = torch.nn.Parameter(torch.empty(num_experts, rank, num_in, device=device))
        self.lora_B_EOR = torch.nn.Parameter(torch.zeros(num_experts, num_out, rank, device=device))
        bound = 1 / math.sqrt(num_in)  # as adapters of linear layers start
        torch.nn.init.uniform_(self.lora_A_ERI, -bound, bound)

    def forward(self, matrices_EOI: torch.Tensor) -> torch.Tensor:
        return matrices_EOI + (self.scale * (self.lora_B_EOR @ self.lora_A_ERI)).to(matrices_EOI.dtype)


def matrices(model: torch.nn.Module) -> Iterator[tuple[torch.nn.Module, str, torch.nn.Parameter]]:
    """Every parameter that holds a matrix of all experts: its module and its name there."""
    for module in list(model.modules()):
        for name, parameter in list(module.named_parameters(recurse=False)):
            if parameter.ndim == 3:
                yield module, name, parameter


def routers(model: torch.nn.Module) -> list[torch.nn.Module]:
    """The modules that choose experts, from the first layer to the last."""
    return [module for module in model.modules() if "Router" in type(module).__name__]


def adapt(model: torch.nn.Module, shapes: dict[tuple[int, str], tuple[int, ...]], rank: int, scale: float) -> list[Any]:
    """Put adapters on the experts; the modules and names that `join` takes them from.

    `shapes` are those of the matrices before quantization, by `id` of the module and name.
    """
    adapted = []
    modules = {id(module): module for module in model.modules()}
    for (key, name), shape in shapes.items():
        module = modules[key]
        device = next(module.parameters()).device
        parametrize.register_parametrization(module, name, ExpertAdapters(shape, rank, scale, device), unsafe=True)
        adapted.append((module, name))
    for module in {key: modules[key] for key, _ in shapes}.values():
        module.forward = _with_matrices_made_once(module.forward)
    return adapted


def join(adapted: list[Any]) -> None:
    """Write the adapters into the matrices."""
    for module, name in adapted:
        parametrize.remove_parametrizations(module, name, leave_parametrized=True)
        if "forward" in vars(module):
            del module.forward


def _with_matrices_made_once(forward: Callable[..., Any]) -> Callable[..., Any]:
    """The loop over experts reads the matrices of all of them for each."""

    def cached(*arguments: Any, **named: Any) -> Any:
        with parametrize.cached():
            return forward(*arguments, **named)

    return cached


class Load:
    """Counts how often each expert of each layer is chosen in training."""

    def __init__(self, model: torch.nn.Module) -> None:
        found = routers(model)
        self._counts: list[torch.Tensor | None] = [None] * len(found)
        for layer, router in enumerate(found):
            router.register_forward_hook(self._counter(layer))

    def _counter(self, layer: int) -> Callable[..., None]:
        def count(router: torch.nn.Module, _: Any, output: Any) -> None:
            if router.training and isinstance(output, tuple):
                logits, chosen = output[0], output[-1]
                counts = torch.bincount(chosen.detach().flatten(), minlength=logits.shape[-1])
                self._counts[layer] = counts if self._counts[layer] is None else self._counts[layer] + counts

        return count

    def take(self) -> list[list[float]]:
        """The shares since the last call, by layer and expert; empty for a model without experts."""
        shares = [(counts / counts.sum()).tolist() for counts in self._counts if counts is not None]
        self._counts = [None] * len(self._counts)
        return shares

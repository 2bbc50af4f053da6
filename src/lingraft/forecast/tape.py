"""What a piece of code holds in memory and computes, told while it runs; without values as well as with them."""

import weakref
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry, sdpa_backward_flop_count, sdpa_flop_count


class Tape(TorchDispatchMode):
    """Counts the bytes that live tensors hold and the FLOPs of what is computed."""

    def __init__(self) -> None:
        super().__init__()
        self.live_bytes = self.flops = 0.0
        self._known: set[int] = set()
        self._history: list[float] = []

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        known = STAND_INS.get(function, function)
        made = known(*args, **kwargs)
        for leaf in tree_leaves(made):
            if isinstance(leaf, torch.Tensor):
                self.hold(leaf)
        formula = FLOPS.get(function._overloadpacket)
        if formula is not None:
            self.flops += formula(*args, **kwargs, out_val=made)
        self._history.append(self.live_bytes)
        return made

    def hold(self, tensor: torch.Tensor) -> None:
        """Count a tensor's storage once, for as long as it lives."""
        storage = tensor.untyped_storage()
        if (key := storage._cdata) in self._known:
            return
        self._known.add(key)
        size = storage.nbytes()
        self.live_bytes += size
        weakref.finalize(storage, self._release, key, size)

    def _release(self, key: int, size: int) -> None:
        self._known.discard(key)
        self.live_bytes -= size

    def take(self) -> list[float]:
        """The live bytes after each operation since the last call."""
        history, self._history = self._history, []
        return history or [self.live_bytes]


def _attention(query: Any, key: Any, value: Any, *_: Any, **__: Any) -> int:
    return sdpa_flop_count(query.shape, key.shape, value.shape)


def _attention_back(grad: Any, query: Any, key: Any, value: Any, *_: Any, **__: Any) -> int:
    return sdpa_backward_flop_count(grad.shape, query.shape, key.shape, value.shape)


def _by_expert(left: torch.Tensor, right: torch.Tensor, ends_E: torch.Tensor, *_: Any, **__: Any) -> torch.Tensor:
    """The shape of a product of tokens, sorted by expert, with the matrices of all experts, or of its gradient."""
    if right.ndim == 3:
        return left.new_empty(len(left), right.shape[2])
    return left.new_empty(len(ends_E), len(left), right.shape[1])


def _by_expert_flops(left: torch.Tensor, right: torch.Tensor, *_: Any, **__: Any) -> int:
    return 2 * left.shape[0] * left.shape[1] * right.shape[-1]


FLOPS = {
    **flop_registry,
    torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: _attention,
    torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward: _attention_back,
    torch.ops.aten._grouped_mm: _by_expert_flops,
}
STAND_INS = {torch.ops.aten._grouped_mm.default: _by_expert}
"""Which know no other dtype than bfloat16 where there are no values."""

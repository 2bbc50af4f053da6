"""Optimizers and their groups of parameters."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from transformers import PreTrainedModel
from transformers.trainer_pt_utils import get_parameter_names

from lingraft.core.errors import InputError

from .new_rows import tables_of
from .settings import Optimization

EIGHT_BITS = ("adamw_8bit", "paged_adamw_8bit")
OPTIMIZERS = ("adamw", *EIGHT_BITS, "muon")
# Norms and biases are never decayed; names as the Trainer of transformers knows them.
NOT_DECAYED = (r"bias", r"layernorm", r"rmsnorm", r"(?:^|\.)norm(?:$|\.)", r"_norm(?:$|\.)")
MATRICES, NEW_ROWS = "matrices", "new rows"


def make(model: PreTrainedModel, apart: Sequence[torch.nn.Parameter], settings: Optimization) -> torch.optim.Optimizer:
    """The optimizer of the parameters that move; rows of new tokens, which are `apart`, have what holds for them.

    AdamW is fused; `adamw_8bit` and `paged_adamw_8bit` keep its state in 8 bits with bitsandbytes (Dettmers et al.
    2021, arXiv 2110.02861); `muon` takes the matrices of the layers (Jordan et al. 2024), scaled to AdamW's learning
    rates (Liu et al. 2025, arXiv 2502.16982), and AdamW everything else.
    Raises InputError where bitsandbytes is not installed.
    """
    groups = _groups(model, apart, settings)
    if settings.optimizer == "muon":
        return MuonAndAdamW(groups, settings.lr)
    if settings.optimizer != "adamw":
        return _eight_bits(settings.optimizer, groups, settings.lr)
    return torch.optim.AdamW(groups, lr=settings.lr, fused=True)


def states(optimizer: torch.optim.Optimizer) -> dict[torch.nn.Parameter, dict[str, Any]]:
    """What an optimizer, wrapped by Accelerate or not, keeps for each of its parameters; to read and to fill."""
    inner = getattr(optimizer, "optimizer", optimizer)
    parts = inner.parts if isinstance(inner, MuonAndAdamW) else [inner]
    return {p: part.state[p] for part in parts for group in part.param_groups for p in group["params"]}


def _groups(
    model: PreTrainedModel, apart: Sequence[torch.nn.Parameter], settings: Optimization
) -> list[dict[str, Any]]:
    names = set(get_parameter_names(model, [torch.nn.LayerNorm], list(NOT_DECAYED)))
    not_rest = {id(parameter) for parameter in apart}
    rest = {name: p for name, p in model.named_parameters() if p.requires_grad and id(p) not in not_rest}
    in_tables = {id(p) for table in tables_of(model) for p in table.parameters()}
    groups: dict[str, list[torch.nn.Parameter]] = {MATRICES: [], "tables": [], "not decayed": [], NEW_ROWS: [*apart]}
    for name, p in rest.items():
        if name not in names:
            groups["not decayed"].append(p)
        else:
            groups[MATRICES if p.ndim == 2 and id(p) not in in_tables else "tables"].append(p)
    own = settings.new_rows
    decay = dict.fromkeys(groups, settings.weight_decay) | {"not decayed": 0.0}
    lr = dict.fromkeys(groups, settings.lr)
    if own.weight_decay is not None:
        decay[NEW_ROWS] = own.weight_decay
    if own.lr is not None:
        lr[NEW_ROWS] = own.lr
    return [
        {"name": name, "params": found, "weight_decay": decay[name], "lr": lr[name]}
        for name, found in groups.items()
        if found
    ]


def _eight_bits(name: str, groups: list[dict[str, Any]], lr: float) -> torch.optim.Optimizer:
    try:
        import bitsandbytes
    except ImportError as error:
        raise InputError(
            f"the optimizer {name} needs bitsandbytes, which is not installed.", remedy="pip install 'lingraft[gpu]'"
        ) from error
    return bitsandbytes.optim.AdamW(groups, lr=lr, optim_bits=8, is_paged=name.startswith("paged"))


class MuonAndAdamW(torch.optim.Optimizer):
    """Muon for the matrices of the layers, AdamW for the other groups."""

    def __init__(self, groups: Sequence[dict[str, Any]], lr: float) -> None:
        matrices = [group for group in groups if group["name"] == MATRICES]
        others = [group for group in groups if group["name"] != MATRICES]
        self.parts: list[torch.optim.Optimizer] = []
        if matrices:
            self.parts.append(torch.optim.Muon(matrices, lr=lr, adjust_lr_fn="match_rms_adamw"))
        if others:
            self.parts.append(torch.optim.AdamW(others, lr=lr, fused=True))
        super().__init__([group for part in self.parts for group in part.param_groups], {"lr": lr})

    def step(self, closure: Callable[[], float] | None = None) -> None:
        for part in self.parts:
            part.step()

    def state_dict(self) -> dict[str, Any]:
        return {"parts": [part.state_dict() for part in self.parts]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        for part, state in zip(self.parts, state_dict["parts"], strict=True):
            part.load_state_dict(state)
        # Loading makes new groups: a schedule must change those that the parts go by.
        self.param_groups = [group for part in self.parts for group in part.param_groups]

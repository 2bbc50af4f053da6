"""A model of which each process holds a part of every tensor (FSDP2; Zhao et al. 2023, arXiv 2304.11277).

Every layer is gathered when its turn comes and let go after it. Tables and final norm are one group that stays
gathered from the forward pass to the end of the backward pass: so tied tables are one tensor, and a loss that is made
from the LM head's weight finds it whole.
"""

import warnings
from typing import Any

import torch
from torch import distributed
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, MixedPrecisionPolicy, fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor
from transformers import PreTrainedModel

from lingraft.core.errors import InputError

from .processes import device, num_processes
from .settings import Settings

WHOLE = frozenset({"qlora", "adamw_8bit", "paged_adamw_8bit"})
"""What bitsandbytes does, on whole tensors alone."""


def is_shardable(settings: Settings) -> bool:
    """Whether a training can be one of a sharded model."""
    return not {settings.train, settings.optimizer} & WHOLE


def require_shardable(settings: Settings) -> None:
    """Raise InputError for what cannot be sharded."""
    if not is_shardable(settings):
        what = " and ".join(sorted({settings.train, settings.optimizer} & WHOLE))
        raise InputError(
            f"{what} cannot be sharded: bitsandbytes works on whole tensors.",
            remedy="Start the processes without --shard, each with a whole copy; or set train to lora and "
            "optimizer to adamw.",
        )


def shard(model: PreTrainedModel, precision: str) -> None:
    """Shard the model that the first process has loaded; the others have it on the meta device, without values.

    Under bf16 the layers are gathered and multiplied in bfloat16, as autocast has it; gradients are summed in float32.
    Raises InputError where the layers of the model are not known.
    """
    values = {name: p.detach() for name, p in model.named_parameters()} if distributed.get_rank() == 0 else {}
    _same_dtypes(model)
    mesh = init_device_mesh(device().type, (num_processes(),))
    bf16 = MixedPrecisionPolicy(param_dtype=torch.bfloat16, reduce_dtype=torch.float32, cast_forward_inputs=False)
    for layer in layers(model):
        _materialize(layer)
        fully_shard(layer, mesh=mesh, mp_policy=bf16 if precision == "bf16" else MixedPrecisionPolicy())
    _materialize(model)
    fully_shard(model, mesh=mesh)
    for name, parameter in model.named_parameters():
        _scatter(values.pop(name, None), parameter)
    for buffer in model.buffers():
        distributed.broadcast(buffer, src=0)
    for module in model.modules():
        if isinstance(module, FSDPModule):
            # What a layer is gathered into is made at the first use, which must not be one under inference mode.
            module.unshard()
            module.reshard()
    # Without a backward pass nothing lets the tables go, and what is read next would not be the sharded weights.
    model.register_forward_hook(lambda module, *_: None if module.training else module.reshard())
    # The loss by chunks gives hidden states, a view, in the place of logits; nothing changes them.
    warnings.filterwarnings("ignore", "FSDP2-wrapped module .* returned a view tensor", UserWarning)
    # To the Trainer the model is then one that takes care of its own gradients.
    model._is_distributed_loading_by_transformers = True


def is_sharded(model: torch.nn.Module) -> bool:
    return isinstance(model, FSDPModule)


def whole(tensor: torch.Tensor) -> torch.Tensor:
    """The tensor gathered from all processes, which must all ask for it."""
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


def local(tensor: torch.Tensor) -> torch.Tensor:
    """The part of this process."""
    return tensor.to_local() if isinstance(tensor, DTensor) else tensor


def layers(model: PreTrainedModel) -> list[torch.nn.Module]:
    """What is gathered together; raises InputError where the model does not say."""
    names = set(model._no_split_modules or ())
    found = [module for module in model.modules() if type(module).__name__ in names]
    if not found:
        raise InputError(
            f"{type(model).__name__} does not say what its layers are, so that it cannot be sharded.",
            remedy="Start the processes without --shard: each then holds a whole copy.",
        )
    return found


def _same_dtypes(model: PreTrainedModel) -> None:
    """A model may keep some weights in another precision when it is loaded."""
    told: list[Any] = [{name: p.dtype for name, p in model.named_parameters()}]
    distributed.broadcast_object_list(told, src=0)
    for name, parameter in model.named_parameters():
        if parameter.is_meta:
            parameter.data = parameter.data.to(told[0][name])


def _materialize(module: torch.nn.Module) -> None:
    """Give what is on the meta device memory, tied weights the same."""
    made: dict[torch.Tensor, torch.Tensor] = {}
    for part in module.modules():
        for tensors in (part._parameters, part._buffers):
            for name, tensor in tensors.items():
                if tensor is not None and tensor.is_meta:
                    if tensor not in made:
                        empty = torch.empty_like(tensor, device=device())
                        is_parameter = isinstance(tensor, torch.nn.Parameter)
                        made[tensor] = torch.nn.Parameter(empty, tensor.requires_grad) if is_parameter else empty
                    tensors[name] = made[tensor]


@torch.no_grad()
def _scatter(values: torch.Tensor | None, parameter: torch.Tensor) -> None:
    if values is None:
        values = torch.empty(parameter.shape, dtype=parameter.dtype, device=device())
    placed = distribute_tensor(values.to(device()), parameter.device_mesh, parameter.placements, src_data_rank=0)
    parameter.to_local().copy_(placed.to_local())

"""What the processes of one training must agree on."""

import torch
from torch import distributed


def num_processes() -> int:
    return distributed.get_world_size() if distributed.is_initialized() else 1


def any_of_them(found: bool) -> bool:
    """Whether it is so in any process; all get the same answer."""
    if num_processes() == 1:
        return found
    flag = torch.tensor(int(found), device="cuda" if distributed.get_backend() == "nccl" else "cpu")
    distributed.all_reduce(flag, distributed.ReduceOp.MAX)
    return bool(flag.item())


def mean(value: torch.Tensor) -> torch.Tensor:
    """The mean over all processes."""
    if num_processes() > 1:
        distributed.all_reduce(value)
        value /= num_processes()
    return value


def total(value: float) -> float:
    """The sum over all processes."""
    if num_processes() == 1:
        return value
    found = torch.tensor(value, device="cuda" if distributed.get_backend() == "nccl" else "cpu", dtype=torch.float64)
    distributed.all_reduce(found)
    return found.item()


def wait() -> None:
    """Go on when all are here."""
    if num_processes() > 1:
        distributed.barrier()

"""What the processes of one training must agree on."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import distributed

from lingraft.core.errors import StageError


def num_processes() -> int:
    return distributed.get_world_size() if distributed.is_initialized() else 1


def is_first() -> bool:
    """Whether this is the process that writes what one must write."""
    return not distributed.is_initialized() or distributed.get_rank() == 0


def any_of_them(found: bool) -> bool:
    """Whether it is so in any process; all get the same answer."""
    if num_processes() == 1:
        return found
    flag = torch.tensor(int(found), device=device())
    distributed.all_reduce(flag, distributed.ReduceOp.MAX)
    return bool(flag.item())


def mean(value: torch.Tensor) -> torch.Tensor:
    """The mean over all processes."""
    return total(value) / num_processes()


def wait() -> None:
    """Go on when all are here."""
    if num_processes() > 1:
        distributed.barrier()


def total(value: torch.Tensor) -> torch.Tensor:
    """The sum over all processes."""
    if num_processes() > 1:
        distributed.all_reduce(value)
    return value


def device() -> torch.device:
    """Where this process computes."""
    return torch.device("cuda", torch.cuda.current_device()) if torch.cuda.is_available() else torch.device("cpu")


@contextmanager
def lost_ones_told(where: object) -> Iterator[None]:
    """Raise StageError where a process that the others wait for has ended."""
    try:
        yield
    except RuntimeError as error:
        if num_processes() == 1 or not (isinstance(error, distributed.DistError) or "gloo" in str(error)):
            raise
        raise StageError(
            "another process of this training has ended, or cannot be reached any more.",
            where=where,
            remedy="Its log, <rank>-log.txt beside the checkpoints, says why. Run the same command again, with any "
            "number of processes: it goes on from the newest checkpoint.",
        ) from error

"""Several processes on one run, as torchrun, accelerate launch and Slurm start them: which of them this is."""

import os


def rank() -> int:
    """The number of this process; 0 is the one that writes, and the only one of a plain start."""
    return int(os.environ.get("RANK", "0"))


def num_processes() -> int:
    return int(os.environ.get("WORLD_SIZE", "1"))

"""Several processes on one run, as torchrun, accelerate launch and Slurm start them: which of them this is."""

import os

from .errors import InputError

SHARD = "LINGRAFT_SHARD"
"""The environment variable that says to Python what `--shard` says to the command line."""


def rank() -> int:
    """The number of this process; 0 is the one that writes, and the only one of a plain start."""
    return int(os.environ.get("RANK", "0"))


def num_processes() -> int:
    return int(os.environ.get("WORLD_SIZE", "1"))


def shard() -> None:
    """Have the processes of this launch shard the model among them."""
    os.environ[SHARD] = "true"


def sharded() -> bool:
    """Whether the processes shard the model among them (FSDP2); otherwise each has a whole copy.

    What `accelerate launch --use_fsdp` asks for is taken over from its variables, so that Accelerate itself, which
    knows nothing of our parameters, does not shard the model too.
    Raises InputError for what cannot be done: FSDP1, DeepSpeed, parameters offloaded to the processor.
    """
    if _is_set("ACCELERATE_USE_DEEPSPEED"):
        raise InputError(
            "the launcher asks for DeepSpeed, whose ZeRO keeps flat copies of the weights: what moved could not be "
            "proved, nor a checkpoint be gone on from with another number of processes.",
            remedy="FSDP2 saves the same memory: accelerate launch --use_fsdp --fsdp_version 2, "
            "or torchrun ... -m lingraft run --shard.",
        )
    if _is_set("ACCELERATE_USE_FSDP"):
        if os.environ.get("FSDP_VERSION", "1") != "2":
            raise InputError(
                "the launcher asks for FSDP1, and models are sharded with FSDP2.",
                remedy="accelerate launch --use_fsdp --fsdp_version 2",
            )
        if _is_set("FSDP_OFFLOAD_PARAMS"):
            raise InputError(
                "the launcher asks to keep the weights in the processor's memory, which is not done here.",
                remedy="Set fsdp_offload_params to false; more processes, qlora or lora need less memory.",
            )
        os.environ["ACCELERATE_USE_FSDP"] = "false"
        shard()
    return _is_set(SHARD) and num_processes() > 1


def _is_set(name: str) -> bool:
    return os.environ.get(name, "false").lower() in ("true", "1")

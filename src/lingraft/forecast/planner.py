"""What a training will take, before it begins: memory of each device, tokens a second, and what would fit."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from transformers import PretrainedConfig

from lingraft.core.devices import Device, expected_share, recognized
from lingraft.core.errors import InputError
from lingraft.train import hardware, sharding
from lingraft.train.reading import batch
from lingraft.train.settings import Settings

from . import timing
from .rehearsal import NF4_BYTES, Rehearsal, rehearse

# Python, the libraries and the data loader; on a GPU its context and the workspaces of its libraries.
RUNTIME_BYTES = {"cpu": 5.5e8, "cuda": 8e8}
HEAP_SLACK = 0.2
"""Of all else on a processor, whose allocator keeps what is freed: what is lost in holes that no later block fits into.
Fitted to benchmarks/planning.py."""
CPU_SHARE = 0.4
"""Of the speed of matrix products, where nothing can be timed."""


DOCUMENT_TOKENS = 1500
"""Of a held-out document, before any has been seen."""
START_SECONDS = 10
MORE_DEVICES = (2, 4, 8, 16, 32, 64)
NUM_ALTERNATIVES = 3


@dataclass(frozen=True)
class Prediction:
    """What a training takes on each of `num_devices`."""

    device_bytes: float
    """The most memory of one device at any moment."""
    parts: Mapping[str, float]
    """Of which these are the parts."""
    sharded: bool
    """Whether each device holds a part of weights, gradients and optimizer state, and not all of them."""
    num_devices: int
    tokens_per_second: float | None
    """Of all devices together."""
    speed_from: str
    """What the speed is reckoned from."""
    flops_per_token: float
    parameters: int
    trainable: int
    disk_bytes: float
    """Of the model, and of three checkpoints at the moment when the oldest goes."""
    start_seconds: float
    """For loading, and for measuring held-out text on the way."""


def predict(
    config: PretrainedConfig,
    settings: Settings,
    *,
    num_new: int = 0,
    device: Device | None = None,
    num_devices: int = 1,
    sharded: bool | None = None,
    measure: bool = True,
) -> Prediction:
    """What a training of this model takes, on this machine or on so many of a known device.

    The training step is run without values (see `rehearsal`). The speed is timed on this machine where it may
    `measure` (see `timing`), and for a known device reckoned from its data sheet. `num_new` are the rows of new tokens.
    `sharded` None is where the whole does not fit one device.
    """
    most = None if device is None else device.memory_bytes
    memory = _memory(config, settings, num_new, device is not None, num_devices, sharded, most)
    found, micro = memory.rehearsal, memory.micro
    seconds, speed_from = _seconds(config, settings, num_new, memory, device, measure)
    speed = None if seconds is None else settings.batch_tokens / seconds
    points = settings.curve_points + 2 * len(settings.curve_bytes)
    looked_at = points * settings.curve_documents * len(settings.mix) * DOCUMENT_TOKENS
    weights = found.weights
    stored = (config.dtype or torch.float32).itemsize * weights.parameters
    return Prediction(
        device_bytes=sum(memory.parts.values()),
        parts=memory.parts,
        sharded=memory.sharded,
        num_devices=num_devices,
        tokens_per_second=speed,
        speed_from=speed_from,
        flops_per_token=found.flops / (micro * settings.sequence_tokens),
        parameters=weights.parameters,
        trainable=weights.trainable,
        disk_bytes=stored + 3 * (weights.gradient_bytes + weights.state_bytes),
        start_seconds=START_SECONDS + (0 if speed is None else looked_at / 3 / (speed / num_devices)),
    )


def memory_bytes(config: PretrainedConfig, settings: Settings, *, num_new: int = 0) -> float:
    """The most memory of a single device of this machine."""
    return sum(_memory(config, settings, num_new, False, 1, None, None).parts.values())


def alternatives(
    config: PretrainedConfig,
    settings: Settings,
    memory_bytes: float,
    *,
    num_new: int = 0,
    device: Device | None = None,
    num_devices: int = 1,
    sharded: bool | None = None,
) -> tuple[str, ...]:
    """The first changes to the settings with which the training fits `memory_bytes`, as lines of a recipe."""
    on_gpu = device is not None or torch.cuda.is_available()
    found = []
    for changes, devices in _changes(settings, num_devices, on_gpu):
        changed = replace(settings, **changes)
        try:
            parts = _memory(config, changed, num_new, on_gpu, devices, sharded, memory_bytes).parts
        except InputError:
            continue  # the batch is not made of such micro-batches
        if sum(parts.values()) <= memory_bytes:
            lines = [f"{key}: {str(value).lower()}" for key, value in changes.items()]
            lines += [f"on {devices} devices that share the model"] if devices != num_devices else []
            found.append(f"{', '.join(lines)}  (about {sum(parts.values()) / 1e9:.0f} GB)")
        if len(found) == NUM_ALTERNATIVES:
            break
    return tuple(found)


def _changes(settings: Settings, num_devices: int, on_gpu: bool) -> Iterator[tuple[dict[str, Any], int]]:
    """From the least change to the greatest."""
    one = {} if settings.micro_batch_sequences == 1 else {"micro_batch_sequences": 1}
    again = {} if settings.gradient_checkpointing else {"gradient_checkpointing": True}
    sequences = batch(settings, num_devices)[1]
    for some in (sequences // 2, sequences // 4):
        if some > 1:
            yield {"micro_batch_sequences": some}, num_devices
    for changes in (one, again, {**again, **one}):
        if changes:
            yield changes, num_devices
    if settings.train == "full":
        yield {"train": "lora", **again, **one}, num_devices
    if settings.train in ("full", "lora"):
        yield {"train": "qlora", **again, **one}, num_devices
    for more in MORE_DEVICES if on_gpu else ():
        if more > num_devices:
            yield {**again, **one}, more


@dataclass(frozen=True)
class _Memory:
    parts: dict[str, float]
    sharded: bool
    rehearsal: Rehearsal
    micro: int
    micro_batches: float


def _memory(
    config: PretrainedConfig,
    settings: Settings,
    num_new: int,
    on_gpu: bool,
    num_devices: int,
    sharded: bool | None,
    most_bytes: float | None,
) -> _Memory:
    kind = "cuda" if on_gpu or torch.cuda.is_available() else "cpu"
    batch_sequences, micro = batch(settings, num_devices)
    micro_batches = batch_sequences / (micro * num_devices)
    here = {"sequences": micro, "accumulated": micro_batches > 1, "kind": kind}
    found = rehearse(config, settings, num_new, **here)
    runtime = {"runtime": RUNTIME_BYTES[kind]}
    parts = {**_whole(found, settings, num_devices, kind), **runtime}
    if kind == "cpu":
        parts["holes of the allocator"] = HEAP_SLACK * sum(parts.values())
    if sharded is None:
        too_large = num_devices > 1 and most_bytes is not None and sum(parts.values()) > most_bytes
        sharded = too_large and sharding.is_shardable(settings)
    if sharded:
        sharding.require_shardable(settings)
        apart = rehearse(config, settings, num_new, **here, sharded=True)
        parts = {**_sharded(found, apart, settings, num_devices, micro_batches > 1), **runtime}
    return _Memory(parts, sharded, found, micro, micro_batches)


def _whole(found: Rehearsal, settings: Settings, num_devices: int, kind: str) -> dict[str, float]:
    weights = found.weights
    parts = {
        "weights": weights.weights_bytes,
        "optimizer": 0.0 if settings.optimizer.startswith("paged") else weights.state_bytes,
        "gradients, activations, loss": found.training_bytes,
    }
    # A GPU's allocator gives one and the same memory to both, a processor's keeps large blocks beside small ones.
    beside = found.held_out_bytes if kind == "cpu" else found.held_out_bytes - found.training_bytes
    if beside > 0:
        parts["held-out text"] = beside
    if settings.train == "qlora":
        parts["matrices out of 4 bits"] = 2.0 * weights.largest_matrix
    if num_devices > 1:
        parts["gradients on their way"] = weights.gradient_bytes  # the buckets of DDP
    return parts


def _sharded(
    whole: Rehearsal, apart: Rehearsal, settings: Settings, num_devices: int, accumulated: bool
) -> dict[str, float]:
    """FSDP: each layer is gathered for its time in bfloat16, the next one meanwhile; tables for all of the time."""
    weights = whole.weights
    width = NF4_BYTES if settings.train == "qlora" else 2.0 if settings.precision == "bf16" else 4.0
    moving = weights.trainable / weights.parameters
    kept = apart.weights.gradient_bytes if accumulated else 0.0
    parts = _whole(whole, settings, 1, "cuda")
    return {
        "weights": parts["weights"] / num_devices,
        "optimizer": parts["optimizer"] / num_devices,
        "gradients": weights.gradient_bytes / num_devices,
        "gathered": width * (2 + moving) * weights.largest_layer + (2 + 2 * moving) * weights.outside_layers,
        "activations, loss": max(apart.forward_bytes, apart.backward_bytes[0]) - kept,
    }


def _seconds(
    config: PretrainedConfig,
    settings: Settings,
    num_new: int,
    memory: _Memory,
    device: Device | None,
    measure: bool,
) -> tuple[float | None, str]:
    """Seconds of an optimizer step, and what they are reckoned from."""
    found = memory.rehearsal
    if device is None and torch.cuda.is_available() and not measure:
        device = recognized(torch.cuda.get_device_name())
    if device is not None:
        if settings.precision != "bf16":
            return None, f"unknown: the data sheet of {device.name} is read for bf16 alone"
        share = expected_share(device, found.weights.parameters)
        seconds = memory.micro_batches * found.flops / (share * device.flops_per_second)
        return seconds, f"{share:.1%} of {device.flops_per_second / 1e12:.0f} TFLOP/s"
    timed = timing.measure(config, settings, num_new, memory.micro, found) if measure else None
    if timed is not None:
        return memory.micro_batches * timed.micro_batch + timed.step, "timed on this machine"
    peak, _ = hardware.peak_flops_per_second(settings.precision)
    seconds = memory.micro_batches * found.flops / (CPU_SHARE * peak)
    return seconds, f"{CPU_SHARE:.0%} of what matrix products reach here"

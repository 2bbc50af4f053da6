"""How fast the device could multiply, and what a training makes of it."""

import time
from typing import Any

import torch

from lingraft.core.devices import recognized

SIDE, RUNS = 2048, 5


def utilization(flops: float, seconds: float, num_processes: int, precision: str) -> dict[str, Any]:
    """The share of the device's peak that a training reached (MFU), the peak and where it is from, peak memory."""
    peak, source = peak_flops_per_second(precision)
    memory = torch.cuda.max_memory_allocated() if torch.cuda.is_available() else None
    return {
        "mfu": flops / seconds / num_processes / peak,
        "peak_flops_per_second": peak,
        "peak_from": source,
        "device_memory_bytes": memory,
    }


def peak_flops_per_second(precision: str) -> tuple[float, str]:
    """Of one device: from its data sheet where that is known and the precision is bf16, else measured."""
    if torch.cuda.is_available() and precision == "bf16":
        known = recognized(torch.cuda.get_device_name())
        if known is not None:
            return known.flops_per_second, f"data sheet of {known.name}"
    return _measured(torch.bfloat16 if precision == "bf16" else torch.float32), "measured"


def _measured(dtype: torch.dtype) -> float:
    """The best of a few products of large matrices."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    matrix = torch.ones(SIDE, SIDE, dtype=dtype, device=device)
    best = float("inf")
    for _ in range(RUNS + 1):
        began = time.perf_counter()
        (matrix @ matrix)[0, 0].item()
        best = min(best, time.perf_counter() - began)
    return 2 * SIDE**3 / best

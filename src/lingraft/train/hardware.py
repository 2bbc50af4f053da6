"""How fast the device could multiply, and what a training makes of it."""

import functools
import time
from typing import Any

import torch

from lingraft.core.devices import recognized

SIDES, RUNS = (256, 512, 1024, 2048), 5
LONG_SECONDS = 0.2
"""A product that takes as long is large enough: larger ones would take minutes where bfloat16 is emulated."""


def utilization(flops: float, seconds: float, num_processes: int, precision: str) -> dict[str, Any]:
    """Precision, the share of the device's peak that a training reached (MFU), that peak, its source, peak memory."""
    peak, source = peak_flops_per_second(precision)
    memory = torch.cuda.max_memory_allocated() if torch.cuda.is_available() else None
    return {
        "precision": precision,
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


@functools.cache
def _measured(dtype: torch.dtype) -> float:
    """The best of a few products of matrices, as large as can be multiplied in a moment."""
    _seconds(SIDES[0], dtype)  # the first product of all loads the library
    side = next((side for side in SIDES if _seconds(side, dtype) >= LONG_SECONDS), SIDES[-1])
    return 2 * side**3 / min(_seconds(side, dtype) for _ in range(RUNS))


def _seconds(side: int, dtype: torch.dtype) -> float:
    """Of one product of two square matrices."""
    matrix = torch.ones(side, side, dtype=dtype, device="cuda" if torch.cuda.is_available() else "cpu")
    began = time.perf_counter()
    (matrix @ matrix)[0, 0].item()
    return time.perf_counter() - began

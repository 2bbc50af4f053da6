"""How fast the device could multiply, and what a training makes of it."""

import time
from typing import Any

import torch

# FLOPs a second, dense bfloat16 products with float32 sums, from the makers' data sheets; the first name that fits.
DATA_SHEETS = {
    "H200": 989e12,
    "H100 PCIe": 756e12,
    "H100": 989e12,
    "A100": 312e12,
    "L40S": 362e12,
    "RTX 4090": 165e12,
}
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
        name = torch.cuda.get_device_name()
        for known, peak in DATA_SHEETS.items():
            if known in name:
                return peak, f"data sheet of {known}"
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

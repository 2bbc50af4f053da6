"""What this machine is, how fast it multiplies, and which versions are installed."""

import functools
import os
import platform
import subprocess
import time
from importlib import metadata
from pathlib import Path

PACKAGES = ("lingraft", "torch", "transformers", "tokenizers", "accelerate", "peft", "datasets", "safetensors", "numpy")


@functools.cache
def describe() -> dict[str, object]:
    """Processor, cores, memory in bytes, GPU names, Python and platform."""
    import psutil

    return {
        "cpu": _cpu(),
        "cores": _cores(),
        "memory_bytes": psutil.virtual_memory().total,
        "gpu": _gpus(),
        "python": platform.python_version(),
        "platform": platform.platform(terse=True),
    }


@functools.cache
def versions() -> dict[str, str]:
    """The installed versions of the packages that can change a result."""
    return {name: metadata.version(name) for name in PACKAGES}


@functools.cache
def matmul_flops_per_second() -> float:
    """Float32 matrix products per second as the processor does them now: the yardstick of time forecasts."""
    import numpy as np

    side = 1024
    matrix = np.ones((side, side), dtype=np.float32)
    matrix @ matrix
    best = float("inf")
    for _ in range(5):
        start = time.perf_counter()
        matrix @ matrix
        best = min(best, time.perf_counter() - start)
    return 2 * side**3 / best


def _cores() -> int | None:
    """The processors this process may use; macOS only tells how many there are."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


def _cpu() -> str:
    path = Path("/proc/cpuinfo")
    if path.exists():
        for line in path.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _gpus() -> list[str]:
    try:
        answer = subprocess.run(
            ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"], capture_output=True, text=True, check=True
        )
    except (FileNotFoundError, subprocess.CalledProcessError):
        return []
    return answer.stdout.split("\n")[:-1]

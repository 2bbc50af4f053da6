"""What this machine is, how fast it multiplies, and which versions are installed."""

import functools
import os
import platform
import subprocess
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Literal

PACKAGES = ("lingraft", "torch", "transformers", "tokenizers", "accelerate", "peft", "datasets", "safetensors", "numpy")
CPUINFO = Path("/proc/cpuinfo")


@functools.cache
def describe() -> dict[str, object]:
    """Processor, cores, memory in bytes, GPU names, Python and platform."""
    import psutil

    return {
        "cpu": _cpu(),
        "cores": _cores(),
        "memory_bytes": psutil.virtual_memory().total,
        "gpu": [gpu.name for gpu in gpus()],
        "python": platform.python_version(),
        "platform": platform.platform(terse=True),
    }


@functools.cache
def versions() -> dict[str, str]:
    """The installed versions of the packages that can change a result."""
    return {name: metadata.version(name) for name in PACKAGES}


def _cores() -> int | None:
    """The processors this process may use; macOS only tells how many there are."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


def _cpu() -> str:
    if CPUINFO.exists():
        for line in CPUINFO.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


@dataclass(frozen=True)
class Gpu:
    """A GPU as its driver describes it."""

    name: str
    memory_bytes: float
    driver: str
    compute_capability: float

    @property
    def bf16(self) -> bool:
        """Whether it multiplies bfloat16: from Ampere on."""
        return self.compute_capability >= 8.0


@functools.cache
def gpus() -> tuple[Gpu, ...]:
    """The NVIDIA GPUs of this machine."""
    asked = "name,memory.total,driver_version,compute_cap"
    try:
        answer = subprocess.run(
            ["nvidia-smi", f"--query-gpu={asked}", "--format=csv,noheader,nounits"],
            capture_output=True,
            text=True,
            check=True,
        )
    except (FileNotFoundError, subprocess.CalledProcessError):
        return ()
    return tuple(_gpu(line) for line in answer.stdout.splitlines() if line.strip())


def _gpu(line: str) -> Gpu:
    name, mebibytes, driver, capability = (part.strip() for part in line.split(","))
    return Gpu(name, float(mebibytes) * 2**20, driver, float(capability))


def precision() -> Literal["bf16", "fp32"]:
    """What trainings here multiply in if nothing else is said: bfloat16 where every device has instructions for it.

    One that has none emulates it, and a processor is slower by ten times and more for it.
    """
    native = all(gpu.bf16 for gpu in gpus()) if gpus() else bf16_of_processor() is not None
    return "bf16" if native else "fp32"


def bf16_of_processor() -> str | None:
    """The best instructions that the processor has for bfloat16; None where it is emulated in float32."""
    flags = CPUINFO.read_text().split() if CPUINFO.exists() else []
    return next((flag for flag in ("amx_bf16", "avx512_bf16", "bf16") if flag in flags), None)

"""What this machine has, for a person to read."""

import shutil
import textwrap
from importlib.util import find_spec
from pathlib import Path

from rich.text import Text

from . import machine
from .screen import amount

EXTRAS = {
    "gpu": ("bitsandbytes", "liger_kernel"),
    "ray": ("ray",),
    "gguf": ("gguf",),
    "vectors": ("gensim",),
    "energy": ("codecarbon",),
    "track": ("trackio", "wandb"),
}
"""The modules of each optional extra."""
WIDTH = 79


def memory_of_a_device() -> float:
    """What a training may use: of the first GPU, or of the machine where there is none."""
    found = machine.gpus()
    return found[0].memory_bytes if found else float(str(machine.describe()["memory_bytes"]))


def facts_text(store: Path) -> Text:
    """Processor, memory, disk, GPUs, bfloat16, packages and extras."""
    here = machine.describe()
    text = Text()
    for what, value in (
        ("processor", f"{here['cpu']}, {here['cores']} cores"),
        ("memory", f"{amount(memory_free(), 'B')} free of {amount(float(str(here['memory_bytes'])), 'B')}"),
        ("disk", f"{amount(_free(store), 'B')} free where {store} is"),
        *(("GPU", _gpu(gpu)) for gpu in machine.gpus()),
        *((("GPU", "none that nvidia-smi knows"),) if not machine.gpus() else ()),
        ("bf16", _bf16()),
        ("python", f"{here['python']} on {here['platform']}"),
        ("packages", ", ".join(f"{name} {version}" for name, version in machine.versions().items())),
        ("extras", _extras()),
    ):
        lines = _folded(value)
        text.append(f"{what:11}", style="bold cyan")
        text.append(f"\n{'':11}".join(lines) + "\n", style="not bold")
    return text


def memory_free() -> float:
    """What programs can still have."""
    import psutil

    return psutil.virtual_memory().available


def _free(store: Path) -> int:
    place = store.absolute()
    while not place.exists():
        place = place.parent
    return shutil.disk_usage(place).free


def _gpu(gpu: machine.Gpu) -> str:
    return f"{gpu.name}, {amount(gpu.memory_bytes, 'B')}, driver {gpu.driver}"


def _bf16() -> str:
    if machine.gpus():
        lacking = [gpu.name for gpu in machine.gpus() if not gpu.bf16]
        if lacking:
            return f"not on {lacking[0]} (compute capability below 8.0): trainings take fp32"
        return "yes"
    by = machine.bf16_of_processor()
    return "the processor only emulates it: trainings take fp32" if by is None else f"the processor has {by}"


def _extras() -> str:
    said = []
    for extra, modules in EXTRAS.items():
        missing = [module for module in modules if find_spec(module) is None]
        said.append(f"{extra}: {'installed' if not missing else 'without ' + ', '.join(missing)}")
    return "; ".join(said)


def _folded(text: str) -> list[str]:
    return textwrap.wrap(text, WIDTH - 11)

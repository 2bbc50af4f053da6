"""Hardware that a training can be planned for, from the makers' data sheets."""

from dataclasses import dataclass

from .errors import RecipeError
from .registry import did_you_mean


@dataclass(frozen=True)
class Device:
    """One GPU: its memory, what it multiplies, and what it draws."""

    name: str
    """As the driver has it, in part; of two that fit the first is meant."""
    memory_bytes: float
    flops_per_second: float
    """Dense bfloat16 products with float32 sums."""
    watts: float
    """The most it draws: TDP, or total board power."""
    source: str
    published_share: tuple[float, float] = (0.418, 0.464)
    """Of these FLOPs, what others' trainings of 1 and 7 billion weights reached; see `expected_share`."""


DEVICES = {
    "h200": Device("H200", 141e9, 989e12, 700, "https://www.nvidia.com/en-us/data-center/h200/"),
    "h100-pcie": Device("H100 PCIe", 80e9, 756e12, 350, "https://www.nvidia.com/en-us/data-center/h100/"),
    "h100": Device("H100", 80e9, 989e12, 700, "https://www.nvidia.com/en-us/data-center/h100/"),
    "a100-40gb": Device(
        "A100-SXM4-40GB", 40e9, 312e12, 400, "https://www.nvidia.com/en-us/data-center/a100/", (0.599, 0.642)
    ),
    "a100-80gb": Device("A100", 80e9, 312e12, 400, "https://www.nvidia.com/en-us/data-center/a100/", (0.599, 0.642)),
    "a40": Device("NVIDIA A40", 48e9, 149.7e12, 300, "https://www.nvidia.com/en-us/data-center/a40/"),
    "l40s": Device("L40S", 48e9, 362e12, 350, "https://www.nvidia.com/en-us/data-center/l40s/"),
    # The sheet has 1,457 TFLOP/s in 8 bits with sparsity; dense bfloat16 is a quarter of it.
    "rtx-6000-ada": Device(
        "RTX 6000 Ada", 48e9, 364.2e12, 300, "https://www.nvidia.com/en-us/products/workstations/rtx-6000/"
    ),
    "rtx-4090": Device(
        "RTX 4090",
        24e9,
        165e12,
        450,
        "https://images.nvidia.com/aem-dam/Solutions/geforce/ada/nvidia-ada-gpu-architecture.pdf",
    ),
}


@dataclass(frozen=True)
class Target:
    """So many devices of a kind."""

    device: Device
    num_devices: int = 1
    sharded: bool | None = None
    """Whether the model is divided among them; None is where the whole does not fit one."""


SHARES_FROM = "llm-foundry, scripts/train/benchmarking/README.md"


def named(name: str) -> Device:
    """The device of this name. Raises RecipeError where the table has none."""
    if name not in DEVICES:
        raise RecipeError(
            f'no data sheet of a device "{name}" is known. {did_you_mean(name, DEVICES)}',
            remedy=f"Known are {', '.join(DEVICES)}.",
        )
    return DEVICES[name]


def recognized(driver_name: str) -> Device | None:
    """The device that a driver calls so, as far as its data sheet is known."""
    return next((device for device in DEVICES.values() if device.name in driver_name), None)


def expected_share(device: Device, parameters: float) -> float:
    """Of the device's FLOPs, what a training of so many weights should reach.

    From what MosaicML published of MPT models at 2048 tokens on 8 GPUs without checkpointing (H100: 0.418 for 1B,
    0.464 for 7B; A100: 0.599 and 0.642). Devices without published figures are taken to be as an H100.
    """
    small, large = device.published_share
    return large if parameters >= 4e9 else small

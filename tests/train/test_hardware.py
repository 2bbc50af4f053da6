import pytest
import torch

from lingraft.train import hardware
from lingraft.train.hardware import peak_flops_per_second, utilization


@pytest.mark.parametrize(
    ("name", "peak"),
    [
        ("NVIDIA H200", 989e12),
        ("NVIDIA H100 80GB HBM3", 989e12),
        ("NVIDIA H100 PCIe", 756e12),
        ("NVIDIA A100-SXM4-80GB", 312e12),
        ("NVIDIA L40S", 362e12),
        ("NVIDIA GeForce RTX 4090", 165e12),
    ],
)
def test_known_devices(name: str, peak: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: name)
    found, source = peak_flops_per_second("bf16")
    assert found == peak
    assert source.startswith("data sheet of ")


def test_a_processor_is_measured() -> None:
    assert not torch.cuda.is_available()
    found = utilization(1e9, 2.0, 2, "fp32")
    assert (found["precision"], found["peak_from"]) == ("fp32", "measured")
    assert 1e8 < found["peak_flops_per_second"] < 1e14
    assert found["mfu"] == pytest.approx(2.5e8 / found["peak_flops_per_second"])
    assert found["device_memory_bytes"] is None


def test_what_is_slow_is_measured_with_small_matrices(monkeypatch: pytest.MonkeyPatch) -> None:
    tried = []

    def emulated(side: int, dtype: torch.dtype) -> float:
        tried.append(side)
        return 2 * side**3 / 1e9

    monkeypatch.setattr(hardware, "_seconds", emulated)
    assert hardware._measured.__wrapped__(torch.bfloat16) == pytest.approx(1e9)
    assert max(tried) == 512

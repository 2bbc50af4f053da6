import pytest
import torch

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
    assert found["peak_from"] == "measured"
    assert 1e8 < found["peak_flops_per_second"] < 1e14
    assert found["mfu"] == pytest.approx(2.5e8 / found["peak_flops_per_second"])
    assert found["device_memory_bytes"] is None

from pathlib import Path

import pytest

from lingraft.core import machine
from lingraft.core.machine import Gpu

AMPERE, VOLTA = Gpu("A100", 8e10, "570.1", 8.0), Gpu("Tesla V100", 3.2e10, "570.1", 7.0)


@pytest.mark.parametrize(
    ("gpus", "flags", "precision"),
    [
        ((), "fpu avx2 avx512f", "fp32"),
        ((), "fpu avx512f avx512_bf16", "bf16"),
        ((), "fpu avx512f avx512_bf16 amx_bf16", "bf16"),
        ((), "fp asimd bf16", "bf16"),
        ((), None, "fp32"),
        ((AMPERE,), "fpu avx2", "bf16"),
        ((AMPERE, VOLTA), "fpu avx512_bf16", "fp32"),
    ],
)
def test_trainings_multiply_in_what_the_machine_has(
    gpus: tuple[Gpu, ...], flags: str | None, precision: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "gpus", lambda: gpus)
    monkeypatch.setattr(machine, "CPUINFO", tmp_path / "cpuinfo")
    if flags is not None:
        (tmp_path / "cpuinfo").write_text(f"processor\t: 0\nflags\t\t: {flags}\n", encoding="utf-8")
    assert machine.precision() == precision

import resource
from pathlib import Path

import pytest
import torch
from bitsandbytes.optim import AdamW8bit

from lingraft.train import checkpoints, optimizers
from lingraft.train.optimizers import MATRICES, MuonAndAdamW


def make(kind: str, named: dict[str, torch.nn.Parameter]) -> torch.optim.Optimizer:
    if kind == "muon":
        groups = [{"name": MATRICES, "params": [named["weight"]]}, {"name": "rest", "params": [named["bias"]]}]
        return MuonAndAdamW(groups, 1e-3)
    return {"adamw": torch.optim.AdamW, "8 bits": AdamW8bit}[kind](named.values(), lr=1e-3)


def step(named: dict[str, torch.nn.Parameter], optimizer: torch.optim.Optimizer, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    for parameter in named.values():
        parameter.grad = torch.randn(parameter.shape, generator=generator)
    optimizer.step()


@pytest.mark.parametrize("kind", ["adamw", "muon", "8 bits"])
def test_what_is_read_is_what_was_written(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoints, "FILE_BYTES", 1 << 10)
    torch.manual_seed(1)
    named = dict(torch.nn.Linear(128, 128).named_parameters())
    optimizer = make(kind, named)
    step(named, optimizer, 1)
    step(named, optimizer, 2)
    checkpoints.save_training(tmp_path, named, optimizer)
    assert len(list((tmp_path / checkpoints.STATE).glob("*.safetensors"))) > 1
    before = {name: p.detach().clone() for name, p in named.items()}
    step(named, optimizer, 3)
    after = {name: p.detach().clone() for name, p in named.items()}
    again = make(kind, named)
    checkpoints.load_training(tmp_path, named, again)
    assert all(torch.equal(p, before[name]) for name, p in named.items())
    step(named, again, 3)
    assert all(torch.equal(p, after[name]) for name, p in named.items())
    kept, found = optimizers.states(optimizer), optimizers.states(again)
    assert all(kept[p].keys() == found[p].keys() != set() for p in named.values())


def test_the_disk_is_told_as_such(tmp_path: Path) -> None:
    tensors = {"weight": torch.ones(1 << 16)}
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 12, limits[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            checkpoints.save(tmp_path / "weights", tensors)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)

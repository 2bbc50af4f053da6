"""Two processes on one training, over gloo."""

import dataclasses
import os
import pickle
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file

from lingraft.core.launch import SHARD
from lingraft.train.pretrain import pretrain
from lingraft.train.settings import Forgetting, Lora, NewRows, Settings

NEW = list(range(350, 400))
DRIVER = """
import os, pickle, sys
from torch import distributed
from lingraft.core.progress import Progress
from lingraft.train.pretrain import pretrain

class Stopper(Progress):
    def __init__(self, tokens):
        self.left = tokens
    def advance(self, amount=1):
        self.left -= amount
        if self.left <= 0:
            os._exit(9)

arguments, named, tokens = pickle.load(sys.stdin.buffer)
figures = pretrain(*arguments, **named, progress=Stopper(tokens))
sys.stdout.buffer.write(pickle.dumps(figures))
distributed.destroy_process_group()
"""

Together = Callable[..., list[tuple[int, dict[str, Any] | None]]]


@pytest.fixture
def together(tiny_base: Path, packed: Path, corpus: Path) -> Together:
    def run(
        folder: Path, settings: Settings, base: Path = tiny_base, tokens: float = 1e9, sharded: bool = False
    ) -> list[Any]:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        given = pickle.dumps(((base, packed, corpus, folder, settings), {"new_ids": NEW}, tokens))
        processes = []
        for rank in range(2):
            place = {
                SHARD: sharded,
                "RANK": rank,
                "LOCAL_RANK": rank,
                "WORLD_SIZE": 2,
                "MASTER_ADDR": "127.0.0.1",
                "MASTER_PORT": port,
            }
            process = subprocess.Popen(
                [sys.executable, "-c", DRIVER],
                env={**os.environ, **{name: str(value) for name, value in place.items()}, "OMP_NUM_THREADS": "1"},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
            )
            process.stdin.write(given)
            process.stdin.close()
            process.stdin = None
            processes.append(process)
        ended = []
        for process in processes:
            out, told = process.communicate(timeout=200)
            assert process.returncode in (0, 9), told.decode()
            ended.append((process.returncode, pickle.loads(out) if out else None))
        return ended

    return run


@pytest.mark.parametrize("sharded", [False, True])
@pytest.mark.parametrize(
    ("changes", "tied"),
    [
        ({"train": "full", "new_rows": NewRows(lr=1e-3)}, True),
        ({"train": "lora", "lora": Lora(rank=4, alpha=8, dropout=0.0)}, False),
    ],
)
def test_two_processes_train_as_one(
    changes: dict[str, Any],
    tied: bool,
    sharded: bool,
    together: Together,
    tiny_base: Path,
    tiny_untied_base: Path,
    packed: Path,
    corpus: Path,
    settings: Settings,
    tmp_path: Path,
) -> None:
    changed = dataclasses.replace(settings, micro_batch_sequences=2, **changes)
    base = tiny_base if tied else tiny_untied_base
    alone = pretrain(base, packed, corpus, tmp_path / "one", changed, new_ids=NEW)
    (_, first), (_, second) = together(tmp_path / "two", changed, base, sharded=sharded)
    assert first["processes"] == 2
    for ours, theirs in zip(first["curve"], alone["curve"], strict=True):
        assert ours["loss"] == pytest.approx(theirs["loss"], rel=1e-3)
    for ours, theirs in zip(first["held_out_curve"], alone["held_out_curve"], strict=True):
        assert ours["bits_per_byte"] == pytest.approx(theirs["bits_per_byte"], rel=1e-3)
        assert ours["bytes"] == theirs["bytes"]
    assert second["held_out_curve"][-1]["bits_per_byte"] == first["held_out_curve"][-1]["bits_per_byte"]
    one, two = (load_file(tmp_path / name / "model.safetensors") for name in ("one", "two"))
    for name, tensor in one.items():
        assert (two[name] - tensor).abs().mean() < 0.02 * settings.lr


def test_two_processes_go_on_where_they_stopped_and_one_after_them(
    together: Together, tiny_base: Path, packed: Path, corpus: Path, settings: Settings, tmp_path: Path
) -> None:
    often = dataclasses.replace(settings, checkpoint_minutes=0, forgetting=Forgetting(0.01))
    (_, whole), _ = together(tmp_path / "whole", often)
    for name in ("two", "one"):
        (code, _), _ = together(tmp_path / name, often, tokens=5 * settings.batch_tokens)
        assert code == 9
    (_, two), _ = together(tmp_path / "two", often)
    weights = [(tmp_path / name / "model.safetensors").read_bytes() for name in ("whole", "two")]
    assert weights[0] == weights[1]
    one = pretrain(tiny_base, packed, corpus, tmp_path / "one", often, new_ids=NEW)
    for found in (two, one):
        for ours, theirs in zip(found["curve"], whole["curve"], strict=True):
            assert ours["loss"] == pytest.approx(theirs["loss"], rel=1e-3)

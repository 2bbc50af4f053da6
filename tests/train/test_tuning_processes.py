"""Two processes on one fine-tuning, over gloo, each with a whole copy."""

import os
import pickle
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file
from tuning_for_tests import DPO, SFT

from lingraft.train.dpo import dpo
from lingraft.train.sft import sft

DRIVER = """
import os, pickle, sys
from torch import distributed
from lingraft.train.dpo import dpo
from lingraft.train.sft import sft

found = [{"sft": sft, "dpo": dpo}[kind](*given) for kind, given in pickle.load(sys.stdin.buffer)]
sys.stdout.buffer.write(pickle.dumps(found))
sys.stdout.buffer.flush()
distributed.destroy_process_group()
os._exit(0)
"""


def together(given: list[tuple[str, tuple[Any, ...]]]) -> list[list[dict[str, Any]]]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    processes = []
    for rank in range(2):
        place = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": 2, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
        environment = {**os.environ, **{name: str(value) for name, value in place.items()}, "OMP_NUM_THREADS": "1"}
        pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
        process = subprocess.Popen([sys.executable, "-c", DRIVER], env=environment, **pipes)
        process.stdin.write(pickle.dumps(given))
        process.stdin.close()
        process.stdin = None
        processes.append(process)
    found = []
    for process in processes:
        out, said = process.communicate(timeout=200)
        assert process.returncode == 0, said.decode()[-3000:]
        found.append(pickle.loads(out))  # what this test wrote itself
    return found


def test_two_processes_train_as_one_does(
    tmp_path: Path,
    tiny_base: Path,
    said: Path,
    preferred: Path,
) -> None:
    of_sft = replace(SFT, micro_batch_sequences=1, epochs=2)
    of_dpo = replace(DPO, micro_batch_sequences=1, epochs=2)
    folders = {name: tmp_path / name for name in ("sft", "dpo", "sft-alone", "dpo-alone")}
    for folder in folders.values():
        folder.mkdir()
    both = together(
        [
            ("sft", (tiny_base, said, folders["sft"], of_sft)),
            ("dpo", (tiny_base, preferred, folders["dpo"], of_dpo)),
        ]
    )
    alone = [
        sft(tiny_base, said, folders["sft-alone"], of_sft),
        dpo(tiny_base, preferred, folders["dpo-alone"], of_dpo),
    ]
    for found, expected, kind in zip(both[0], alone, ("sft", "dpo"), strict=True):
        assert found["processes"] == 2
        assert found["steps"] == expected["steps"]
        losses, wanted = ([point["loss"] for point in one["curve"]] for one in (found, expected))
        assert losses == pytest.approx(wanted, rel=2e-3)
        weights, whole = (load_file(folders[name] / "model.safetensors") for name in (kind, f"{kind}-alone"))
        gap = max((weights[name] - whole[name]).abs().max().item() for name in whole)
        assert gap < 2e-3

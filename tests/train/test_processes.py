"""Two processes on one training, over gloo: with whole copies (DDP) and sharded (FSDP2)."""

import os
import pickle
import shutil
import socket
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

from lingraft.core.artifact import SCRATCH
from lingraft.core.errors import InputError
from lingraft.core.launch import SHARD
from lingraft.train.checkpoints import newest
from lingraft.train.pretrain import pretrain
from lingraft.train.settings import Forgetting, Lora, NewRows, Settings
from lingraft.train.sharding import layers

NEW = list(range(350, 400))
LORA = Lora(rank=4, alpha=8, dropout=0.0)
STOPPED_AT = 5
DRIVER = """
import os, pickle, sys
from torch import distributed
from lingraft.core.errors import LingraftError
from lingraft.core.progress import Progress
from lingraft.train.pretrain import pretrain

class Stopper(Progress):
    def __init__(self, tokens):
        self.left = tokens
    def advance(self, amount=1):
        self.left -= amount
        if self.left <= 0:
            os._exit(9)

results = []
for arguments, new_ids, sharded, tokens in pickle.load(sys.stdin.buffer):
    os.environ["LINGRAFT_SHARD"] = str(sharded)
    try:
        results.append(pretrain(*arguments, new_ids=new_ids, progress=Stopper(tokens)))
    except LingraftError as error:
        results.append(str(error))
sys.stdout.buffer.write(pickle.dumps(results))
sys.stdout.buffer.flush()
if not isinstance(results[-1], str):
    distributed.destroy_process_group()
os._exit(0)
"""


@dataclass(frozen=True)
class Training:
    """What is given to `pretrain`, and whether its processes shard the model."""

    base: Path
    folder: Path
    settings: Settings
    sharded: bool = False

    @property
    def weights(self) -> dict[str, torch.Tensor]:
        return load_file(self.folder / "model.safetensors")


@dataclass(frozen=True)
class Data:
    packed: Path
    corpus: Path

    def alone(self, training: Training) -> dict[str, Any]:
        """In this process."""
        return pretrain(training.base, self.packed, self.corpus, training.folder, training.settings, new_ids=NEW)

    def together(self, *trainings: Training, lost: int | None = None) -> list[list[Any]]:
        """In two processes, one after another; what each gave. The one that is `lost` ends in the first, unasked."""
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        processes = []
        for rank in range(2):
            place = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": 2, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
            process = subprocess.Popen(
                [sys.executable, "-c", DRIVER],
                env={**os.environ, **{name: str(value) for name, value in place.items()}, "OMP_NUM_THREADS": "1"},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
            )
            given = [
                (
                    (one.base, self.packed, self.corpus, one.folder, one.settings),
                    NEW,
                    one.sharded,
                    STOPPED_AT * one.settings.batch_tokens if rank == lost else 1e9,
                )
                for one in trainings
            ]
            process.stdin.write(pickle.dumps(given))
            process.stdin.close()
            process.stdin = None
            processes.append(process)
        results = []
        for rank, process in enumerate(processes):
            out, told = process.communicate(timeout=200)
            assert process.returncode == (9 if rank == lost else 0), told.decode()
            results.append(pickle.loads(out) if out else [])
        return results


@dataclass(frozen=True)
class Known:
    """Trainings in one process and in two, and the figures of each."""

    one: dict[str, tuple[Training, dict[str, Any]]]
    two: dict[str, tuple[Training, list[dict[str, Any]]]]


def ways(settings: Settings, tied: Path, untied: Path, mixture: Path) -> dict[str, tuple[Path, Settings]]:
    small = replace(settings, micro_batch_sequences=2)
    memory = {"gradient_checkpointing": True, "precision": "bf16"}
    return {
        "tied, full, own new rows": (tied, replace(small, new_rows=NewRows(lr=1e-3))),
        "untied, lora": (untied, replace(small, train="lora", lora=LORA, **memory)),
        "mixture, lora": (mixture, replace(small, train="lora", lora=replace(LORA, router=True))),
        "tied, full, muon": (tied, replace(small, optimizer="muon")),
        "tied, rolled back": (tied, replace(small, forgetting=Forgetting(-0.9, "roll_back"))),
    }


@pytest.fixture(scope="module")
def data(packed: Path, corpus: Path) -> Data:
    return Data(packed, corpus)


@pytest.fixture(scope="module")
def often(settings: Settings) -> Settings:
    return replace(settings, checkpoint_minutes=0, forgetting=Forgetting(100.0, "roll_back"))


@pytest.fixture(scope="module")
def lost(tmp_path_factory: pytest.TempPathFactory, data: Data, tiny_base: Path, often: Settings) -> dict[bool, Path]:
    """What trainings leave of which one of two processes has ended at the end of a step; sharded and not."""
    found = {}
    for is_sharded in (False, True):
        training = Training(tiny_base, tmp_path_factory.mktemp("lost"), often, is_sharded)
        (told,), _ = data.together(training, lost=1)
        assert "another process of this training has ended" in told
        assert newest(training.folder / SCRATCH).name == f"checkpoint-{STOPPED_AT - 1}"
        found[is_sharded] = training.folder
    return found


@pytest.fixture(scope="module")
def known(
    tmp_path_factory: pytest.TempPathFactory,
    data: Data,
    settings: Settings,
    often: Settings,
    tiny_base: Path,
    tiny_untied_base: Path,
    mixture: Path,
    lost: dict[bool, Path],
) -> Known:
    folder = tmp_path_factory.mktemp("processes")
    wanted = ways(settings, tiny_base, tiny_untied_base, mixture)
    one = {name: Training(base, folder / f"one, {name}", chosen) for name, (base, chosen) in wanted.items()}
    one["undisturbed"] = Training(tiny_base, folder / "one", often)
    two = {}
    for is_sharded, how in ((False, "whole"), (True, "sharded")):
        for name, training in one.items():
            two[f"{how}, {name}"] = replace(training, folder=folder / f"{how}, {name}", sharded=is_sharded)
        two[f"{how}, gone on"] = Training(tiny_base, lost[is_sharded], often, is_sharded)
        one[f"{how}, gone on"] = Training(tiny_base, folder / f"gone on, {how}", often)
        shutil.copytree(lost[is_sharded], one[f"{how}, gone on"].folder)
    single = {name: (training, data.alone(training)) for name, training in one.items()}
    noisy = replace(settings, neftune_alpha=5.0)
    two["sharded, noise"] = Training(tiny_base, folder / "noise", noisy, sharded=True)
    two["sharded, from one"] = Training(tiny_base, folder / "from one", often, sharded=True)
    last = newest(one["undisturbed"].folder / SCRATCH)
    shutil.copytree(last, two["sharded, from one"].folder / SCRATCH / last.name)
    results = data.together(*two.values())
    return Known(
        single, {name: (training, list(found)) for (name, training), *found in zip(two.items(), *results, strict=True)}
    )


WAYS = ("tied, full, own new rows", "untied, lora", "mixture, lora", "tied, full, muon", "tied, rolled back")


@pytest.mark.parametrize("how", ["whole", "sharded"])
@pytest.mark.parametrize("way", WAYS)
def test_two_processes_train_as_one(way: str, how: str, known: Known) -> None:
    (one, alone), (two, (first, second)) = known.one[way], known.two[f"{how}, {way}"]
    assert first["processes"] == 2
    for ours, theirs in zip(first["curve"], alone["curve"], strict=True):
        assert ours["loss"] == pytest.approx(theirs["loss"], rel=1e-3)
    for ours, theirs in zip(first["held_out_curve"], alone["held_out_curve"], strict=True):
        assert ours["bits_per_byte"] == pytest.approx(theirs["bits_per_byte"], rel=1e-3)
        assert ours["bytes"] == theirs["bytes"]
    assert second["held_out_curve"][-1]["bits_per_byte"] == first["held_out_curve"][-1]["bits_per_byte"]
    for key in ("parameters", "trainable_parameters", "groups", "proof", "flops", "loss"):
        assert first[key] == second[key] == alone[key]
    plain, gathered = one.weights, two.weights
    assert plain.keys() == gathered.keys()
    # Muon multiplies in bfloat16, where the parts of a product summed in another order differ more.
    within = 0.05 if one.settings.optimizer == "muon" else 0.02
    for name, tensor in plain.items():
        assert gathered[name].dtype == tensor.dtype
        assert (gathered[name] - tensor).abs().mean() < within * one.settings.lr


@pytest.mark.parametrize("how", ["whole", "sharded"])
def test_a_lost_process_ends_the_others_and_the_same_command_goes_on(how: str, known: Known) -> None:
    (undisturbed, (whole, _)), (again, (found, _)) = known.two[f"{how}, undisturbed"], known.two[f"{how}, gone on"]
    assert (undisturbed.folder / "model.safetensors").read_bytes() == (again.folder / "model.safetensors").read_bytes()
    assert [point["loss"] for point in found["curve"]] == [point["loss"] for point in whole["curve"]]


def test_a_training_goes_on_with_another_number_of_processes(known: Known) -> None:
    _, undisturbed = known.one["undisturbed"]
    for found in (
        known.one["whole, gone on"][1],
        known.one["sharded, gone on"][1],
        known.two["sharded, from one"][1][0],
    ):
        assert found["steps"] == undisturbed["steps"]
        for ours, theirs in zip(found["curve"], undisturbed["curve"], strict=True):
            assert ours["loss"] == pytest.approx(theirs["loss"], rel=1e-3)


def test_noise_on_sharded_embeddings(known: Known) -> None:
    _, (plain, _) = known.two["sharded, undisturbed"]
    _, (noisy, _) = known.two["sharded, noise"]
    assert noisy["held_out_curve"][0]["bits_per_byte"] == plain["held_out_curve"][0]["bits_per_byte"]
    assert noisy["curve"][0]["loss"] != plain["curve"][0]["loss"]
    assert noisy["proof"]["did_not_move"] == []


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"train": "qlora"}, "qlora cannot be sharded"),
        ({"optimizer": "adamw_8bit"}, "adamw_8bit cannot be sharded"),
        ({"train": "qlora", "optimizer": "paged_adamw_8bit"}, "paged_adamw_8bit and qlora cannot be sharded"),
    ],
)
def test_what_cannot_be_sharded(
    changes: dict[str, str], told: str, tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(SHARD, "true")
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(InputError, match=f"{told}: bitsandbytes works on whole tensors(.|\n)*without --shard"):
        pretrain(tmp_path, tmp_path, tmp_path, tmp_path, replace(settings, **changes))


def test_a_model_whose_layers_are_not_known(tiny_base: Path) -> None:
    model = AutoModelForCausalLM.from_pretrained(tiny_base)
    assert len(layers(model)) == 2
    model._no_split_modules = None
    with pytest.raises(InputError, match=r"LlamaForCausalLM does not say what its layers are(.|\n)*without --shard"):
        layers(model)

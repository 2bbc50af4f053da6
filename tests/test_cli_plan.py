"""`lingraft plan` for other hardware, launch files, and `lingraft doctor`."""

import json
import shutil
import tomllib
from pathlib import Path

import pytest
from click.testing import Result
from ruamel.yaml import YAML
from typer.testing import CliRunner

from lingraft.cli import app
from lingraft.core import machine
from lingraft.core.devices import DEVICES, expected_share, named, recognized
from lingraft.core.doctor import EXTRAS
from lingraft.core.errors import RecipeError
from lingraft.forecast import sizes

SHA = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture(autouse=True)
def _somewhere_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LINGRAFT_STORE", raising=False)
    monkeypatch.setenv("COLUMNS", "100")


def call(*arguments: str, exit_code: int = 0) -> Result:
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == exit_code, result.output
    return result


def refused(*arguments: str) -> str:
    return call(*arguments, exit_code=2).stderr


def test_a_training_is_planned_for_named_devices() -> None:
    told = call(
        "plan", "starter", "--on", "h200", "--devices", "8", "--price-per-device-hour", "3.5", "--grid-g-per-kwh", "400"
    ).stdout
    assert "pretrain on 8 x H200, the whole model on each" in told
    assert "of 141.0 GB each" in told
    assert "(41.8% of 989 TFLOP/s)" in told
    assert "kWh, at 700 W each" in told
    assert "kg CO2 at 400 g/kWh" in told
    assert "device hours at 3.5" in told
    assert max(len(line) for line in told.splitlines()) <= 100
    assert (
        "the model divided among them" in call("plan", "starter", "--on", "h100", "--devices", "2", "--sharded").stdout
    )


def test_this_machine_is_timed() -> None:
    told = call("plan", "starter").stdout
    assert "pretrain on this machine" in told
    assert "(timed on this machine)" in told
    assert "energy    unknown" in told


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--on", "h20"], 'no data sheet of a device "h20" is known. Did you mean "h200"?'),
        (["--devices", "8"], "--devices and --sharded say nothing without the device."),
        (["--write", "slurm"], "a launch file is written for named devices."),
        (["--on", "h200", "--write", "slrm"], 'no launch file is known for "slrm".\n  Did you mean "slurm"?'),
        (["--on", "h200", "--devices", "3"], "is not made of whole micro-batches"),
    ],
)
def test_what_cannot_be_planned(options: list[str], said: str) -> None:
    assert said in refused("plan", "starter", *options)


def test_a_slurm_file() -> None:
    told = call("plan", "starter", "--on", "h200", "--devices", "16", "--write", "slurm").stdout
    assert told.startswith("#!/bin/bash\n# 2 x 8 H200, about ")
    assert "#SBATCH --nodes=2\n" in told
    assert "#SBATCH --gpus-per-node=8\n" in told
    assert "-m lingraft run starter --store" in told


def test_a_kubernetes_file() -> None:
    told = call("plan", "starter", "--on", "h100", "--devices", "4", "--write", "kubernetes").stdout
    service, job = YAML(typ="safe").load_all(told)
    assert service["kind"] == "Service"
    assert job["spec"]["parallelism"] == 1
    container = job["spec"]["template"]["spec"]["containers"][0]
    assert container["resources"]["limits"]["nvidia.com/gpu"] == 4
    assert "--nproc-per-node=4" in container["command"]


@pytest.fixture
def without_weights(tmp_path: Path, tiny_base: Path) -> Path:
    """A recipe whose base has no weights here."""
    shutil.copytree(tiny_base, tmp_path / "base")
    (tmp_path / "base" / "model.safetensors").unlink()
    lines = "".join(json.dumps({"text": f"Zdanie numer {n}."}) + "\n" for n in range(8))
    (tmp_path / "pl.jsonl").write_text(lines, encoding="utf-8")
    (tmp_path / "r.yaml").write_text(
        "base: {model: base}\nlanguage: pl\nstages:\n"
        "  corpus: {target: [{path: pl.jsonl}], held_out_docs: 2}\n"
        "  pack: {sequence_tokens: 32}\n"
        "  pretrain: {budget_tokens: 1.0e6, mix: {target: 1.0}, batch_tokens: 512}\n",
        encoding="utf-8",
    )
    return tmp_path


def test_weights_need_not_be_here_to_plan_for_elsewhere(without_weights: Path) -> None:
    assert "pretrain on A100" in call("plan", "r.yaml", "--on", "a100-80gb").stdout
    assert "the weights must be safetensors" in refused("plan", "r.yaml")
    assert "the weights must be safetensors" in refused("check", "r.yaml")
    told = call("plan", "r.yaml", "--on", "a100-80gb", "-s", "pretrain.train=qlora").stdout
    assert "matrices out of 4 bits" in told


def test_texts_need_not_be_here_to_plan_for_elsewhere(without_weights: Path) -> None:
    (without_weights / "pl.jsonl").unlink()
    told = call("plan", "r.yaml", "--on", "a40", "--devices", "4").stdout
    assert "1 sources, target of unknown size" in told
    assert "pretrain on 4 x NVIDIA A40" in told
    assert "kWh, at 300 W each" in told
    unknown = call("plan", "r.yaml", "--on", "a40", "-s", "pretrain.budget_tokens=", "-s", "pretrain.epochs=2").stdout
    assert "\n  time" not in unknown.partition("pretrain on")[2]
    some = call("plan", "r.yaml", "--on", "a40", "-s", "pretrain.budget_tokens=", "-s", "pretrain.budget_bytes=3e6")
    assert "\n  time" in some.stdout.partition("pretrain on")[2]
    assert "there is no such file" in refused("plan", "r.yaml")


def test_what_works_on_whole_tensors_is_not_planned_as_divided() -> None:
    said = "qlora cannot be sharded: bitsandbytes works on whole tensors."
    assert said in refused(
        "plan", "starter", "--on", "h100", "--devices", "2", "--sharded", "-s", "pretrain.train=qlora"
    )


def test_a_hub_base_is_planned_from_its_config(without_weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = without_weights / "cache"
    repository = cache / "models--owner--name"
    shutil.move(without_weights / "base", repository / "snapshots" / SHA)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(SHA, encoding="utf-8")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(cache))
    told = call("plan", "r.yaml", "-s", "base.model=owner/name").stdout
    assert "hub owner/name" in told
    assert "pretrain on this machine" in told


def test_a_config_that_transformers_does_not_know(without_weights: Path) -> None:
    config = without_weights / "base" / "config.json"
    config.write_text('{"model_type": "no_such_model"}', encoding="utf-8")
    assert "transformers cannot read this config" in refused("plan", "r.yaml", "--on", "h200")


def test_too_little_memory_names_what_would_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(machine.describe(), "memory_bytes", 1.2e9)
    told = refused("check", "starter")
    assert "pretrain: the step needs about 2 GB of memory, this machine has 1 GB." in told
    assert "It would fit with one of these in pretrain:" in told or "Nothing that was tried fits" in told


def test_doctor(monkeypatch: pytest.MonkeyPatch) -> None:
    first = dict(list(sizes.SIZES.items())[:1])
    monkeypatch.setattr(sizes, "SIZES", first)
    told = call("doctor").stdout
    for word in ("processor", "memory", "disk", "bf16", "packages", "extras", "torch", "Qwen 0.5B", "qlora"):
        assert word in told
    assert max(len(line) for line in told.splitlines()) <= 100


def test_doctor_knows_every_extra() -> None:
    project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert set(EXTRAS) == set(project["optional-dependencies"]) - {"dev"}


def test_a_gpu_without_bf16_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    old = machine._gpu("Tesla V100-SXM2-16GB, 16384, 550.54.15, 7.0")
    assert (old.name, old.memory_bytes, old.bf16) == ("Tesla V100-SXM2-16GB", 2**34, False)
    monkeypatch.setattr(machine, "gpus", lambda: (old,))
    monkeypatch.setattr(sizes, "SIZES", {})
    told = call("doctor").stdout
    assert "not on Tesla V100-SXM2-16GB (compute capability below 8.0)" in " ".join(told.split())
    assert "driver 550.54.15" in told


def test_devices_have_sources() -> None:
    assert set(DEVICES) >= {"h100", "h200", "a100-80gb", "a100-40gb", "a40", "l40s", "rtx-6000-ada", "rtx-4090"}
    assert recognized("NVIDIA RTX A4000") is None
    for device in DEVICES.values():
        assert device.source.startswith("https://")
        assert recognized(f"NVIDIA {device.name}") is device
    assert recognized("NVIDIA A100-SXM4-80GB") is DEVICES["a100-80gb"]
    assert recognized("a toaster") is None
    assert [expected_share(named("h100"), size) for size in (1e9, 7e9)] == [0.418, 0.464]
    with pytest.raises(RecipeError, match='no data sheet of a device "tpu" is known'):
        named("tpu")

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from lingraft.core.errors import InputError
from lingraft.core.progress import Progress
from lingraft.graft import checkpoint

INDEX = "model.safetensors.index.json"


@pytest.fixture
def sharded(tmp_path: Path) -> Path:
    """Three tensors a shard, two shards, of odd sizes and several types."""
    folder = tmp_path / "sharded"
    folder.mkdir()
    files = {}
    for shard in ("a", "b"):
        tensors = {
            f"{shard}.first": torch.arange(7, dtype=torch.int8),
            f"{shard}.second": torch.randn(5, 3, generator=torch.Generator().manual_seed(1)).bfloat16(),
            f"{shard}.third": torch.randn(11, generator=torch.Generator().manual_seed(2)),
        }
        save_file(tensors, folder / f"{shard}.safetensors", {"format": "pt"})
        files |= dict.fromkeys(tensors, f"{shard}.safetensors")
    index = {"metadata": {"total_size": 2 * (7 + 30 + 44)}, "weight_map": files}
    (folder / INDEX).write_text(json.dumps(index), encoding="utf-8")
    return folder


@pytest.mark.parametrize("chunk_bytes", [1, 5, 8 << 20])
def test_changed_tensors_stand_between_untouched_ones(
    chunk_bytes: int, sharded: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoint, "CHUNK_BYTES", chunk_bytes)
    weights = checkpoint.open(sharded)
    changed = {"a.second": torch.ones(8, 3).bfloat16(), "a.third": torch.zeros(2)}
    (tmp_path / "new").mkdir()
    weights.write(tmp_path / "new", changed)
    assert (tmp_path / "new/b.safetensors").read_bytes() == (sharded / "b.safetensors").read_bytes()
    before, after = load_file(sharded / "a.safetensors"), load_file(tmp_path / "new/a.safetensors")
    assert list(before) == list(after)
    for name, tensor in after.items():
        assert torch.equal(tensor, changed.get(name, before[name]))
        assert tensor.dtype == before[name].dtype
    with safe_open(tmp_path / "new/a.safetensors", "pt") as file:
        assert file.metadata() == {"format": "pt"}
    index = json.loads((tmp_path / "new" / INDEX).read_text(encoding="utf-8"))
    assert index["metadata"]["total_size"] == 2 * (7 + 30 + 44) + 3 * 3 * 2 - 9 * 4


@pytest.mark.parametrize(("elements", "lengths"), [(1, [1] * 5), (7, [2, 2, 1]), (99, [5])])
def test_a_tensor_in_parts(sharded: Path, elements: int, lengths: list[int]) -> None:
    weights = checkpoint.open(sharded)
    parts = list(weights.parts("b.second", elements))
    assert [len(part) for part in parts] == lengths
    assert torch.equal(torch.cat(parts), weights.load("b.second"))


def test_a_single_number_is_one_part(tmp_path: Path) -> None:
    save_file({"scale": torch.tensor(2.0)}, tmp_path / "model.safetensors")
    assert list(checkpoint.open(tmp_path).parts("scale", 10)) == [torch.tensor(2.0)]


def test_a_tensor_in_memory_of_its_own(sharded: Path) -> None:
    weights = checkpoint.open(sharded)
    table = weights.load("b.second")
    shutil.rmtree(sharded)
    assert table.shape == (5, 3)
    assert table.isfinite().all()


def test_the_bar_ends_where_the_bytes_of_the_old_files_end(sharded: Path, tmp_path: Path) -> None:
    class Bar(Progress):
        total = done = 0.0

        def start(self, what: str, total: float | None = None, unit: str = "") -> None:
            assert (what, unit) == ("writing the weights", "B")
            self.total = total or 0

        def advance(self, amount: float = 1) -> None:
            self.done += amount

    weights, bar = checkpoint.open(sharded), Bar()
    (tmp_path / "new").mkdir()
    weights.write(tmp_path / "new", {"a.second": torch.ones(8, 3).bfloat16()}, progress=bar)
    headers = sum(shard.start for shard in weights.shards.values() if shard.path.name == "a.safetensors")
    assert bar.done == bar.total - headers


class TestRefusals:
    def refuse(self, folder: Path, message: str) -> None:
        with pytest.raises(InputError, match=message):
            checkpoint.open(folder)

    def test_a_shard_cut_short(self, sharded: Path) -> None:
        path = sharded / "b.safetensors"
        path.write_bytes(path.read_bytes()[:-9])
        self.refuse(
            sharded, r"b.safetensors: the weights cannot be read: it has [\d,]+ bytes, and by its header(.|\n)*Do"
        )

    def test_a_header_cut_short(self, sharded: Path) -> None:
        path = sharded / "b.safetensors"
        path.write_bytes(path.read_bytes()[:40])
        self.refuse(sharded, r"b.safetensors: the weights cannot be read: its header is no safetensors header")

    def test_an_empty_file(self, sharded: Path) -> None:
        (sharded / "a.safetensors").write_bytes(b"")
        self.refuse(sharded, r"a.safetensors: the weights cannot be read: its header is no safetensors header")

    def test_a_page_in_place_of_the_file(self, sharded: Path) -> None:
        (sharded / "a.safetensors").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:00\n")
        self.refuse(sharded, r"a.safetensors: the weights cannot be read: its header is no safetensors header")

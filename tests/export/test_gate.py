import json
import math
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file

from lingraft.core.errors import StageError
from lingraft.export import gate, hub_folder


@pytest.fixture
def exported(tiny_base: Path, tmp_path: Path) -> Path:
    hub_folder.write(tiny_base, tmp_path / "hf", "")
    return tmp_path / "hf"


def change_weight(folder: Path, value: float) -> None:
    weights = load_file(folder / "model.safetensors")
    weights["model.norm.weight"][3] += value
    save_file(weights, folder / "model.safetensors", {"format": "pt"})


def test_passes(tiny_base: Path, exported: Path, polish: list[str]) -> None:
    texts = [*polish[:3], polish[3] * 10, "a\x00b \N{GRINNING FACE}"]
    assert gate.check(tiny_base, exported, texts) == {
        "token_ids_identical": True,
        "logits_identical": True,
        "max_logit_difference": 0.0,
        "texts": 5,
    }


def test_changed_weight(tiny_base: Path, exported: Path, polish: list[str]) -> None:
    change_weight(exported, 1e-3)
    told = r"hf: the exported folder does not give what the model gives: .*_ids_identical': True, 'logits_identical': F"
    with pytest.raises(StageError, match=told):
        gate.check(tiny_base, exported, polish[:2])


def test_weights_that_are_no_numbers_do_not_pass(exported: Path, polish: list[str]) -> None:
    change_weight(exported, math.nan)
    with pytest.raises(StageError, match="the exported folder does not give what the model gives"):
        gate.check(exported, exported, polish[:2])


def test_changed_tokenizer(tiny_base: Path, exported: Path, polish: list[str]) -> None:
    content = json.loads((exported / "tokenizer.json").read_text(encoding="utf-8"))
    content["post_processor"] = None
    (exported / "tokenizer.json").write_text(json.dumps(content), encoding="utf-8")
    told = "the exported folder does not give what the model gives: {'token_ids_identical': False"
    with pytest.raises(StageError, match=told):
        gate.check(tiny_base, exported, polish[:2])


def test_folder_that_does_not_load(tiny_base: Path, exported: Path, polish: list[str]) -> None:
    (exported / "config.json").unlink()
    with pytest.raises(StageError, match=r"hf: a fresh process could not load the exported folder:\n(.*\n)*.*Error"):
        gate.check(tiny_base, exported, polish[:2])

"""The stage: what it finds wrong before anything runs, and what later stages are told of its model."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from conftest import save_llama
from lingraft.core.artifact import Store
from lingraft.core.errors import LingraftError
from lingraft.core.plan import Step, plan
from lingraft.core.recipe import load
from lingraft.core.stage import Input, Job, Settings
from lingraft.stages import base, chat_vector, table

RECIPE = """
base: {model: base}
language: pl
stages:
  corpus: {target: [{path: pl.jsonl}], held_out_docs: 2}
  tokenizer: {method: keep, new_tokens: 0}
  graft: {}
  chat_vector: {instruct: {model: instruct}}
  export: {}
"""


@pytest.fixture
def folder(tmp_path: Path, tiny_base: Path) -> Path:
    shutil.copytree(tiny_base, tmp_path / "base")
    shutil.copytree(tiny_base, tmp_path / "instruct")
    save_llama(tmp_path / "instruct", tied=True, rows=400, seed=6)
    (tmp_path / "instruct" / "chat_template.jinja").write_text("{{ messages }}", encoding="utf-8")
    lines = "".join(json.dumps({"text": f"Zdanie numer {n}."}) + "\n" for n in range(8))
    (tmp_path / "pl.jsonl").write_text(lines, encoding="utf-8")
    (tmp_path / "r.yaml").write_text(RECIPE, encoding="utf-8")
    return tmp_path


def planned(folder: Path, *overrides: str) -> dict[str, Step]:
    stages = table()
    steps = plan(load(folder / "r.yaml", stages, overrides), stages, Store(folder / "store"))
    return {step.name: step for step in steps}


def test_the_adapted_model_is_the_nearest_and_the_base_that_of_the_recipe(folder: Path) -> None:
    steps = planned(folder)
    config = steps["chat_vector"].config
    assert (config.model, config.base, config.weight) == ("graft", "base", 1.0)
    assert steps["export"].config.model == "chat_vector"
    forecast = steps["chat_vector"].forecast
    assert (forecast.disk_bytes, forecast.figures) == (
        steps["graft"].forecast.disk_bytes,
        steps["graft"].forecast.figures,
    )


def test_the_instruct_model_is_known_by_its_content(folder: Path) -> None:
    before = planned(folder)["chat_vector"].fingerprint
    shutil.move(folder / "instruct", folder / "moved")
    assert planned(folder, "chat_vector.instruct.model=moved")["chat_vector"].fingerprint == before
    assert planned(folder, "chat_vector.instruct.model=base")["chat_vector"].fingerprint != before
    assert planned(folder, "chat_vector.instruct.model=moved", "chat_vector.weight=0.5")["chat_vector"].fingerprint != (
        before
    )


def test_the_model_and_its_figures(folder: Path) -> None:
    step = planned(folder)["chat_vector"]
    described = {"model": "base", "trust_remote_code": False, "new_ids": [[390, 400]], **base.describe(folder / "base")}
    inputs = {name: Input("", name, folder / "base", described, {}) for name in ("base", "graft")}
    work = folder / "work"
    work.mkdir()
    job = Job(step.config, inputs, work, Settings(), folder, "")
    figures = chat_vector.run(job)
    assert {key: figures[key] for key in ("model", "trust_remote_code", "new_ids", "parameters")} == {
        key: described[key] for key in ("model", "trust_remote_code", "new_ids", "parameters")
    }
    assert (figures["instruct"], figures["weight"], figures["chat_template"]) == ("instruct", 1.0, True)
    made, instruct = (load_file(path / "model.safetensors") for path in (work, folder / "instruct"))
    assert all(torch.equal(made[name], instruct[name]) for name in instruct)
    assert chat_vector.run(job) == figures


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["chat_vector.instruct.model=./none"], 'chat_vector: .*there is no folder "./none"'),
        (["chat_vector.weight=-1"], r"chat_vector\.weight: input should be greater than or equal to 0"),
        (["chat_vector.base=corpus"], r'chat_vector\.base: the stage "corpus" does not come before this one, or'),
        (["chat_vector={}"], r"chat_vector\.instruct: .*(needed|required)"),
    ],
)
def test_mistakes(folder: Path, overrides: list[str], said: str) -> None:
    with pytest.raises(LingraftError, match=said):
        planned(folder, *overrides)


def test_an_instruct_model_of_another_architecture(folder: Path) -> None:
    path = folder / "instruct" / "config.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps(content | {"num_hidden_layers": 3}), encoding="utf-8")
    with pytest.raises(
        LingraftError,
        match=r"chat_vector: .*instruct/config\.json: the instruct model is not made from this base: "
        "num_hidden_layers is 3 and in the base 2",
    ):
        planned(folder)

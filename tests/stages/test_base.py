"""What is refused as a base before anything runs, and how one is found on disk, in the hub cache, or not at all."""

import json
import shutil
from pathlib import Path

import pytest

from lingraft.core.artifact import Store
from lingraft.core.errors import LingraftError
from lingraft.core.plan import Step, plan
from lingraft.core.recipe import json_schema, load
from lingraft.core.stage import Job, Settings
from lingraft.stages import base, table

SHA = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def folder(tmp_path: Path, tiny_base: Path) -> Path:
    """A recipe of nothing but texts, and a base beside it."""
    shutil.copytree(tiny_base, tmp_path / "base")
    lines = "".join(json.dumps({"text": f"Zdanie numer {n}."}) + "\n" for n in range(8))
    (tmp_path / "pl.jsonl").write_text(lines, encoding="utf-8")
    (tmp_path / "r.yaml").write_text(
        "base: {model: base}\nlanguage: pl\nstages: {corpus: {target: [{path: pl.jsonl}], held_out_docs: 2}}\n",
        encoding="utf-8",
    )
    return tmp_path


def planned(folder: Path, *overrides: str) -> Step:
    stages = table()
    return plan(load(folder / "r.yaml", stages, overrides), stages, Store(folder / "store"))[0]


def refused(folder: Path, said: str, *overrides: str) -> None:
    with pytest.raises(LingraftError, match=said):
        planned(folder, *overrides)


def run(folder: Path, step: Step) -> dict:
    work = folder / "work"
    work.mkdir(exist_ok=True)
    return base.run(Job(step.config, {}, work, Settings(), folder, ""))


def test_a_whole_base_is_linked_and_measured(folder: Path) -> None:
    step = planned(folder)
    figures = run(folder, step)
    assert figures == step.forecast.figures
    assert (figures["model"], figures["model_type"], figures["dtype"]) == ("base", "llama", "F32")
    assert (figures["vocabulary"], figures["hidden_size"], figures["layers"], figures["tied"]) == (400, 32, 2, True)
    # 400 x 32 rows, two layers of 4 attention and 3 feed-forward matrices and 2 norms, one norm at the end
    assert figures["parameters"] == 400 * 32 + 2 * (2 * 32 * 32 + 2 * 32 * 16 + 3 * 32 * 64 + 2 * 32) + 32
    assert (folder / "work" / "model.safetensors").resolve() == folder / "base" / "model.safetensors"
    assert run(folder, step) == figures


def test_an_exported_base_goes_by_the_name_of_its_run(folder: Path) -> None:
    shutil.move(folder / "base", folder / "runs" / "mine" / "export" / "hf")
    step = planned(folder, "base.model=runs/mine/export/hf")
    assert run(folder, step)["model"] == step.forecast.figures["model"] == "mine"


def test_a_base_is_known_by_its_content(folder: Path) -> None:
    before = planned(folder).fingerprint
    (folder / "base").rename(folder / "moved")
    assert planned(folder, "base.model=moved").fingerprint == before
    config = folder / "moved" / "config.json"
    config.write_text(config.read_text(encoding="utf-8") + " ", encoding="utf-8")
    assert planned(folder, "base.model=moved").fingerprint != before


@pytest.mark.parametrize("name", ["./none", "/none", "none", "~/none", "a/b/c"])
def test_no_folder_and_no_hub_id(folder: Path, name: str) -> None:
    refused(folder, f'base: .*: there is no folder "{name}", and it is no hub id of the form', f"base.model={name}")


def test_a_folder_without_a_config(folder: Path) -> None:
    (folder / "base" / "config.json").unlink()
    refused(folder, r"this is no model folder: there is no config\.json\.")


def test_a_folder_without_a_tokenizer(folder: Path) -> None:
    (folder / "base" / "tokenizer.json").unlink()
    refused(folder, r"the base has no tokenizer\.json\.\n  AutoTokenizer\.from_pretrained")


def test_a_folder_without_weights(folder: Path) -> None:
    (folder / "base" / "model.safetensors").unlink()
    refused(folder, "the weights must be safetensors, and there are none at all")


def test_pickled_weights(folder: Path) -> None:
    (folder / "base" / "model.safetensors").rename(folder / "base" / "pytorch_model.bin")
    refused(
        folder, r"there are only pytorch_model\.bin, a pickle that can run code when it is opened\.\n  Convert them"
    )


@pytest.mark.parametrize("content", [b'{"model_type": ', b"\xff\xfe"])
def test_a_config_that_is_no_json(folder: Path, content: bytes) -> None:
    (folder / "base" / "config.json").write_bytes(content)
    refused(folder, r"config\.json: config\.json is not valid JSON: ")


@pytest.mark.parametrize("content", ["{}", "[]", "3"])
def test_a_config_that_names_no_model(folder: Path, content: str) -> None:
    (folder / "base" / "config.json").write_text(content, encoding="utf-8")
    refused(folder, r"config\.json names no model_type\.")


@pytest.mark.parametrize(
    ("text", "said"),
    [("{", r"tokenizer\.json is not valid JSON: "), ("[]", r"tokenizer\.json holds no tokenizer model\.")],
)
def test_a_tokenizer_file_that_is_none(folder: Path, text: str, said: str) -> None:
    (folder / "base" / "tokenizer.json").write_text(text, encoding="utf-8")
    refused(folder, said)


@pytest.mark.parametrize("kept", [0, 5, 8, 300, -1])
def test_weights_that_are_cut_off(folder: Path, kept: int) -> None:
    weights = folder / "base" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:kept])
    refused(folder, r"model\.safetensors: this is not a whole safetensors file\.\n  Download or copy it again\.")


@pytest.mark.parametrize("content", [b"\xff" * 64, b"\x02" + bytes(7) + b"{}", b"not a model at all"])
def test_weights_that_are_something_else(folder: Path, content: bytes) -> None:
    (folder / "base" / "model.safetensors").write_bytes(content)
    refused(folder, "this is not a whole safetensors file")


def test_a_shard_that_is_missing(folder: Path) -> None:
    index = {"weight_map": {"a": "model.safetensors", "b": "model-00002.safetensors"}}
    (folder / "base" / "model.safetensors.index.json").write_text(json.dumps(index), encoding="utf-8")
    refused(folder, r"model-00002\.safetensors of the weights is not there\.")


def test_a_hub_id_is_found_in_the_cache(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = tmp_path / "cache"
    repository = cache / "models--owner--name"
    shutil.move(folder / "base", repository / "snapshots" / SHA)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(SHA, encoding="utf-8")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(cache))
    step = planned(folder, "base.model=owner/name")
    assert step.outside == {"model": f"owner/name@{SHA}", "revision": ""}
    assert step.fingerprint == planned(folder, "base.model=owner/name", f"base.revision={SHA}").fingerprint
    figures = run(folder, step)
    assert (figures["model"], figures["vocabulary"]) == ("owner/name", 400)
    assert (folder / "work" / "config.json").resolve() == repository / "snapshots" / SHA / "config.json"
    refused(folder, 'the model "owner/name" is not in the local cache', "base.model=owner/name", "base.revision=v2")


def test_a_hub_id_out_of_reach(folder: Path) -> None:
    said = r'base: the hub cannot be reached, and the model "no-owner/of-that-name" is not in the local cache\.\n'
    refused(folder, said + "  Check the network and HF_HUB_OFFLINE", "base.model=no-owner/of-that-name")


SMALL = "base={architecture: {model_type: llama, hidden_size: 32, intermediate_size: 64, num_hidden_layers: 2, "
SMALL += "num_attention_heads: 4, max_position_embeddings: 128, tie_word_embeddings: true}}"


def test_a_new_model_is_made_and_measured_and_comes_out_again_after_a_stop(folder: Path) -> None:
    step = planned(folder, SMALL)
    work = folder / "work"
    work.mkdir()
    (work / "model.safetensors").write_bytes(b"half a file")
    job = Job(step.config, {}, work, step.settings, folder, "")
    figures = base.run(job)
    first = {path.name: path.read_bytes() for path in work.iterdir()}
    assert base.run(job) == figures
    assert {path.name: path.read_bytes() for path in work.iterdir()} == first
    assert (figures["model"], figures["from_scratch"], figures["dtype"]) == ("new llama", True, "BF16")
    assert figures["parameters"] == 259 * 32 + 2 * (4 * 32 * 32 + 3 * 32 * 64 + 2 * 32) + 32
    without_header = {"weight_bytes": 2 * figures["parameters"]}
    assert {**figures, **without_header} == step.forecast.figures


def test_a_new_model_is_known_by_its_whole_config_and_the_seed(folder: Path) -> None:
    before = planned(folder, SMALL).fingerprint
    assert planned(folder, SMALL, "base.architecture.dtype=bfloat16").fingerprint == before
    assert planned(folder, SMALL, "base.architecture.initializer_range=0.02").fingerprint == before
    assert planned(folder, SMALL, "base.architecture.initializer_range=0.01").fingerprint != before
    assert planned(folder, SMALL, "base.architecture.tie_word_embeddings=false").fingerprint != before
    assert planned(folder, SMALL, "seed=18").fingerprint != before
    assert planned(folder).fingerprint == planned(folder, "seed=18").fingerprint


def test_editors_are_told_of_both_ways() -> None:
    schema = json_schema(table())["$defs"]["Base"]
    assert schema["oneOf"] == [{"required": ["model"]}, {"required": ["architecture"]}]
    assert {"model", "architecture"} < schema["properties"].keys()


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("base={}", r"base: give either a model or the architecture of a new one\."),
        ("base.architecture={model_type: llama}", r"base: give either a model or the architecture of a new one\."),
        ("base={architecture: {model_type: llama}, revision: x}", r"base: revision and trust_remote_code belong to a"),
        ("base={architecture: 3}", r"base\.architecture: input should be a valid dictionary \(got 3\)"),
        ("base={architecture: {}}", r"base: architecture\.model_type: model_type is needed\."),
        (
            "base={architecture: {model_type: llama, layers: 2}}",
            r"base: architecture\.layers: this key is not known\.\n  Known: attention_bias, .*, tie_word_embeddings",
        ),
    ],
)
def test_an_architecture_that_is_none(folder: Path, override: str, said: str) -> None:
    refused(folder, said, override)

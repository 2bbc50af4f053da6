"""What the stages find wrong before anything runs; every shipped recipe passes."""

import gzip
import json
import re
import shutil
from pathlib import Path

import pytest
from mixtures_for_tests import save_mixtral
from transformers import LlamaConfig, MistralConfig, MixtralConfig, PretrainedConfig

from lingraft.core.artifact import Store
from lingraft.core.devices import DEVICES, Target
from lingraft.core.errors import RecipeError
from lingraft.core.machine import Gpu
from lingraft.core.outside import ContentHashes
from lingraft.core.plan import Step, check, plan
from lingraft.core.recipe import load
from lingraft.core.shipped import find, recipes
from lingraft.core.tables import warnings
from lingraft.stages import table
from lingraft.stages.training_keys import settings_of
from lingraft.train.settings import Settings

SHA = "0123456789abcdef0123456789abcdef01234567"


def planned(folder: Path, *overrides: str, recipe: Path | None = None) -> list[Step]:
    stages = table()
    return plan(load(recipe or find("starter"), stages, overrides), stages, Store(folder / "store"))


def refused(folder: Path, said: str, *overrides: str, recipe: Path | None = None) -> None:
    with pytest.raises(RecipeError, match=said):
        planned(folder, *overrides, recipe=recipe)


PLACES = re.compile(r"\$\{LINGRAFT_DATA\}/([^\"]+)\"")
PAPER = [name for name in recipes() if name.startswith("paper/")]
LAB = [name for name in recipes() if name not in PAPER]
H100 = Target(DEVICES["h100"], 8)


def made_up_data(folder: Path, recipe: Path) -> Path:
    """The texts that a recipe names, a few documents of each, and empty folders for its tasks."""
    for place in PLACES.findall(recipe.read_text(encoding="utf-8")):
        path = folder / place.replace("*", "some")
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix not in (".gz", ".zst", ".parquet"):
            path.mkdir(exist_ok=True)
            continue
        lines = "".join(
            json.dumps({"text": f"{place} {n}", "output": "a", "instruction": "q"}) + "\n" for n in range(4)
        )
        path.write_bytes(gzip.compress(lines.encode()))
    return folder


def hub_cache(folder: Path) -> Path:
    """What the hub's cache has of the bases and data sets of the paper recipes: configs, and commits."""
    sets = (
        "HuggingFaceH4/ultrachat_200k",
        "HuggingFaceH4/ultrafeedback_binarized",
        "HuggingFaceH4/cai-conversation-harmless",
        "BelleGroup/train_1M_CN",
        "BelleGroup/train_0.5M_CN",
    )
    configs: dict[str, PretrainedConfig | None] = {
        "models/huggyllama/llama-7b": LlamaConfig(),
        "models/meta-llama/Llama-2-7b-hf": LlamaConfig(max_position_embeddings=4096),
        "models/mistralai/Mistral-7B-v0.1": MistralConfig(),
        "models/mistralai/Mixtral-8x7B-v0.1": MixtralConfig(),
        **{f"datasets/{name}": None for name in sets},
    }
    for name, config in configs.items():
        repository = folder / name.replace("/", "--")
        (repository / "refs").mkdir(parents=True)
        (repository / "refs" / "main").write_text(SHA, encoding="utf-8")
        (repository / "snapshots" / SHA).mkdir(parents=True)
        if config is not None:
            config.save_pretrained(repository / "snapshots" / SHA)
    return folder


@pytest.mark.parametrize("name", LAB)
def test_a_shipped_recipe_passes(name: str, tmp_path: Path, tiny_base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LINGRAFT_DATA", str(made_up_data(tmp_path, find(name))))
    monkeypatch.setenv("LINGRAFT_RUNS", str(tmp_path / "runs"))
    monkeypatch.setenv("LINGRAFT_BASES", str(tmp_path / "bases"))
    shutil.copytree(tiny_base, tmp_path / "bases" / "llama2")
    base = tmp_path / "runs" / "english-mixtral" / "export" / "hf"
    save_mixtral(base, tiny_base)
    config = json.loads((base / "config.json").read_text(encoding="utf-8"))
    (base / "config.json").write_text(json.dumps(config | {"max_position_embeddings": 1024}), encoding="utf-8")
    steps = planned(tmp_path, recipe=find(name))
    assert len(steps) >= 8
    for step in steps:
        assert step.state == "new"
        assert step.forecast.seconds is not None
        assert step.forecast.disk_bytes is not None
        assert step.forecast.writes


@pytest.mark.parametrize("name", PAPER)
def test_a_paper_recipe_passes(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LINGRAFT_DATA", str(made_up_data(tmp_path / "data", find(name))))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(hub_cache(tmp_path / "cache")))
    stages, hashes = table(), ContentHashes()
    check(load(find(name), stages, ()), stages, hashes)


@pytest.mark.parametrize("name", PAPER)
def test_a_paper_recipe_is_planned_from_the_config_of_its_base(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LINGRAFT_DATA", str(tmp_path / "not-here"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(hub_cache(tmp_path / "cache")))
    stages = table()
    steps = {
        step.name: step for step in plan(load(find(name), stages, ()), stages, Store(tmp_path / "store"), target=H100)
    }
    assert "of unknown size" in steps["corpus"].forecast.reads
    assert steps["corpus"].forecast.seconds is None
    training = steps["pretrain"].forecast
    assert training.training.fits
    assert training.seconds > 3000
    assert len(PAPER) == 5


def test_a_lab_recipe_asks_for_its_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LINGRAFT_DATA", raising=False)
    refused(tmp_path, "environment variable LINGRAFT_DATA is not set", recipe=find("lab/polish-novels"))


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["language=xx-yy-zz"], r'^corpus: no language has the tag "xx-yy-zz"\.'),
        (["replay=qqqq"], r'^corpus: no language has the tag "qqqq"'),
        (["replay="], "corpus: replay: there are replay texts, but the recipe does not say in which language"),
        (["corpus.target.0.path=no.jsonl"], r"corpus: .*no\.jsonl: there is no such file\."),
        (["corpus.replay.0.path=no/*.jsonl"], "corpus: .*: no file matches this pattern"),
        (["corpus.target.0.path=starter.yaml"], 'corpus: .*: no reader for files that end in ".yaml"'),
        (["pretrain.batch_tokens=1000"], r"pretrain: batch_tokens: batch_tokens \(1000\) is no multiple of 256, .*"),
        (["pretrain.batch_tokens=1000"], r"\n  Set it to 1024\."),
        (["pretrain.batch_tokens=8"], r"\n  Set it to 256\."),
        (["pretrain.micro_batch_sequences=3"], r"no multiple of 768, the tokens of 3 sequences of 256"),
        (["corpus.replay=[]"], "pretrain: mix.replay: the mix has replay, and the corpus has no replay texts"),
        (
            ["pack.tokenizer=base"],
            'pretrain: data: the model "graft" has the tokenizer of "tokenizer", '
            'the tokens of "pack" have that of "base"',
        ),
        (["pretrain.model=base"], 'the model "base" has the tokenizer of "base", the tokens of "pack"'),
        (["evaluate.models=[base, base]"], "evaluate: models: a model is named twice"),
        (["evaluate.models=[]"], r"stages\.evaluate\.models: no stage is named"),
        (["report.steps=[corpus]"], r"report: steps: the page cannot do without the base\.\n  Add base to the list\."),
        (["pretrain.budget_tokens=5"], "stages.pretrain: give exactly one of budget_bytes, budget_tokens and epochs"),
        (["pretrain.epochs="], "stages.pretrain: give exactly one of budget_bytes, budget_tokens and epochs"),
        (["pretrain.mix={replay: 1.0}"], "stages.pretrain: the mix needs a share of target above 0"),
        (["pretrain.mix={target: -1.0}"], r"stages\.pretrain\.mix\.target: input should be greater than or equal to 0"),
        (
            ["pretrain.mix={target: 0.75, replay: 0.5}"],
            r"stages\.pretrain: the shares of the mix sum to 1\.25, not 1",
        ),
        (
            ["pretrain.sequence_schedule=[{until: 0.5, tokens: 100}]"],
            r"sequence_schedule: sequences of 256 tokens cannot be cut into ones of 100\.\n  Choose lengths",
        ),
        (
            ["pretrain.sequence_schedule=[{until: 0.5, tokens: 64}, {until: 0.4, tokens: 128}]"],
            "stages.pretrain: the parts of sequence_schedule must end one after the other",
        ),
        (["pretrain.energy.country=Poland"], r"stages\.pretrain\.energy\.country: string should match pattern"),
        (["pretrain.go_on=true"], r'pretrain: go_on: "graft" keeps no state to go on from\.\n  Name a pretrain stage'),
        (["pretrain.keep_state=true", "pretrain.train=lora"], "pretrain: keep_state: adapters are merged into the"),
        (["pretrain.lora.rnk=3"], r"stages\.pretrain\.lora\.rnk: .*rank"),
        (["pretrain.budget_bytes=0", "pretrain.epochs="], r"stages\.pretrain\.budget_bytes: .*greater than 0"),
        (["graft.strategy=subword"], "stages.graft.strategy: input should be .*'subwords'.* \\(got 'subword'\\)"),
        (["evaluate.suites=[bit]"], r'evaluate: suites\[0\]: no suite is called "bit"\.\n  Did you mean "bits"\?'),
        (["evaluate.suites=[{suite: xcopa, data: none}]"], r"suites\[0\]: .*none: the data of xcopa is not there"),
        (["evaluate.suites=[{suite: starter, options: {a: 1}}]"], r'suites\[0\]: .*there is no option "a"'),
        (["evaluate.suites=[{suite: starter, words: {a: b}}]"], r'suites\[0\]: words: no prompt has a word "a"'),
        (["evaluate.suites=[klej, klej]"], "evaluate: klej: two suites have a task nkjp_ner@full"),
        (["tokenizer={}"], r"stages\.tokenizer: method continued_bpe needs new_tokens"),
    ],
)
def test_a_mistake_is_found_before_anything_runs(tmp_path: Path, overrides: list[str], said: str) -> None:
    refused(tmp_path, said, *overrides)


def test_mistakes_of_several_stages_at_once(tmp_path: Path) -> None:
    with pytest.raises(RecipeError) as error:
        planned(
            tmp_path, "base.model=./no", "language=xx-yy", "pretrain.batch_tokens=9", "evaluate.models=[base, base]"
        )
    told = str(error.value)
    assert [name for name in ("base:", "corpus:", "pretrain:", "evaluate:") if f"\n{name}" in f"\n{told}"] == [
        "base:",
        "corpus:",
        "pretrain:",
        "evaluate:",
    ]


def test_only_the_learning_rate_changes_only_what_follows(tmp_path: Path) -> None:
    before = {step.name: step.fingerprint for step in planned(tmp_path)}
    after = {step.name: step.fingerprint for step in planned(tmp_path, "pretrain.lr=2e-4")}
    changed = {name for name in before if before[name] != after[name]}
    assert changed == {"pretrain", "evaluate", "analyze", "export", "report"}
    after = {step.name: step.fingerprint for step in planned(tmp_path, "pretrain.checkpoint_minutes=1")}
    assert after == before


@pytest.mark.parametrize(
    ("override", "where"), [("pretrain.train=rows", "train"), ("pretrain.new_rows.lr=0.1", "new_rows")]
)
def test_new_rows_of_a_model_without_any(tmp_path: Path, override: str, where: str) -> None:
    said = rf'pretrain: {where}: the model "base" has no new rows: no graft comes before it\.'
    refused(tmp_path, said, override, "pretrain.model=base", "pack.tokenizer=base")


@pytest.mark.parametrize(("where", "chosen"), [("optimizer", "adamw_8bit"), ("train", "qlora")])
def test_what_bitsandbytes_is_missing_for(
    where: str, chosen: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lingraft.stages.training_keys.find_spec", lambda name: None)
    refused(tmp_path, f"pretrain: {where}: {chosen} needs bitsandbytes", f"pretrain.{where}={chosen}")


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("pretrain.energy.country=POL", "pretrain: energy: counting energy needs codecarbon"),
        (
            "pretrain.track=[wandb]",
            r"pretrain: track: wandb needs wandb, which is not installed\.\n  pip install 'ling",
        ),
    ],
)
def test_what_other_packages_are_missing_for(
    override: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lingraft.stages.training_keys.find_spec", lambda name: None)
    refused(tmp_path, said, override)


def test_what_a_compiler_is_missing_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lingraft.stages.pretrain.which", lambda name: None)
    refused(
        tmp_path, r"pretrain: compile: torch compiles with a C\+\+ compiler, and none is found", "pretrain.compile=true"
    )


def test_a_training_that_goes_on_with_another_kind(tmp_path: Path) -> None:
    text = find("starter").read_text(encoding="utf-8").replace("mix:", "keep_state: true\n    mix:", 1)
    before, _, after = text.partition("  evaluate:")
    going_on = "  decay: {kind: pretrain, go_on: true, optimizer: muon, epochs: 1}\n"
    recipe = tmp_path / "two.yaml"
    recipe.write_text(before + going_on + "  evaluate:" + after, encoding="utf-8")
    said = r'decay: optimizer: "pretrain" has optimizer: adamw, and this stage muon\.\n  A training that goes on'
    refused(tmp_path, said, f"corpus.target.0.path={find('starter').parent}/texts/pl/*.jsonl", recipe=recipe)


def test_a_graft_onto_a_model_that_the_tokenizer_does_not_extend(tmp_path: Path) -> None:
    text = find("starter").read_text(encoding="utf-8")
    more = (
        "  smaller: {kind: tokenizer, base: base, new_tokens: 50}\n  other: {kind: graft, tokenizer: smaller}\n  pack:"
    )
    recipe = tmp_path / "two.yaml"
    recipe.write_text(text.replace("  pack:", more, 1), encoding="utf-8")
    said = (
        r'other: base: "smaller" extends the tokenizer of "base", and "graft" has that of "tokenizer"\.\n  Set base to'
    )
    refused(tmp_path, said, f"corpus.target.0.path={find('starter').parent}/texts/pl/*.jsonl", recipe=recipe)


def test_bfloat16_on_a_gpu_without_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lingraft.core.machine.gpus", lambda: (Gpu("Tesla V100", 32e9, "570.1", 7.0),))
    said = r"pretrain: precision: Tesla V100 does not multiply in bfloat16\.\n  Set it to fp32\."
    refused(tmp_path, said, "pretrain.precision=bf16")
    recipe = load(find("starter"), table())
    check(recipe, table(), ContentHashes(tmp_path / "hashes.json"))
    assert (
        settings_of(recipe.stages["pretrain"], Settings, forgetting=None, sequence_tokens=8, seed=1).precision == "fp32"
    )


def test_what_is_planned_for_other_devices_has_their_precision(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lingraft.core.machine.bf16_of_processor", lambda: None)
    stages = table()

    def speed(*overrides: str) -> float | None:
        steps = plan(load(find("starter"), stages, overrides), stages, Store(tmp_path / "store"), target=H100)
        return next(step for step in steps if step.name == "pretrain").forecast.training.tokens_per_second

    assert speed() == speed("pretrain.precision=bf16")
    assert speed("pretrain.precision=fp32") is None  # data sheets are read for bf16 alone


def test_text_that_is_repeated_too_often_is_warned_of(tmp_path: Path) -> None:
    told, _ = warnings(planned(tmp_path))
    assert told.startswith("warning: pretrain: the target text is shown 6.0 times; from the fourth on repeated text")
    assert warnings(planned(tmp_path, "pretrain.epochs=3")) == []


def test_replay_text_that_no_mix_names_is_told(tmp_path: Path) -> None:
    text = find("starter").read_text(encoding="utf-8")
    mix = re.search(r"^    mix: .*\n", text, re.MULTILINE)[0]
    recipe = tmp_path / "plain.yaml"
    recipe.write_text(text.replace(mix, "").replace("texts/", f"{find('starter').parent}/texts/"), encoding="utf-8")
    told = "warning: pretrain: there is replay text and no mix: it is measured, not trained on."
    assert any(warning.startswith(told) for warning in warnings(planned(tmp_path, recipe=recipe)))
    assert not any("no mix" in warning for warning in warnings(planned(tmp_path)))


def test_a_language_to_keep_without_text_is_told(tmp_path: Path) -> None:
    told = warnings(planned(tmp_path, "corpus.replay=[]", "pretrain.mix={target: 1.0}", "pretrain.epochs=3"))
    assert told == [
        "warning: corpus: no replay text is given, so that nothing will tell how much of the base's language is lost."
    ]


def test_gguf_needs_its_package_and_a_known_architecture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    disk = [planned(tmp_path, f"export.format={format}")[-2].forecast.disk_bytes for format in ("[hf]", "[hf, gguf]")]
    assert disk[1] == pytest.approx(2 * disk[0], rel=0.01)
    model = "{model_type: bloom, hidden_size: 32, n_layer: 2, n_head: 4}"
    said = r"export: format: models of the kind bloom are not written as GGUF; llama, mistral, mixtral, qwen2 are\."
    refused(tmp_path, said, "export.format=[gguf]", "base.model=", f"base.architecture={model}")
    model = "{model_type: llama, hidden_size: 32, num_hidden_layers: 2, num_attention_heads: 4, intermediate_size: 64}"
    said = (
        r"export: format: the tokenizer of a new model keeps combining marks on their letters, which llama\.cpp cannot"
    )
    refused(tmp_path, said, "export.format=[gguf]", "base.model=", f"base.architecture={model}")
    monkeypatch.setattr("lingraft.stages.export.find_spec", lambda name: None)
    refused(tmp_path, r"export: format: GGUF is written by the package gguf.*\n  pip install", "export.format=[gguf]")

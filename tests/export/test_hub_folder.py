import json
from pathlib import Path

from transformers import AutoModelForCausalLM

from lingraft.export import hub_folder

NAMES = ["README.md", "config.json", "generation_config.json", "model.safetensors"]


def test_takes_what_belongs_to_the_model(tiny_base: Path, tmp_path: Path) -> None:
    names = hub_folder.write(tiny_base, tmp_path / "hf", "# Zażółć\n")
    assert names == [*NAMES, "tokenizer.json", "tokenizer_config.json"]
    assert (tmp_path / "hf" / "README.md").read_text(encoding="utf-8") == "# Zażółć\n"
    for name in names[1:]:
        assert (tmp_path / "hf" / name).read_bytes() == (tiny_base / name).read_bytes()


def test_shards_and_chat_templates_go_along_and_nothing_else(tiny_base: Path, tmp_path: Path) -> None:
    model = tmp_path / "model"
    AutoModelForCausalLM.from_pretrained(tiny_base).save_pretrained(model, max_shard_size="40KB")
    shards = sorted(path.name for path in model.glob("*.safetensors"))
    assert len(shards) > 1
    template = "additional_chat_templates/rag.jinja"
    (model / "additional_chat_templates").mkdir()
    for name in ("chat_template.jinja", template, "tokenizer.json"):
        (model / name).write_text(name, encoding="utf-8")
    for name in ("artifact.json", "log.txt", "optimizer.pt"):
        (model / name).write_text(json.dumps(name), encoding="utf-8")
    names = hub_folder.write(model, tmp_path / "hf", "")
    index = "model.safetensors.index.json"
    assert set(names) == {*NAMES[:3], *shards, index, "chat_template.jinja", template, "tokenizer.json"}


def test_writing_twice_gives_the_same(tiny_base: Path, tmp_path: Path) -> None:
    assert hub_folder.write(tiny_base, tmp_path, "one") == hub_folder.write(tiny_base, tmp_path, "two")
    assert (tmp_path / "README.md").read_text(encoding="utf-8") == "two"

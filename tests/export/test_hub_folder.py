import json
import shutil
from pathlib import Path

from transformers import AutoModelForCausalLM, AutoTokenizer

from lingraft.export import hub_folder
from lingraft.graft import initialize
from lingraft.tokenizer import extend

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


def test_what_a_chat_needs_goes_from_the_base_to_the_exported_folder(
    tiny_base: Path, tmp_path: Path, polish: list[str]
) -> None:
    base = shutil.copytree(tiny_base, tmp_path / "base")
    template = "{% for m in messages %}<|bos|>{{ m.content }}<|eos|>{% endfor %}"
    (base / "chat_template.jinja").write_text(template, encoding="utf-8")
    settings = {"bos_token_id": 0, "eos_token_id": [1, 2], "temperature": 0.6, "do_sample": True}
    (base / "generation_config.json").write_text(json.dumps(settings), encoding="utf-8")
    extend(base, polish, tmp_path / "extended", new_tokens=20)
    initialize(base, tmp_path / "extended", tmp_path / "grafted")
    hub_folder.write(tmp_path / "grafted", tmp_path / "hf", "")
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "hf")
    assert tokenizer.chat_template == template
    assert tokenizer.special_tokens_map == AutoTokenizer.from_pretrained(base).special_tokens_map
    generation = AutoModelForCausalLM.from_pretrained(tmp_path / "hf").generation_config
    assert (generation.eos_token_id, generation.temperature) == ([1, 2], 0.6)

import json
import shutil
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from lingraft.train import loading


def test_what_a_chat_and_a_server_need_goes_along(tiny_base: Path, tmp_path: Path) -> None:
    source = shutil.copytree(tiny_base, tmp_path / "source")
    for name in ("chat_template.jinja", "tokenizer.model"):
        (source / name).write_text(name, encoding="utf-8")
    ends = {"bos_token_id": 0, "eos_token_id": [1, 2], "temperature": 0.6}
    (source / "generation_config.json").write_text(json.dumps(ends), encoding="utf-8")
    loading.save(AutoModelForCausalLM.from_pretrained(source), torch.bfloat16, source, tmp_path / "trained")
    assert AutoTokenizer.from_pretrained(tmp_path / "trained").chat_template == "chat_template.jinja"
    assert (tmp_path / "trained" / "tokenizer.model").read_text(encoding="utf-8") == "tokenizer.model"
    written = json.loads((tmp_path / "trained" / "generation_config.json").read_text(encoding="utf-8"))
    assert written["eos_token_id"] == [1, 2]

"""A mixture of experts from nothing through a whole recipe on the command line."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from ruamel.yaml import YAML
from transformers import AutoModelForCausalLM, AutoTokenizer

from lingraft.stages.base import SHIPPED

MIXTRAL = {
    "model_type": "mixtral",
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 64,
    "tie_word_embeddings": True,
    "num_local_experts": 4,
    "num_experts_per_tok": 2,
    "router_aux_loss_coef": 0.01,
}
STAGES = {
    "corpus": {"target": [{"path": str(SHIPPED / "texts" / "en" / "*.jsonl")}], "held_out_docs": 8},
    "tokenizer": {"new_tokens": 241},
    "graft": {"strategy": "gaussian"},
    "pack": {"sequence_tokens": 64},
    "pretrain": {
        "epochs": 0.5,
        "batch_tokens": 1024,
        "optimizer": "muon",
        "lr": 1e-2,
        "curve_points": 2,
        "curve_documents": 2,
    },
    "evaluate": {"models": ["pretrain"], "suites": ["bits"], "context_tokens": 64},
    "export": {},
    "report": {},
}


def test_a_model_from_nothing(tmp_path: Path) -> None:
    recipe = {"base": {"architecture": MIXTRAL}, "language": "en", "stages": STAGES}
    with (tmp_path / "new.yaml").open("w", encoding="utf-8") as file:
        YAML().dump(recipe, file)
    command = [sys.executable, "-m", "lingraft"]
    store = ["--store", str(tmp_path / "store")]
    done = subprocess.run(
        [*command, "run", str(tmp_path / "new.yaml"), *store], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    shown = subprocess.run([*command, "show", "new", "--json", *store], capture_output=True, check=True)
    figures = {step: found["figures"] for step, found in json.loads(shown.stdout)["steps"].items()}
    assert figures["base"]["vocabulary"] == 259
    assert figures["tokenizer"]["proofs"]["unreachable"] == 0
    assert figures["graft"]["rows"] == 500
    assert figures["graft"]["new_row_norm"]["mean"] == pytest.approx(0.02 * 32**0.5, rel=0.1)
    curve = [point["bits_per_byte"]["target"] for point in figures["pretrain"]["held_out_curve"]]
    assert curve[-1] < 0.9 * curve[0]
    loads = figures["pretrain"]["held_out_curve"][-1]["expert_load"]
    assert [len(shares) for shares in loads] == [4, 4]
    assert figures["evaluate"]["bits"][0]["against_base"] is None
    run = tmp_path / "store" / "runs" / "new"
    model = AutoModelForCausalLM.from_pretrained(run / "export" / "hf")
    tokenizer = AutoTokenizer.from_pretrained(run / "export" / "hf")
    assert model.config.vocab_size == len(tokenizer) == 500
    assert model.get_output_embeddings().weight is model.get_input_embeddings().weight
    assert "<h1>English from scratch</h1>" in (run / "report" / "report.html").read_text(encoding="utf-8")
    assert "base_model" not in (run / "export" / "hf" / "README.md").read_text(encoding="utf-8")

"""What a report has to find and name: a dead expert, a forgotten language, test items in the training text.

    python benchmarks/planted.py --store FOLDER

Each is planted into a run of its own; beside it stands the same run without, in which nothing may be named. The result
is written to benchmarks/results/planted.json.
"""

import argparse
import html
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch
from record import record
from transformers import AutoModelForCausalLM, AutoTokenizer, MixtralConfig, MixtralForCausalLM

HERE = Path(__file__).parent
STARTER = HERE.parent / "src" / "lingraft" / "starter"
LINGRAFT = [sys.executable, "-m", "lingraft"]
LAYER, EXPERT = 1, 2
NUM_LEAKED = 6
SMALL = ["pretrain.epochs=2", "evaluate.documents=20", "evaluate.samples=1", "evaluate.models=[base, pretrain]"]
QUICK = [*SMALL, "evaluate.suites=[bits, {suite: starter, items: 33, shots: 0}]", "analyze.analyses=[forgetting]"]
MIXTURE = [*SMALL, "evaluate.suites=[bits]", "analyze.models=[base]", "pretrain.epochs=0.2"]
EXPERTS = "analyze.analyses=[{analysis: experts, options: {documents: 10, document_bytes: 512}}]"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--store", type=Path, required=True)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        record("planted", "pages", found(arguments.store.resolve(), Path(folder)))


def found(store: Path, folder: Path) -> dict[str, Any]:
    """What the page of every run says in its warnings."""
    leaked = plant_items(folder / "leaked.jsonl")
    texts = f"[{{path: {STARTER}/texts/pl/*.jsonl}}"
    runs = {
        "nothing planted": QUICK,
        "test items": [*QUICK, f"corpus.target={texts}, {{path: {leaked}, name: leaked}}]"],
        "no replay": [*QUICK, "pretrain.mix={target: 1.0}"],
        "all experts alive": [*MIXTURE, EXPERTS, f"base.model={mixture(folder / 'alive', dead=False)}"],
        "a dead expert": [*MIXTURE, EXPERTS, f"base.model={mixture(folder / 'dead', dead=True)}"],
    }
    return {"planted": {"items": NUM_LEAKED, "layer": LAYER, "expert": EXPERT}} | {
        name: warnings(store, f"planted-{number}", overrides) for number, (name, overrides) in enumerate(runs.items())
    }


def plant_items(path: Path) -> Path:
    """Stories of the starter's tasks with their right ending, as text to train on."""
    rows = [json.loads(line) for line in (STARTER / "tasks" / "cloze.jsonl").read_text(encoding="utf-8").splitlines()]
    stories = [row for row in rows if row["kind"] == "story"][:NUM_LEAKED]
    texts = [f"{row['text']} {row['options'][row['answer']]}" for row in stories]
    lines = (json.dumps({"text": text, "source": f"leaked {n}"}, ensure_ascii=False) for n, text in enumerate(texts))
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def mixture(folder: Path, *, dead: bool) -> Path:
    """A small random Mixtral with the starter's tokenizer; one expert gives nothing out where it is dead."""
    tokenizer = AutoTokenizer.from_pretrained(STARTER / "english-novels-7m")
    torch.manual_seed(3)
    config = MixtralConfig(
        vocab_size=len(tokenizer),
        hidden_size=64,
        intermediate_size=96,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        num_local_experts=4,
        max_position_embeddings=512,
        initializer_range=0.2,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )
    model = MixtralForCausalLM(config)
    if dead:
        with torch.no_grad():
            model.model.layers[LAYER].mlp.experts.down_proj[EXPERT].zero_()
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    AutoModelForCausalLM.from_pretrained(folder)
    return folder


def warnings(store: Path, name: str, overrides: list[str]) -> dict[str, Any]:
    """The lines under Warnings at the top of the page."""
    settings = [part for override in overrides for part in ("-s", override)]
    command = [*LINGRAFT, "run", "starter", *settings, "--store", str(store), "--name", name]
    done = subprocess.run(command, check=False)
    page = (store / "runs" / name / "report" / "report.html").read_text(encoding="utf-8")
    block = re.search(r'<aside class="alerts".*?</aside>', page, re.DOTALL)
    lines = re.findall(r"<li[^>]*>(.*?)</li>", block[0], re.DOTALL) if block else []
    told = [" ".join(html.unescape(re.sub(r"<[^>]+>", " ", line)).split()) for line in lines]
    return {"exit_code": done.returncode, "warnings": told}


if __name__ == "__main__":
    main()

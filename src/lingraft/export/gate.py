"""The export gate: a fresh process loads what was exported and must give the same token ids and logits."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from lingraft.core.errors import StageError

# Nothing of lingraft: what runs here is what any other program does with the folder.
READER = """
import json, sys
import torch
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM, AutoTokenizer
folder, texts, out, threads, gguf = sys.argv[1:]
torch.set_num_threads(int(threads))  # Sums split otherwise differ in their last bits.
tokenizer = AutoTokenizer.from_pretrained(folder)
place, name = gguf.rsplit("/", 1) if gguf else (folder, None)
model = AutoModelForCausalLM.from_pretrained(place, gguf_file=name, dtype=torch.float32).eval()
results = {}
with open(texts, encoding="utf-8") as file, torch.inference_mode():
    for index, text in enumerate(json.load(file)):
        ids = tokenizer(text, return_tensors="pt")["input_ids"][:, :128]
        results[f"ids.{index}"] = ids
        results[f"logits.{index}"] = model(input_ids=ids).logits
save_file(results, out)
"""


def check(
    model: Path, exported: Path, texts: Sequence[str], *, gguf: Path | None = None, trust_remote_code: bool = False
) -> dict[str, Any]:
    """Compare the exported folder, loaded in a fresh process, with the model it was made from.

    With `gguf` the weights are read from that file, and the tokenizer from the folder. Reads the first 128 tokens of
    every text, in float32 on the CPU. Raises StageError unless all token ids and all logits are identical.
    """
    theirs = _read_afresh(exported, texts, gguf)
    tokenizer = AutoTokenizer.from_pretrained(model, local_files_only=True, trust_remote_code=trust_remote_code)
    ours = AutoModelForCausalLM.from_pretrained(
        model, dtype=torch.float32, local_files_only=True, trust_remote_code=trust_remote_code, use_safetensors=True
    ).eval()
    same_ids, same_logits, largest = True, True, 0.0
    with torch.inference_mode():
        for index, text in enumerate(texts):
            ids = tokenizer(text, return_tensors="pt")["input_ids"][:, :128]
            same_ids = same_ids and torch.equal(ids, theirs[f"ids.{index}"])
            if same_ids:
                logits = ours(input_ids=ids).logits
                # Not by the largest gap alone: a NaN is no gap, and no model to export either.
                same_logits = same_logits and torch.equal(logits, theirs[f"logits.{index}"])
                largest = max(largest, (logits - theirs[f"logits.{index}"]).abs().max().item())
    verdict = {
        "token_ids_identical": same_ids,
        "logits_identical": same_ids and same_logits,
        "max_logit_difference": largest,
        "texts": len(texts),
    }
    if not verdict["logits_identical"]:
        raise StageError(
            f"the exported {'folder' if gguf is None else 'file'} does not give what the model gives: {verdict}.",
            where=gguf or exported,
            remedy="Look for a tokenizer or config file that the export did not take along.",
        )
    return verdict


def _read_afresh(exported: Path, texts: Sequence[str], gguf: Path | None) -> dict[str, torch.Tensor]:
    threads, file = str(torch.get_num_threads()), "" if gguf is None else str(gguf.absolute())
    with TemporaryDirectory() as scratch:
        listed, out = Path(scratch) / "texts.json", Path(scratch) / "results.safetensors"
        listed.write_text(json.dumps(list(texts), ensure_ascii=False), encoding="utf-8")
        process = subprocess.run(
            [sys.executable, "-I", "-c", READER, str(exported), str(listed), str(out), threads, file],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "HF_HUB_OFFLINE": "1", "CUDA_VISIBLE_DEVICES": ""},
        )
        if process.returncode != 0:
            raise StageError(
                f"a fresh process could not load the exported {'folder' if gguf is None else 'file'}:\n"
                f"{process.stderr[-2000:]}",
                where=gguf or exported,
                remedy="Try AutoModelForCausalLM.from_pretrained on it by hand.",
            )
        return load_file(out)

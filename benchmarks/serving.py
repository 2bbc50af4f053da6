"""Whether llama.cpp reads what `export` writes as transformers does: token ids, and greedy continuations.

    python benchmarks/serving.py --folder FOLDER --server BINARY --tokenizers TOKENIZERS [--model EXPORTED]
        [--llama-cpp SOURCES --kind gpt-2]

For each published tokenizer in TOKENIZERS a small model of random weights is grafted with 500 tokens of the starter's
Polish and exported to FOLDER; EXPORTED is a model folder beside these. Each is written as a GGUF file (float32 where
its weights are random, else bfloat16), by llama.cpp's own script where its SOURCES are given (`--kind` is what it
calls a pre-tokenizer that it does not recognize), served by llama-server on loopback, and asked: every text of the
starter is cut into tokens, and every twentieth continued by 16. Results: benchmarks/results/serving.json.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import torch
from record import record
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerBase

from lingraft.export import hub_folder
from lingraft.export.gguf.file import write
from lingraft.graft import initialize
from lingraft.tokenizer import extend

STARTER = Path(__file__).parents[1] / "src/lingraft/starter/texts"
SPECIAL = {
    "llama2": ("<s>", "</s>"),
    "mistral_v3": ("<s>", "</s>"),
    "llama3": ("<|begin_of_text|>", "<|end_of_text|>"),
    "qwen": (None, "<|endoftext|>"),
}
NEW, PROMPT, WRITTEN, PORT = 500, 24, 16, 8183
WRAPPED = """
import runpy, sys
sys.path.insert(0, {sources!r})
from conversion.base import TextModel
TextModel.get_vocab_base_pre = lambda self, tokenizer: {kind!r}
runpy.run_path({sources!r} + "/convert_hf_to_gguf.py", run_name="__main__")
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("folder", "server", "tokenizers"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--llama-cpp", type=Path)
    parser.add_argument("--kind", default="gpt-2")
    arguments = parser.parse_args()
    version = subprocess.run([arguments.server, "--version"], capture_output=True, text=True, check=True).stderr
    exported = {name: made(arguments.tokenizers / name, arguments.folder / name) for name in SPECIAL}
    if arguments.model is not None:
        exported["model"] = arguments.model
    rows = []
    for name, folder in exported.items():
        file = arguments.folder / f"{name}.gguf"
        weights = "f32" if name in SPECIAL else "bf16"
        if arguments.llama_cpp is None:
            write(folder, file, weights, name)
            told = {}
        else:
            told = {"recognized": converted(arguments.llama_cpp, folder, file, weights, arguments.kind)}
        rows.append({"model": name, **told, **compared(arguments.server, file, folder)})
        print(rows[-1], flush=True)
    by = "llama.cpp" if arguments.llama_cpp else "gguf"
    record("serving", by, {"version": version.strip(), "new_tokens": NEW, "models": rows})


def texts(language: str) -> list[str]:
    files = sorted((STARTER / language).glob("*.jsonl"))
    return [json.loads(line)["text"] for file in files for line in file.read_text(encoding="utf-8").splitlines()]


def made(tokenizer: Path, folder: Path) -> Path:
    """A small model of random weights with this tokenizer, extended and exported."""
    shutil.rmtree(folder, ignore_errors=True)
    base = folder / "base"
    base.mkdir(parents=True)
    for name in ("tokenizer.json", *(["tokenizer.model"] if SPECIAL[tokenizer.name][0] == "<s>" else [])):
        shutil.copy(tokenizer / name, base / name)
    bos, eos = SPECIAL[tokenizer.name]
    settings = {"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": bos, "eos_token": eos}
    settings = {key: value for key, value in settings.items() if value}
    (base / "tokenizer_config.json").write_text(json.dumps(settings), encoding="utf-8")
    opened = AutoTokenizer.from_pretrained(base)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(opened),
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=1024,
        tie_word_embeddings=False,
        bos_token_id=opened.bos_token_id,
        eos_token_id=opened.eos_token_id,
        initializer_range=0.3,
    )
    LlamaForCausalLM(config).save_pretrained(base)
    extend(base, texts("pl"), folder / "extended", new_tokens=NEW)
    initialize(base, folder / "extended", folder / "grafted")
    hub_folder.write(folder / "grafted", folder / "hf", "")
    return folder / "hf"


def converted(sources: Path, folder: Path, file: Path, kind: str, pre_tokenizer: str) -> bool:
    """Write the GGUF file; whether the script knew the pre-tokenizer by itself."""
    environment = {**os.environ, "PYTHONPATH": str(sources / "gguf-py")}
    wanted = [str(folder), "--outfile", str(file), "--outtype", kind]
    script = [sys.executable, str(sources / "convert_hf_to_gguf.py"), *wanted]
    first = subprocess.run(script, env=environment, capture_output=True, text=True, check=False)
    if first.returncode == 0:
        return True
    if "pre-tokenizer was not recognized" not in first.stderr:
        raise SystemExit(first.stderr)
    code = WRAPPED.format(sources=str(sources), kind=pre_tokenizer)
    subprocess.run([sys.executable, "-c", code, *wanted], env=environment, capture_output=True, check=True)
    return False


def compared(server: Path, file: Path, folder: Path) -> dict[str, Any]:
    """Of how many texts the ids, of how many prompts the continuations are the same."""
    command = [server, "-m", file, "--host", "127.0.0.1", "--port", str(PORT), "-t", "1", "-c", "1024", "--no-warmup"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait(process)
        tokenizer = AutoTokenizer.from_pretrained(folder)
        model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
        asked = [*texts("en"), *texts("pl")]
        prompts = asked[::20]
        gaps = [gap(tokenizer, model, text) for text in prompts]
        return {
            "texts": len(asked),
            "same_ids": sum(same_ids(tokenizer, text) for text in asked),
            "prompts": len(prompts),
            "same_continuations": gaps.count(None),
            "gaps": [found for found in gaps if found is not None],
        }
    finally:
        process.terminate()
        process.wait()


def wait(process: subprocess.Popen[bytes]) -> None:
    while process.poll() is None:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{PORT}/health").close()
            return
        except urllib.error.URLError:
            time.sleep(0.2)
    raise SystemExit(f"llama-server ended with {process.returncode}")


def same_ids(tokenizer: PreTrainedTokenizerBase, text: str) -> bool:
    theirs = post("/tokenize", content=text, add_special=False)["tokens"]
    return theirs == tokenizer(text, add_special_tokens=False)["input_ids"]


def gap(tokenizer: PreTrainedTokenizerBase, model: Any, text: str) -> float | None:
    """None where both continue the same; else how far their token was behind ours where they part, in logits."""
    prompt = tokenizer(text)["input_ids"][:PROMPT]
    theirs = post("/completion", prompt=prompt, n_predict=WRITTEN, temperature=0, return_tokens=True)["tokens"]
    ours = model.generate(torch.tensor([prompt]), max_new_tokens=WRITTEN, do_sample=False)[0, len(prompt) :].tolist()
    for place, (mine, other) in enumerate(zip(ours, theirs, strict=False)):
        if mine != other:
            logits = model(torch.tensor([prompt + ours[:place]])).logits[0, -1]
            return (logits[mine] - logits[other]).item()
    if theirs not in (ours, ours[:-1]):
        raise SystemExit(f"of different lengths: {ours} and {theirs}")
    return None


def post(path: str, **asked: Any) -> dict[str, Any]:
    request = urllib.request.Request(
        f"http://127.0.0.1:{PORT}{path}", json.dumps(asked).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)


if __name__ == "__main__":
    main()

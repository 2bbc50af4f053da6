"""Extension of tokenizers that real models use, on real Polish."""

import gzip
import json
import shutil
from itertools import islice
from pathlib import Path

import pytest
from tokenizers import Tokenizer

from lingraft.tokenizer import extend, open, prove, segments, token_bytes
from real_files import REAL, needs_real_files

SPECIAL = {"llama3": "<|begin_of_text|>", "qwen": "<|im_start|>", "gpt2": "<|endoftext|>"}


def real_texts(language: str, count: int) -> list[str]:
    with gzip.open(REAL / f"data/mono/{language}/novels.jsonl.gz", "rt", encoding="utf-8") as lines:
        return [json.loads(line)["text"] for line in islice(lines, count)]


@needs_real_files
@pytest.mark.parametrize(
    ("name", "tokenizer_class"),
    [
        ("llama3", "PreTrainedTokenizerFast"),
        ("qwen", "Qwen2Tokenizer"),
        ("gpt2", "GPT2Tokenizer"),
    ],
)
def test_a_real_tokenizer_keeps_every_id_and_gains(name: str, tokenizer_class: str, tmp_path: Path) -> None:
    base, new = tmp_path / "base", tmp_path / "new"
    base.mkdir()
    shutil.copyfile(REAL / "tokenizers" / name / "tokenizer.json", base / "tokenizer.json")
    (base / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": tokenizer_class}), encoding="utf-8")
    polish, english = real_texts("pol", 30), real_texts("eng", 10)
    extend(base, polish[:25], new, new_tokens=400)
    figures = prove(base, new, polish[25:], [*english, f"{SPECIAL[name]}Hello  \r\n\t 日本 🐢"])
    assert (figures["new_tokens"], figures["unreachable"], figures["old_ids_moved"]) == (400, 0, 0)
    assert figures["round_trip"] == {"documents": 16, "exact": 16, "changed_by_base": 0}
    assert abs(figures["replay_token_change"]) < 0.005
    extended, text = open(new), polish[29]
    ids = extended(text, add_special_tokens=False).input_ids
    assert len(ids) < 0.95 * len(Tokenizer.from_file(str(base / "tokenizer.json")).encode(text).ids)
    assert token_bytes(extended)[ids].sum() == len(text.encode())
    assert "".join(segments(extended, text)) == text

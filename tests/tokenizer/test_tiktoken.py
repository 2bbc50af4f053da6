import gzip
import json
from base64 import b64encode
from itertools import islice
from pathlib import Path

import pytest
from tokenizers import Tokenizer

from lingraft.core.errors import InputError
from lingraft.tokenizer import content, tiktoken
from real_files import REAL, needs_real_files

FILES = {
    "gpt2": ("gpt2/r50k_base.tiktoken", "gpt2"),
    "llama3": ("llama3/tokenizer.model", "llama3"),
    "qwen": ("qwen/qwen.tiktoken", "qwen"),
    "o200k": ("o200k/o200k_base.tiktoken", "o200k"),
    "llama4": ("llama4/tokenizer.model", "o200k"),
    "tekken": ("tekken/tekken.tiktoken", "tekken"),
}
ODD = [
    "It's WE'LL don'T o'clock XMLHttpRequest iPhone15 1234567 ½ Ⅻ",
    "  two  spaces\t\ttabs\r\n\r\n  newlines \n\n\n end   ",
    "日本語テキスト हिन्दी के शब्द ภาษาไทย العربية עברית ქართული",
    "a/b//c\n/d (x) [y] {z} != == ->\n\n👩‍👩‍👧 🇵🇱 é e\u0301 \u200d ﬁ",
    "aaaaaaaaaaaaaaaaaaaaaaaa                          ----------------------",
]


def save_ranks(path: Path, tokens: list[bytes]) -> Path:
    every = [bytes([byte]) for byte in range(256)] + tokens
    path.write_bytes(b"".join(b64encode(token) + f" {rank}\n".encode() for rank, token in enumerate(every)))
    return path


def test_tokens_are_made_from_any_neighbours_that_spell_them(tmp_path: Path) -> None:
    path = save_ranks(tmp_path / "ranks", [b"ab", b"bc", b"abc", b"xa", b"xabc"])
    tokenizer = Tokenizer.from_str(json.dumps(tiktoken.read(path, "gpt2", {"<|end|>": 300}, first_id=10)))
    assert tokenizer.encode("abcd").ids == [268, 110]
    assert tokenizer.encode("xbc<|end|>").ids == [130, 267, 300]
    assert tokenizer.decode(tokenizer.encode("żółw abc").ids) == "żółw abc"
    merges = tiktoken.read(path, "gpt2")["model"]["merges"]
    assert merges == [["a", "b"], ["b", "c"], ["a", "bc"], ["ab", "c"], ["x", "a"], ["x", "abc"], ["xa", "bc"]]


def test_a_file_of_another_kind_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.model"
    for wrong in (b"\n\x0e\n\x05<unk>", b"IQ== zero\n", b"I!Q= 0\n"):
        path.write_bytes(wrong)
        with pytest.raises(InputError, match=r"line 1: this is not a token's bytes(.|\n)*one of SentencePiece"):
            tiktoken.read(path, "gpt2")


def test_a_file_cut_short_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "ranks"
    path.write_bytes(b"IQ== 0\nIg== 1\n")
    with pytest.raises(InputError, match=r"254 of the 256 bytes have no rank(.|\n)*Download the file again"):
        tiktoken.read(path, "gpt2")


def test_an_id_used_twice_is_refused(tmp_path: Path) -> None:
    path = save_ranks(tmp_path / "ranks", [b"ab"])
    with pytest.raises(InputError, match=r"id 256 is that of 'ab' and of '<\|end\|>'"):
        tiktoken.read(path, "gpt2", {"<|end|>": 256})


def test_an_unknown_pattern_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r'no split pattern is called "gpt3"(.|\n)*gpt2'):
        tiktoken.read(tmp_path / "ranks", "gpt3")


@needs_real_files
@pytest.mark.parametrize("name", FILES)
def test_ids_are_those_of_tiktoken(name: str) -> None:
    reference = pytest.importorskip("tiktoken")
    load = pytest.importorskip("tiktoken.load")
    file, pattern = FILES[name]
    ranks = load.load_tiktoken_bpe(str(REAL / "tokenizers" / file))
    theirs = reference.Encoding(
        name, pat_str=tiktoken.PATTERNS[pattern], mergeable_ranks=ranks, special_tokens={"<|end|>": len(ranks)}
    )
    ours = Tokenizer.from_str(json.dumps(tiktoken.read(REAL / "tokenizers" / file, pattern, {"<|end|>": len(ranks)})))
    texts = [*ODD, "a<|end|>b"]
    for language in ("pol", "eng", "hun"):
        with gzip.open(REAL / f"data/mono/{language}/novels.jsonl.gz", "rt", encoding="utf-8") as lines:
            texts += [json.loads(line)["text"][:20_000] for line in islice(lines, 4)]
    with gzip.open(REAL / "data/mono/hin/bbc_headlines.txt.gz", "rt", encoding="utf-8") as lines:
        texts += list(islice(lines, 200))
    for text in texts:
        assert ours.encode(text).ids == theirs.encode(text, allowed_special="all")


@needs_real_files
def test_the_file_of_llama3_becomes_the_published_tokenizer() -> None:
    published = json.loads((REAL / "tokenizers/llama3/tokenizer.json").read_text(encoding="utf-8"))
    ours = tiktoken.read(REAL / "tokenizers/llama3/tokenizer.model", "llama3")
    assert ours["pre_tokenizer"]["pretokenizers"][0] == published["pre_tokenizer"]["pretokenizers"][0]
    assert ours["model"]["vocab"] == published["model"]["vocab"]
    assert ours["model"]["merges"] == [list(merge) for merge in content.merges(published["model"])]


@needs_real_files
def test_the_pattern_of_qwen_is_the_published_one() -> None:
    published = json.loads((REAL / "tokenizers/qwen/tokenizer.json").read_text(encoding="utf-8"))
    assert published["pre_tokenizer"]["pretokenizers"][0]["pattern"]["Regex"] == tiktoken.PATTERNS["qwen"]

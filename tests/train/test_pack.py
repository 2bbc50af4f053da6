import json
import shutil
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer
from transformers import AutoModelForCausalLM

from lingraft.core.errors import InputError, StageError
from lingraft.corpus.shards import ShardWriter, documents
from lingraft.train.pack import STREAMS, Shard, pack, sequence_bytes

BOS, EOS, PAD, IGNORED = 0, 1, 2, -100
SIZE = 32


@pytest.fixture(scope="module")
def framed(corpus: Path, tiny_base: Path) -> dict[str, list[list[int]]]:
    """Every training document tokenized alone, by stream."""
    tokenizer = Tokenizer.from_file(str(tiny_base / "tokenizer.json"))
    return {
        stream: [
            [BOS, *tokenizer.encode(text, add_special_tokens=False).ids, EOS]
            for text, _, _ in documents(corpus, stream, "train")
        ]
        for stream in STREAMS
    }


def pieces(row: dict[str, np.ndarray]) -> list[slice]:
    """The parts of a sequence that belong to one document each, by where its positions start again."""
    begins = [*np.flatnonzero(row["position_ids"] == 0).tolist(), len(row["position_ids"])]
    return [slice(begin, end) for begin, end in pairwise(begins)]


def edit(tokenizer: Path, folder: Path, name: str, change: object) -> Path:
    shutil.copytree(tokenizer, folder)
    content = json.loads((folder / name).read_text(encoding="utf-8"))
    change(content)
    (folder / name).write_text(json.dumps(content), encoding="utf-8")
    return folder


@pytest.mark.parametrize("stream", STREAMS)
def test_no_token_is_lost(stream: str, packed: Path, corpus: Path, framed: dict[str, list[list[int]]]) -> None:
    expected = [token for document in framed[stream] for token in document]
    figures = json.loads((packed / stream / "shard.json").read_text(encoding="utf-8"))
    assert np.fromfile(packed / stream / "tokens.bin", dtype=figures["dtype"]).tolist() == expected
    assert figures["documents"] == len(framed[stream]) > 10
    assert figures["tokens"] == figures["tokens_read_back"] == len(expected)
    size = sum(len(text.encode()) for text, _, _ in documents(corpus, stream, "train"))
    assert figures["text_bytes"] == figures["token_text_bytes"] == size
    assert figures["bytes_per_token"] == size / len(expected)


@pytest.mark.parametrize("stream", STREAMS)
def test_sequences_hold_the_shard_and_pad_only_the_last(
    stream: str, packed: Path, framed: dict[str, list[list[int]]]
) -> None:
    expected = [token for document in framed[stream] for token in document]
    shard = Shard(packed / stream, SIZE, PAD)
    ids = np.concatenate([shard[index]["input_ids"] for index in range(len(shard))])
    padding = -len(expected) % SIZE
    assert 0 < padding < SIZE
    assert ids.tolist() == expected + [PAD] * padding
    assert json.loads((packed / stream / "shard.json").read_text(encoding="utf-8"))["padding_tokens"] == padding


@pytest.mark.parametrize("stream", STREAMS)
def test_labels_and_positions_at_the_borders(stream: str, packed: Path, framed: dict[str, list[list[int]]]) -> None:
    labels, places = [], []
    for document in framed[stream]:
        labels += [IGNORED, *document[1:]]
        places += range(len(document))
    shard = Shard(packed / stream, SIZE, PAD)
    for index in range(len(shard)):
        row, real = shard[index], labels[index * SIZE : (index + 1) * SIZE]
        assert row["labels"].tolist() == real + [IGNORED] * (SIZE - len(real))
        position, slow = -1, []
        for place in places[index * SIZE : (index + 1) * SIZE]:
            position = 0 if place == 0 else position + 1
            slow.append(position)
        assert row["position_ids"].tolist() == slow + list(range(SIZE - len(real)))


def test_bytes_of_every_sequence(packed: Path, tiny_base: Path) -> None:
    tokenizer = Tokenizer.from_file(str(tiny_base / "tokenizer.json"))
    for stream in STREAMS:
        shard = Shard(packed / stream, SIZE, PAD)
        for index, size in enumerate(sequence_bytes(packed, stream)):
            names = [tokenizer.id_to_token(token) for token in shard[index]["input_ids"]]
            assert size == sum(len(name) for name in names if not name.startswith("<|"))
    assert len(sequence_bytes(packed, "neither")) == 0


@pytest.mark.parametrize("damage", ["changed", "cut", "grown"])
def test_damaged_shard(damage: str, packed: Path, tmp_path: Path) -> None:
    shutil.copytree(packed / "target", tmp_path / "target")
    path = tmp_path / "target" / "tokens.bin"
    data = bytearray(path.read_bytes())
    if damage == "changed":
        data[100] ^= 1
    path.write_bytes({"changed": data, "cut": data[:-33], "grown": data + b"\1\0"}[damage])
    with pytest.raises(StageError, match=r"target: the shard holds \d+ tokens \(CRC \w+\), \d+ were made"):
        Shard(tmp_path / "target", SIZE, PAD)


def test_no_end_of_text(corpus: Path, tiny_base: Path, tmp_path: Path) -> None:
    tokenizer = edit(tiny_base, tmp_path / "t", "tokenizer_config.json", lambda config: config.pop("eos_token"))
    with pytest.raises(InputError, match="the tokenizer has no end-of-text token"):
        pack(corpus, tokenizer, tmp_path / "packed", sequence_tokens=SIZE)


def test_end_of_text_of_the_post_processor_is_not_doubled(
    corpus: Path, packed: Path, tiny_base: Path, tmp_path: Path
) -> None:
    def close(content: dict) -> None:
        template = content["post_processor"]
        template["single"].append({"SpecialToken": {"id": "<|eos|>", "type_id": 0}})
        template["special_tokens"]["<|eos|>"] = {"id": "<|eos|>", "ids": [EOS], "tokens": ["<|eos|>"]}

    tokenizer = edit(tiny_base, tmp_path / "t", "tokenizer.json", close)
    pack(corpus, tokenizer, tmp_path / "packed", sequence_tokens=SIZE)
    for stream in STREAMS:
        name = f"{stream}/tokens.bin"
        assert (tmp_path / "packed" / name).read_bytes() == (packed / name).read_bytes()


def test_wide_ids(corpus: Path, packed: Path, tiny_base: Path, tmp_path: Path) -> None:
    def widen(content: dict) -> None:
        content["model"]["vocab"] |= {f"unused {index}": index for index in range(400, (1 << 16) + 1)}

    tokenizer = edit(tiny_base, tmp_path / "t", "tokenizer.json", widen)
    figures = pack(corpus, tokenizer, tmp_path / "packed", sequence_tokens=SIZE)
    assert figures["streams"]["target"]["dtype"] == "uint32"
    wide, narrow = (Shard(folder / "target", SIZE, PAD) for folder in (tmp_path / "packed", packed))
    for index in range(len(narrow)):
        np.testing.assert_equal(wide[index], narrow[index])


def test_empty_replay(corpus: Path, tiny_base: Path, tmp_path: Path) -> None:
    shutil.copytree(corpus / "target", tmp_path / "corpus" / "target")
    for part in ("train", "held_out"):
        with ShardWriter(tmp_path / "corpus" / "replay" / part):
            pass
    figures = pack(tmp_path / "corpus", tiny_base, tmp_path / "packed", sequence_tokens=SIZE)
    assert figures["streams"]["replay"] | {"dtype": ""} == {
        "documents": 0,
        "tokens": 0,
        "tokens_read_back": 0,
        "checksum": "00000000",
        "sequences": 0,
        "padding_tokens": 0,
        "text_bytes": 0,
        "token_text_bytes": 0,
        "dtype": "",
        "bytes_per_token": None,
    }
    assert len(Shard(tmp_path / "packed" / "replay", SIZE, PAD)) == 0
    assert figures["tokens"] == figures["streams"]["target"]["tokens"]


def test_goes_on_after_the_first_stream(corpus: Path, packed: Path, tiny_base: Path, tmp_path: Path) -> None:
    folder = tmp_path / "packed"
    first = pack(corpus, tiny_base, folder, sequence_tokens=SIZE)
    (folder / "replay" / "shard.json").unlink()
    (folder / "replay" / "tokens.bin").write_bytes(b"torn")
    kept = (folder / "target" / "tokens.bin").stat().st_mtime_ns
    assert pack(corpus, tiny_base, folder, sequence_tokens=SIZE) == first
    assert (folder / "target" / "tokens.bin").stat().st_mtime_ns == kept
    assert (folder / "replay" / "tokens.bin").read_bytes() == (packed / "replay" / "tokens.bin").read_bytes()


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@torch.inference_mode()
def test_documents_do_not_attend_to_each_other(attention: str, packed: Path, tiny_base: Path) -> None:
    model = AutoModelForCausalLM.from_pretrained(tiny_base, attn_implementation=attention).eval()
    shard = Shard(packed / "target", SIZE, PAD)
    rows = [row for row in (shard[index] for index in range(len(shard))) if len(pieces(row)) > 1]
    batch = {key: torch.from_numpy(np.stack([row[key] for row in rows])) for key in rows[0]}
    together = model(input_ids=batch["input_ids"], position_ids=batch["position_ids"], use_cache=False).logits
    loss = model(**batch, use_cache=False).loss
    nats, num_predicted, num_pieces = 0.0, 0, 0
    for row, ids in enumerate(batch["input_ids"]):
        for piece in pieces(rows[row]):
            alone = model(input_ids=ids[None, piece], use_cache=False).logits[0]
            torch.testing.assert_close(together[row, piece], alone, atol=1e-4, rtol=0)
            predicted = (batch["labels"][row, piece][1:] != IGNORED).nonzero().flatten()
            nats -= alone.log_softmax(-1)[predicted, ids[piece][predicted + 1]].sum().item()
            num_predicted += len(predicted)
            num_pieces += 1
    assert num_pieces >= 2 * len(rows) > 40
    assert loss.item() == pytest.approx(nats / num_predicted, abs=1e-4)
    blind = model(input_ids=batch["input_ids"], use_cache=False).logits
    assert (blind - together).abs().max() > 1e-3

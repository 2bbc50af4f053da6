import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn.functional import scaled_dot_product_attention
from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM, MistralConfig, MistralForCausalLM

from lingraft.train import attention
from lingraft.train.attention import Attention
from lingraft.train.pretrain import pretrain
from lingraft.train.settings import Settings

LENGTHS = [[24], [5, 1, 18], [1, 23], [24], [8, 8, 8]]
SIZES = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4}


def one_by_one(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, ends: torch.Tensor, *_: object, **given: Any
) -> torch.Tensor:
    """What the kernel does, which only a GPU has: shapes (T, H, D), a document after the other."""
    assert query.dtype == torch.bfloat16
    assert given["window_size"] == (-1, 0)
    assert given["enable_gqa"] is (query.shape[1] != key.shape[1])
    lengths = torch.diff(ends).tolist()
    parts = zip(*(tensor.float().transpose(0, 1).split(lengths, dim=1) for tensor in (query, key, value)), strict=True)
    found = [
        scaled_dot_product_attention(*part, is_causal=True, scale=given["scale"], enable_gqa=True) for part in parts
    ]
    return torch.cat(found, dim=1).transpose(0, 1).to(query.dtype)


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attention, "_kernel_is_here", lambda device: True)
    monkeypatch.setattr(attention, "varlen_attn", one_by_one)


@pytest.fixture
def bf16(settings: Settings) -> Settings:
    return replace(settings, precision="bf16")


def model() -> LlamaForCausalLM:
    torch.manual_seed(1)
    # Large weights, so that attention counts.
    return LlamaForCausalLM(LlamaConfig(vocab_size=60, num_key_value_heads=2, initializer_range=0.2, **SIZES))


def batch() -> dict[str, torch.Tensor]:
    ids = torch.randint(60, (len(LENGTHS), 24), generator=torch.Generator().manual_seed(2))
    positions = torch.tensor([[place for length in row for place in range(length)] for row in LENGTHS])
    return {"input_ids": ids, "labels": ids.masked_fill(positions == 0, -100), "position_ids": positions}


def alone(trained: LlamaForCausalLM, given: dict[str, torch.Tensor]) -> torch.Tensor:
    """Every document in a forward pass of its own; the logits of all, (B, S, V)."""
    rows = []
    for ids, lengths in zip(given["input_ids"], LENGTHS, strict=True):
        rows.append(torch.cat([trained(input_ids=part[None]).logits[0] for part in ids.split(lengths)]))
    return torch.stack(rows)


def test_ends_are_counted_through_all_sequences() -> None:
    ends = attention.with_ends(batch())["cu_seq_lens_q"]
    assert ends.tolist() == [0, 24, 29, 30, 48, 49, 72, 96, 104, 112, 120]
    assert ends.dtype == torch.int32


def test_documents_attend_as_if_each_were_alone(kernel: None, bf16: Settings) -> None:
    trained, given = model(), batch()
    with torch.autocast("cpu", torch.bfloat16):
        expected = alone(trained, given)
    expected.float().square().sum().backward()
    gradients = {name: p.grad.clone() for name, p in trained.named_parameters()}
    trained.zero_grad()
    way = Attention(trained, given, bf16)
    assert way.way == attention.VARLEN
    with torch.autocast("cpu", torch.bfloat16):
        logits = trained(**way.complete(given), use_cache=False).logits
    assert (logits - expected).norm() < 0.02 * expected.norm()
    logits.float().square().sum().backward()
    for name, parameter in trained.named_parameters():
        assert (parameter.grad - gradients[name]).norm() < 0.05 * gradients[name].norm(), name


def test_with_padding_a_cache_or_single_documents_it_is_the_ordinary_attention(kernel: None, bf16: Settings) -> None:
    trained, ids = model().eval(), batch()["input_ids"]
    padding = torch.ones_like(ids)
    padding[0, :7] = 0
    padded, plain = trained(input_ids=ids, attention_mask=padding).logits, trained(input_ids=ids).logits
    written = trained.generate(ids, attention_mask=padding, max_new_tokens=5, do_sample=False)
    way = Attention(trained, batch(), bf16)
    assert torch.equal(trained(input_ids=ids, attention_mask=padding).logits[padding.bool()], padded[padding.bool()])
    assert torch.equal(trained(input_ids=ids).logits, plain)
    assert trained.generate(ids, attention_mask=padding, max_new_tokens=5, do_sample=False).tolist() == written.tolist()
    way.undo()
    assert trained.config._attn_implementation == "sdpa"


@pytest.mark.parametrize(("window", "way"), [(8, "sdpa"), (32, "varlen"), (None, "varlen")])
def test_a_window_shorter_than_the_sequences_stays(kernel: None, bf16: Settings, window: int | None, way: str) -> None:
    trained = MistralForCausalLM(MistralConfig(vocab_size=60, num_key_value_heads=2, sliding_window=window, **SIZES))
    assert Attention(trained, batch(), bf16).way == way


def test_a_kernel_that_gives_other_logits_is_not_used(
    kernel: None, bf16: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained = model()
    monkeypatch.setattr(attention, "varlen_attn", lambda *given, **rest: 2 * one_by_one(*given, **rest))
    assert Attention(trained, batch(), bf16).way == trained.config._attn_implementation == "sdpa"


def test_what_the_kernel_does_not_do_is_not_tried(kernel: None, bf16: Settings, settings: Settings) -> None:
    assert Attention(model(), batch(), settings).way == "sdpa"  # float32
    dropping = model()
    dropping.config.attention_dropout = 0.1
    assert Attention(dropping, batch(), bf16).way == "sdpa"
    eager = model()
    eager.set_attn_implementation("eager")
    assert Attention(eager, batch(), bf16).way == "eager"


@pytest.mark.parametrize("wanted", [None, "eager"])
def test_a_training_says_how_it_attended_and_leaves_no_trace(
    tiny_base: Path, packed: Path, corpus: Path, settings: Settings, tmp_path: Path, wanted: str | None
) -> None:
    settings = replace(settings, attention=wanted, budget_tokens=3 * settings.batch_tokens)
    figures = pretrain(tiny_base, packed, corpus, tmp_path, settings)
    assert figures["attention"] == (wanted or "sdpa")
    assert "attn" not in json.dumps(json.loads((tmp_path / "config.json").read_text(encoding="utf-8")))
    assert AutoModelForCausalLM.from_pretrained(tmp_path).config._attn_implementation == "sdpa"


def test_a_training_with_the_kernel_goes_as_one_with_the_mask(
    kernel: None, tiny_base: Path, packed: Path, corpus: Path, bf16: Settings, tmp_path: Path
) -> None:
    short = replace(bf16, budget_tokens=3 * bf16.batch_tokens, gradient_checkpointing=True)
    found = pretrain(tiny_base, packed, corpus, tmp_path / "kernel", short)
    expected = pretrain(tiny_base, packed, corpus, tmp_path / "mask", replace(short, attention="sdpa"))
    assert (found["attention"], expected["attention"]) == ("varlen", "sdpa")
    for ours, theirs in zip(found["curve"], expected["curve"], strict=True):
        assert ours["loss"] == pytest.approx(theirs["loss"], rel=1e-2)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="the kernel is for GPUs")
def test_the_kernel_of_a_gpu_agrees(bf16: Settings) -> None:
    given = {name: values.cuda() for name, values in batch().items()}
    assert Attention(model().cuda(), given, bf16).way == attention.VARLEN

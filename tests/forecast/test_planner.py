"""The training step without values: against a hand count, against real tensors, and what must grow with what."""

from dataclasses import replace

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM, MixtralConfig, PretrainedConfig

from lingraft.core.devices import DEVICES
from lingraft.evaluate.bits import batch_tokens
from lingraft.forecast import rehearsal, timing
from lingraft.forecast.planner import Prediction, alternatives, predict
from lingraft.forecast.tape import Tape
from lingraft.train import loss
from lingraft.train.settings import Lora, Settings

D, F, V, L, H, KV = 32, 64, 400, 4, 4, 2
LLAMA = LlamaConfig(
    vocab_size=V,
    hidden_size=D,
    intermediate_size=F,
    num_hidden_layers=L,
    num_attention_heads=H,
    num_key_value_heads=KV,
    tie_word_embeddings=False,
    dtype="bfloat16",
)
LAYER = 2 * D * D + 2 * D * D * KV // H + 3 * D * F
"""Matrix weights of a layer."""
NORMS = (2 * L + 1) * D
MIXTRAL = MixtralConfig(
    vocab_size=V,
    hidden_size=D,
    intermediate_size=F,
    num_hidden_layers=L,
    num_attention_heads=H,
    num_key_value_heads=KV,
    num_local_experts=8,
    num_experts_per_tok=2,
    dtype="bfloat16",
)
LORA = Lora(rank=4)


@pytest.fixture
def bf16(settings: Settings) -> Settings:
    return replace(settings, precision="bf16", micro_batch_sequences=2, lora=LORA)


def rehearsed(config: PretrainedConfig, settings: Settings, **changes: object) -> rehearsal.Rehearsal:
    case = {"sequences": 2, "accumulated": False, "kind": "cpu", **changes}
    return rehearsal.rehearse(config, settings, 10, **case)


def planned(config: PretrainedConfig, settings: Settings, **changes: object) -> Prediction:
    return predict(config, settings, num_new=10, measure=False, **changes)


def test_weights_against_a_count_by_hand(bf16: Settings) -> None:
    total = L * LAYER + 2 * V * D + NORMS
    full = rehearsed(LLAMA, bf16).weights
    assert (full.parameters, full.trainable) == (total, total)
    num_tensors = 9 * L + 3
    assert (full.weights_bytes, full.gradient_bytes) == (4 * total, 4 * total)
    assert full.state_bytes == 8 * total + 4 * num_tensors  # two moments and a counter of each
    rows = rehearsed(LLAMA, replace(bf16, train="rows")).weights
    assert rows.trainable == 2 * 10 * D
    assert rows.weights_bytes == 2 * total + 4 * rows.trainable
    embeddings = rehearsed(LLAMA, replace(bf16, train="embeddings")).weights
    assert embeddings.trainable == 2 * V * D
    assert embeddings.weights_bytes == 2 * (total - 2 * V * D) + 4 * 2 * V * D
    lora = rehearsed(LLAMA, replace(bf16, train="lora")).weights
    adapters = L * LORA.rank * (4 * D + 2 * (D + D * KV // H) + 3 * (D + F))
    assert lora.trainable == adapters + 2 * 10 * D
    qlora = rehearsed(LLAMA, replace(bf16, train="qlora")).weights
    assert lora.weights_bytes - qlora.weights_bytes == pytest.approx(L * LAYER * (2 - rehearsal.NF4_BYTES))
    eight = rehearsed(LLAMA, replace(bf16, optimizer="adamw_8bit")).weights
    matrices = {"large": 2 * V * D, "small": L * LAYER + NORMS}
    assert eight.state_bytes == pytest.approx(matrices["large"] * (2 + 8 / 256) + matrices["small"] * 8)


@pytest.mark.parametrize("train", ["full", "rows", "lora", "embeddings"])
def test_flops_against_a_count_by_hand(bf16: Settings, train: str) -> None:
    tokens, sequence = 2 * bf16.sequence_tokens, bf16.sequence_tokens
    attention = 2 * 2 * 2 * L * H * sequence * sequence * (D // H)  # two products of two sequences, forward
    layers, head = 2 * L * LAYER * tokens, 2 * V * D * tokens
    adapters = 2 * tokens * L * LORA.rank * (4 * D + 2 * (D + D * KV // H) + 3 * (D + F))
    found = rehearsed(LLAMA, replace(bf16, train=train, lora=replace(LORA, dropout=0.0))).flops
    expected = {
        "full": 3 * (layers + head),
        "rows": 2 * layers + 3 * head,
        "embeddings": 2 * layers + 3 * head,
        "lora": 2 * layers + 3 * head + 3 * adapters,
    }[train]
    # the scores are computed once more on the way back
    assert found == pytest.approx(expected + 3.5 * attention, rel=0.01)


def test_checkpointing_computes_the_layers_twice_and_holds_less(bf16: Settings) -> None:
    plain, again = rehearsed(LLAMA, bf16), rehearsed(LLAMA, replace(bf16, gradient_checkpointing=True))
    layers = 2 * L * LAYER * 2 * bf16.sequence_tokens
    assert layers <= again.flops - plain.flops <= 1.5 * layers
    assert again.forward_bytes < plain.forward_bytes


def test_only_active_experts_count(bf16: Settings) -> None:
    two, four = (
        rehearsed(MixtralConfig.from_dict({**MIXTRAL.to_dict(), "num_experts_per_tok": k}), bf16) for k in (2, 4)
    )
    assert two.weights == four.weights
    one_more = 3 * 2 * 3 * D * F * L * 2 * bf16.sequence_tokens
    assert four.flops - two.flops == pytest.approx(2 * one_more, rel=0.01)


@pytest.mark.parametrize("config", [LLAMA, MIXTRAL], ids=["llama", "mixtral"])
@pytest.mark.parametrize("train", ["full", "lora", "rows", "top_bottom"])
@pytest.mark.parametrize("checkpointing", [False, True])
def test_few_layers_tell_of_many(bf16: Settings, config: PretrainedConfig, train: str, checkpointing: bool) -> None:
    settings = replace(bf16, train=train, gradient_checkpointing=checkpointing)
    deep = type(config).from_dict({**config.to_dict(), "num_hidden_layers": 7})
    reckoned = rehearsed(deep, settings)
    run = rehearsal._few_layers(rehearsal._Case(deep, settings, 10, 2, False, "cpu", False), 7)
    assert reckoned.weights == run.weights
    assert reckoned.flops == pytest.approx(run.flops, rel=1e-6)
    assert reckoned.training_bytes == pytest.approx(run.training_bytes, rel=0.02)
    assert reckoned.held_out_bytes == run.held_out_bytes


def test_held_out_text_needs_no_logits_of_a_whole_window(bf16: Settings) -> None:
    """Of a large vocabulary; a text twice as long has twice the hidden states, and as many logits at once."""
    config = LlamaConfig.from_dict({**LLAMA.to_dict(), "vocab_size": 1 << 20})
    size = batch_tokens(1 << 20)
    once, twice, fourfold = (
        rehearsed(config, replace(bf16, sequence_tokens=size * times + 1)).held_out_bytes for times in (1, 2, 4)
    )
    assert fourfold - once < 0.02 * once
    assert once <= twice <= fourfold


def test_the_tape_counts_real_tensors_the_same(bf16: Settings) -> None:
    """The same code with values, under the same tape."""
    torch.manual_seed(0)
    model = LlamaForCausalLM(LLAMA).float().train()
    batch = rehearsal._batch(2, bf16.sequence_tokens)
    batch["position_ids"] = torch.arange(bf16.sequence_tokens).expand(2, -1) % 20
    tape = Tape()
    for tensor in (*model.parameters(), *model.buffers(), *batch.values()):
        tape.hold(tensor)
    standing = tape.live_bytes
    with tape:
        assert rehearsal._is_chunked(model, batch)
        loss.ChunkedLoss(model)
        tape.take()
        value = rehearsal._forward(model, batch, autocast=True)
        forward = max(tape.take()) - standing
        value.backward()
    found = rehearsed(LLAMA, bf16)
    assert forward == pytest.approx(found.forward_bytes, rel=0.05)


def test_less_moves_less_memory(bf16: Settings) -> None:
    full, lora, qlora, rows = (
        planned(LLAMA, replace(bf16, train=train)).device_bytes for train in ("full", "lora", "qlora", "rows")
    )
    assert qlora < lora < full
    assert rows < full
    assert planned(LLAMA, replace(bf16, optimizer="muon")).device_bytes < full


def test_a_seventy_billion_model_is_planned_without_its_memory(bf16: Settings) -> None:
    large = LlamaConfig(
        vocab_size=128256,
        hidden_size=8192,
        intermediate_size=28672,
        num_hidden_layers=80,
        num_attention_heads=64,
        num_key_value_heads=8,
        dtype="bfloat16",
    )
    settings = replace(bf16, batch_tokens=512 * bf16.sequence_tokens, gradient_checkpointing=True)
    h200 = DEVICES["h200"]
    eight, many = (planned(large, settings, device=h200, num_devices=number) for number in (8, 64))
    assert eight.sharded
    assert many.sharded
    assert eight.parameters == many.parameters + 0
    assert 70.5e9 < eight.parameters < 70.6e9
    for part in ("weights", "optimizer", "gradients"):
        assert eight.parts[part] == pytest.approx(8 * many.parts[part])
    assert eight.parts["weights"] == pytest.approx(4 * eight.parameters / 8)
    assert eight.device_bytes > h200.memory_bytes > many.device_bytes
    seconds = settings.batch_tokens * eight.flops_per_token / (8 * 0.464 * 989e12)
    assert eight.tokens_per_second == pytest.approx(settings.batch_tokens / seconds)
    assert many.tokens_per_second == pytest.approx(8 * eight.tokens_per_second)
    assert eight.speed_from == "46.4% of 989 TFLOP/s"
    whole = planned(large, settings, device=h200, num_devices=8, sharded=False)
    assert whole.parts["gradients on their way"] == 4 * whole.parameters


def test_what_would_fit(bf16: Settings) -> None:
    settings = replace(bf16, micro_batch_sequences=8)
    needed = planned(LLAMA, settings).device_bytes
    assert alternatives(LLAMA, settings, 1e6, num_new=10) == ()
    found = alternatives(LLAMA, settings, needed - 1, num_new=10)
    assert [line.partition("  (about")[0] for line in found] == [
        "micro_batch_sequences: 4",
        "micro_batch_sequences: 2",
        "micro_batch_sequences: 1",
    ]


def test_the_speed_of_fp32_is_not_in_a_data_sheet(bf16: Settings) -> None:
    found = planned(LLAMA, replace(bf16, precision="fp32"), device=DEVICES["a100-80gb"])
    assert found.tokens_per_second is None
    assert found.speed_from == "unknown: the data sheet of A100 is read for bf16 alone"


@pytest.mark.parametrize("seconds", [timing.SECONDS, 0.0])  # the whole model, or a few layers
@pytest.mark.parametrize("train", ["full", "rows", "top_bottom"])
def test_a_step_is_timed_on_this_machine(
    bf16: Settings, train: str, seconds: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(timing, "SECONDS", seconds)
    settings, depths, timed = replace(bf16, train=train), [], timing._timed
    monkeypatch.setattr(
        timing, "_timed", lambda config, depth, *rest: depths.append(depth) or timed(config, depth, *rest)
    )
    found = timing.measure(LLAMA, settings, 10, 2, rehearsed(LLAMA, settings))
    assert found.micro_batch > 0
    assert found.step > 0
    assert depths == ([L] if seconds else [L - 1, L] if train == "top_bottom" else [1, 2])
    assert predict(LLAMA, settings, num_new=10).speed_from == "timed on this machine"


def test_what_is_too_large_is_not_timed(bf16: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timing, "MOST_BYTES", 1.0)
    assert timing.measure(LLAMA, bf16, 10, 2, rehearsed(LLAMA, bf16)) is None

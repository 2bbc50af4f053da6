import math
from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    Gemma2Config,
    Gemma2ForCausalLM,
    PreTrainedModel,
    PreTrainedTokenizerFast,
)

from lingraft.core.errors import InputError
from lingraft.core.progress import Progress
from lingraft.evaluate import bits
from lingraft.evaluate.bits import Bits


@pytest.fixture(scope="module")
def model(tiny_base: Path) -> PreTrainedModel:
    """Weights large enough that what stands far before a token matters."""
    model = AutoModelForCausalLM.from_pretrained(tiny_base).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(4)
    return model


@pytest.fixture(scope="module")
def tokenizer(tiny_base: Path) -> PreTrainedTokenizerFast:
    return AutoTokenizer.from_pretrained(tiny_base)


@torch.inference_mode()
def slow_bits(model: PreTrainedModel, ids: list[int], first: int = 1) -> float:
    """The bits of ids[first:], one token at a time, each with a forward pass of its own."""
    total = 0.0
    for place in range(first, len(ids)):
        logits = model(input_ids=torch.tensor([ids[:place]]), use_cache=False).logits[0, -1].double()
        total -= (logits.log_softmax(-1)[ids[place]] / math.log(2)).item()
    return total


def encoded(tiny_base: Path, text: str) -> list[int]:
    return Tokenizer.from_file(str(tiny_base / "tokenizer.json")).encode(text, add_special_tokens=False).ids


def test_against_one_token_at_a_time(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, tiny_base: Path, polish: list[str], english: list[str]
) -> None:
    texts = [polish[0], english[0][:20], "ż", "", polish[1]]
    records = bits.measure(model, tokenizer, texts, context_tokens=128)
    for text, record in zip(texts, records, strict=True):
        ids = encoded(tiny_base, text)
        assert (record.bytes, record.tokens) == (len(text.encode()), len(ids))
        assert record.bits == pytest.approx(slow_bits(model, [0, *ids]), rel=1e-5)


def test_long_document_is_read_in_windows(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, tiny_base: Path, polish: list[str]
) -> None:
    context = 16
    ids = [0, *encoded(tiny_base, polish[0])]
    assert len(ids) > 3 * context
    expected, seen = slow_bits(model, ids[:context]), context
    while seen < len(ids):
        end = min(seen + 12, len(ids))
        window = ids[end - context : end]
        expected += slow_bits(model, window, first=context - (end - seen))
        seen = end
    (record,) = bits.measure(model, tokenizer, [polish[0]], context_tokens=context)
    assert record.bits == pytest.approx(expected, rel=1e-5)
    (whole,) = bits.measure(model, tokenizer, [polish[0]], context_tokens=128)
    assert abs(whole.bits - record.bits) > 1e-2


@pytest.mark.parametrize("context", [2, 3, 16, 17, 64])
@pytest.mark.parametrize("length", [1, 2, 15, 16, 17, 18, 28, 29, 100])
def test_every_token_is_scored_once_with_enough_before_it(context: int, length: int) -> None:
    scored = []
    for ids, places in bits._windows(range(length), context):
        assert len(ids) <= context
        assert list(ids) == list(range(ids[0], ids[0] + len(ids)))
        for place in (ids[place] for place in places):
            scored.append(place)
            assert place - ids[0] >= min(place, max(1, context // 4))
    assert scored == list(range(1, length))


def test_batches_do_not_change_the_result(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerFast,
    polish: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    texts = [text[: 10 + 9 * index] for index, text in enumerate(polish)]
    together = bits.measure(model, tokenizer, texts, context_tokens=32)
    backwards = bits.measure(model, tokenizer, texts[::-1], context_tokens=32)[::-1]
    monkeypatch.setattr(bits, "BATCH_TOKENS", 1)
    alone = bits.measure(model, tokenizer, texts, context_tokens=32)
    for one, two, three in zip(together, alone, backwards, strict=True):
        assert one.bits == pytest.approx(two.bits, rel=1e-5)
        assert one.bits == pytest.approx(three.bits, rel=1e-5)


def test_the_head_is_given_a_few_places_at_a_time(
    tokenizer: PreTrainedTokenizerFast, polish: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The text is read once, and what a model does to its logits is done to all of them."""
    sizes = {"hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    config = Gemma2Config(
        vocab_size=len(tokenizer), num_key_value_heads=1, head_dim=16, final_logit_softcapping=0.2, **sizes
    )
    torch.manual_seed(0)
    capped = Gemma2ForCausalLM(config).eval()
    expected = slow_bits(capped, [tokenizer.bos_token_id, *tokenizer(polish[0], add_special_tokens=False)["input_ids"]])
    given, read = [], []
    capped.lm_head.register_forward_pre_hook(lambda _, inputs: given.append(inputs[0].shape[1]))
    capped.model.layers[0].register_forward_hook(lambda *_: read.append(1))
    monkeypatch.setattr(bits, "BATCH_TOKENS", 10)
    (record,) = bits.measure(capped, tokenizer, [polish[0]], context_tokens=128)
    assert record.bits == pytest.approx(expected, rel=1e-5)
    assert len(read) == 1
    assert len(given) > 2
    assert capped.model(torch.tensor([[1, 2]])).last_hidden_state.shape[1] == 2


def test_large_vocabularies_are_read_in_smaller_batches() -> None:
    assert (bits.batch_tokens(6_000), bits.batch_tokens(32_768), bits.batch_tokens(131_072)) == (8192, 4096, 1024)


def test_batches_hold_every_window_once_and_keep_to_their_size() -> None:
    windows = [bits.Window(index, range(size), range(1, size)) for index, size in enumerate([3, 20, 50, 7, 19, 1, 20])]
    batches = list(bits._batches(windows, 40))
    assert sorted(window.document for batch in batches for window in batch) == list(range(len(windows)))
    sizes = [len(batch) * max(len(window.ids) for window in batch) for batch in batches]
    assert [size for size in sizes if size > 40] == [50]
    assert list(bits._batches([], 40)) == []


def test_begins_with_eos_where_there_is_no_bos(model: PreTrainedModel, tiny_base: Path, english: list[str]) -> None:
    tokenizer = AutoTokenizer.from_pretrained(tiny_base)
    tokenizer.bos_token = None
    (record,) = bits.measure(model, tokenizer, [english[0]], context_tokens=128)
    assert record.bits == pytest.approx(slow_bits(model, [1, *encoded(tiny_base, english[0])]), rel=1e-5)


def test_neither_bos_nor_eos(model: PreTrainedModel, tiny_base: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(tiny_base)
    tokenizer.bos_token = tokenizer.eos_token = None
    with pytest.raises(InputError, match="the tokenizer has neither a BOS nor an EOS token to begin a text with"):
        bits.measure(model, tokenizer, ["text"], context_tokens=16)


def test_no_documents(model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast) -> None:
    assert bits.measure(model, tokenizer, [], context_tokens=16) == []


def test_progress_counts_the_tokens(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, polish: list[str]
) -> None:
    class Counter(Progress):
        total, amount = 0.0, 0.0

        def start(self, what: str, total: float | None = None, unit: str = "") -> None:
            self.total = total

        def advance(self, amount: float = 1) -> None:
            self.amount += amount

    counter = Counter()
    records = bits.measure(model, tokenizer, polish, context_tokens=16, progress=counter)
    assert counter.total == counter.amount == sum(record.tokens for record in records)


def test_bits_per_byte_weighs_by_length() -> None:
    assert bits.bits_per_byte([Bits(10.0, 10, 1), Bits(60.0, 20, 1)]) == pytest.approx(70 / 30)

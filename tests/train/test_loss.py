from pathlib import Path

import pytest
import torch
from torch.nn import functional
from transformers import AutoModelForCausalLM, Gemma2Config, Gemma2ForCausalLM

from lingraft.train import loss
from lingraft.train.loss import ChunkedCrossEntropy, chunk, cross_entropy


@pytest.fixture(autouse=True)
def _small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(loss.CHUNK_LOGITS, "cpu", 3000)  # 7 of 400


@pytest.fixture
def batch() -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    ids = torch.randint(0, 400, (3, 20), generator=generator)
    labels = ids.clone()
    labels[0, :4] = labels[2, 15:] = -100
    return {"input_ids": ids, "labels": labels}


def test_loss_and_gradients_are_those_of_all_logits_at_once() -> None:
    generator = torch.Generator().manual_seed(2)
    hidden = torch.randn(50, 16, generator=generator, dtype=torch.float64, requires_grad=True)
    head = torch.randn(400, 16, generator=generator, dtype=torch.float64, requires_grad=True)
    labels = torch.randint(0, 400, (50,), generator=generator)
    expected = functional.cross_entropy(hidden @ head.T, labels, reduction="sum")
    gradients = torch.autograd.grad(3 * expected, (hidden, head))
    found = ChunkedCrossEntropy.apply(hidden, head, labels, torch.float64, 7, cross_entropy)
    torch.testing.assert_close(found.double(), expected, rtol=1e-6, atol=0)
    for ours, theirs in zip(torch.autograd.grad(3 * found, (hidden, head)), gradients, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("base", ["tiny_base", "tiny_untied_base"])
def test_a_model_trains_as_with_its_own_loss(
    base: str, batch: dict[str, torch.Tensor], request: pytest.FixtureRequest
) -> None:
    folder: Path = request.getfixturevalue(base)
    own, model = (AutoModelForCausalLM.from_pretrained(folder).train() for _ in range(2))
    chunked = chunk(model, batch, autocast=False)
    assert chunked is not None
    assert model.training
    for extra in ({}, {"num_items_in_batch": 10}):
        ours, theirs = model(**batch, **extra).loss, own(**batch, **extra).loss
        torch.testing.assert_close(ours, theirs)
        ours.backward()
        theirs.backward()
    for (name, ours), theirs in zip(model.named_parameters(), own.parameters(), strict=True):
        torch.testing.assert_close(ours.grad, theirs.grad, msg=name, rtol=1e-4, atol=1e-6)
    model.eval(), own.eval()
    torch.testing.assert_close(model(**batch).logits, own(**batch).logits)
    torch.testing.assert_close(model(**batch).loss, own(**batch).loss)
    chunked.undo()
    model.train()
    assert model(**batch).logits.shape == (3, 20, 400)


def test_a_frozen_head_gets_no_gradient(tiny_untied_base: Path, batch: dict[str, torch.Tensor]) -> None:
    model = AutoModelForCausalLM.from_pretrained(tiny_untied_base).train()
    model.lm_head.requires_grad_(False)
    assert chunk(model, batch, autocast=False) is not None
    model(**batch).loss.backward()
    assert model.lm_head.weight.grad is None
    assert model.model.embed_tokens.weight.grad.abs().sum() > 0


def test_a_model_that_caps_its_logits_keeps_its_own_loss(batch: dict[str, torch.Tensor]) -> None:
    torch.manual_seed(0)
    config = Gemma2Config(
        vocab_size=400,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=16,
        final_logit_softcapping=0.1,
    )
    model = Gemma2ForCausalLM(config)
    own = model(**batch).loss
    assert chunk(model, batch, autocast=False) is None
    torch.testing.assert_close(model(**batch).loss, own)


def test_a_head_with_a_bias_keeps_its_own_loss(tiny_untied_base: Path, batch: dict[str, torch.Tensor]) -> None:
    model = AutoModelForCausalLM.from_pretrained(tiny_untied_base)
    model.lm_head.bias = torch.nn.Parameter(torch.ones(400))
    assert chunk(model, batch, autocast=False) is None

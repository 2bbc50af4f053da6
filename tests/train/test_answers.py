from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, BloomConfig, BloomForCausalLM
from tuning_for_tests import conversations

from lingraft.ask.message import Message
from lingraft.conversations.record import Conversation
from lingraft.conversations.template import Template, named
from lingraft.core.errors import InputError
from lingraft.train import answers


@pytest.fixture
def template(tiny_base: Path) -> Template:
    tokenizer = AutoTokenizer.from_pretrained(tiny_base)
    return Template(tokenizer, named(tokenizer, "zephyr", Path())[1])


def test_rows_hold_every_conversation_once_whole_and_apart(template: Template, polish: list[str]) -> None:
    found = answers.sequences(conversations(polish, 12), template, 400, "refuse")
    rows = answers.pack(found, 400, pad_id=2)
    assert rows.tokens_N.sum() == sum(len(sequence.ids) for of in found.of for sequence in of)
    pieces = []
    for ids, labels, positions, tokens in zip(
        rows.ids_NS, rows.labels_NS, rows.positions_NS, rows.tokens_N, strict=True
    ):
        starts = [place for place in range(tokens) if positions[place] == 0]
        for start, end in zip(starts, [*starts[1:], tokens], strict=True):
            assert list(positions[start:end]) == list(range(end - start))
            pieces.append((tuple(ids[start:end]), tuple(labels[start:end])))
        assert (labels[tokens:] == -100).all()
        assert (ids[tokens:] == 2).all()
    wanted = []
    for (sequence,) in found.of:
        counted = set(sequence.answer_places)
        labels = tuple(token if place in counted else -100 for place, token in enumerate(sequence.ids))
        wanted.append((tuple(sequence.ids), labels))
    assert sorted(pieces) == sorted(wanted)
    assert rows.answer_bytes_N.sum() == sum(sequence.answer_bytes for (sequence,) in found.of)
    assert len(rows.ids_NS) < 12


def test_packed_answers_cost_what_each_costs_alone(template: Template, polish: list[str], tiny_base: Path) -> None:
    """No conversation sees another one of its row."""
    model = AutoModelForCausalLM.from_pretrained(tiny_base).eval()
    found = answers.sequences(conversations(polish, 3), template, 128, "refuse")
    rows = answers.pack(found, 256, pad_id=2)
    data = answers.dataset([rows], np.array([[0, row] for row in range(len(rows.ids_NS))]))
    batch = answers.collate([data[row] for row in range(len(data))])
    with torch.no_grad():
        logits = model(input_ids=batch["input_ids"], position_ids=batch["position_ids"], use_cache=False).logits
        labels = batch["labels"][:, 1:]
        together = torch.nn.functional.cross_entropy(
            logits[:, :-1].flatten(0, 1), labels.flatten(), ignore_index=-100, reduction="sum"
        )
    alone = answers.answer_bits(model, found, template, pad_id=2)
    assert together.item() / np.log(2) == pytest.approx(sum(one.bits for one in alone), rel=1e-5)
    assert [one.tokens for one in alone] == [len(of[0].answer_places) for of in found.of]


def test_what_cannot_be_trained_on_is_counted(template: Template, polish: list[str]) -> None:
    records = [
        *conversations(polish, 3),
        Conversation("long", (Message("user", "x" * 500), Message("assistant", "y"))),
        Conversation("control", (Message("user", "<|eos|>"), Message("assistant", "y"))),
    ]
    found = answers.sequences(records, template, 120, "refuse")
    assert len(found.of) == 3
    assert found.left_out == {
        "longer than the context": 1,
        "has control tokens of the tokenizer in its text": 1,
    }


def test_a_stream_of_the_mix_without_conversations(template: Template, tmp_path: Path) -> None:
    long = [Conversation("long", (Message("user", "x" * 500), Message("assistant", "y")))]
    streams = {"target": answers.sequences(long, template, 64, "refuse")}
    told = r"asks for 100% of target, and there is no target conversation to train on: 1 longer than the context"
    with pytest.raises(InputError, match=told):
        answers.require_some(streams, {"target": 1.0}, tmp_path)
    assert len(answers.pack(streams["target"], 64, 2).ids_NS) == 0


def test_a_model_that_does_not_go_by_positions_gets_one_conversation_a_row(
    template: Template, polish: list[str], tiny_base: Path
) -> None:
    config = BloomConfig(vocab_size=400, hidden_size=32, n_layer=2, n_head=4, bos_token_id=0, eos_token_id=1)
    bloom = BloomForCausalLM(config).eval()
    llama = AutoModelForCausalLM.from_pretrained(tiny_base).eval()
    found = answers.sequences(conversations(polish, 4), template, 128, "refuse")
    assert answers.keeps_apart(llama, [found])
    assert not answers.keeps_apart(bloom, [found])
    rows = answers.pack(found, 128, 2, together=False)
    data = answers.dataset([rows], np.array([[0, row] for row in range(4)]), together=False)
    batch = answers.collate([data[row] for row in range(4)])
    assert set(batch) == {"input_ids", "labels", "attention_mask"}
    assert batch["attention_mask"].sum(dim=1).tolist() == [len(of[0].ids) for of in found.of]

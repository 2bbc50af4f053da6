from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from made_tokenizers import save_extended
from transformers import AutoModelForCausalLM

from lingraft.core.errors import InputError
from lingraft.graft import learned, subwords
from lingraft.graft.matching import match, spell
from lingraft.graft.strategy import INPUT, OUTPUT, Grafting
from lingraft.graft.surgery import initialize
from lingraft.tokenizer import family

SHORT = {"share": 1.0, "sequence_tokens": 32, "batch_sequences": 2}

GraftingOf = Callable[[Path], Grafting]


@pytest.fixture(scope="module")
def extended(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_extended(tiny_base, tmp_path_factory.mktemp("extended"))


@pytest.fixture
def grafting_of(extended: Path, polish: list[str]) -> GraftingOf:
    def make(base: Path) -> Grafting:
        old, new = family.open(base), family.open(extended)
        fresh = match(old, new, extended).fresh
        model = AutoModelForCausalLM.from_pretrained(base)
        tables = {INPUT: model.get_input_embeddings().weight.data.bfloat16()}
        if not model.config.tie_word_embeddings:
            tables[OUTPUT] = model.get_output_embeddings().weight.data.bfloat16()
        return Grafting(tables, list(fresh), spell(old, new, fresh), old, new, base, polish * 3)

    return make


def test_the_loss_falls_and_the_same_seed_gives_the_same_rows(tiny_untied_base: Path, grafting_of: GraftingOf) -> None:
    grafting = grafting_of(tiny_untied_base)
    found = learned.rows(grafting, **SHORT, lr=0.05)
    assert found.keys() == {INPUT, OUTPUT}
    for rows in found.values():
        assert rows.shape == (30, 32)
        assert rows.dtype == torch.bfloat16
    assert grafting.figures["steps"] >= 10
    again = learned.rows(grafting_of(tiny_untied_base), **SHORT, lr=0.05)
    assert all(torch.equal(found[side], again[side]) for side in found)
    other = learned.rows(replace(grafting, seed=1), **SHORT, lr=0.05)
    assert not torch.equal(found[INPUT], other[INPUT])


def test_without_a_step_the_rows_are_those_they_start_from(tiny_untied_base: Path, grafting_of: GraftingOf) -> None:
    grafting = grafting_of(tiny_untied_base)
    model_rows = learned.rows(grafting, **SHORT, lr=0.0)
    for side, rows in subwords.rows(grafting).items():
        assert torch.allclose(model_rows[side].float(), rows.float(), atol=2e-3)


def test_the_grafted_model_predicts_better(tiny_base: Path, extended: Path, polish: list[str], tmp_path: Path) -> None:
    losses = {}
    for strategy, options in (("subwords", {}), ("learned", {**SHORT, "lr": 0.05})):
        folder = tmp_path / strategy
        initialize(tiny_base, extended, folder, strategy=strategy, options=options, text=polish * 3)
        model, tokenizer = AutoModelForCausalLM.from_pretrained(folder), family.open(folder)
        ids = [tokenizer(text, return_tensors="pt").input_ids for text in polish]
        losses[strategy] = sum(model(input_ids=i, labels=i).loss.item() for i in ids)
    assert losses["learned"] < losses["subwords"] - 0.5


def test_one_side_alone(tiny_untied_base: Path, grafting_of: GraftingOf) -> None:
    grafting = grafting_of(tiny_untied_base)
    both = learned.rows(grafting, **SHORT)
    alone = learned.rows(replace(grafting, tables={OUTPUT: grafting.tables[OUTPUT]}), **SHORT)
    assert alone.keys() == {OUTPUT}
    assert not torch.equal(alone[OUTPUT], both[OUTPUT])


def test_a_share_and_a_limit_bound_the_text(tiny_base: Path, grafting_of: GraftingOf) -> None:
    def tokens(**options: float) -> int:
        grafting = grafting_of(tiny_base)
        learned.rows(grafting, **{**SHORT, **options})
        return grafting.figures["tokens"]

    everything = tokens()
    assert tokens(share=0.5) == pytest.approx(everything / 2, abs=64)
    assert tokens(max_tokens=100) == 96
    assert tokens(share=0.04, sequence_tokens=4096) > 8  # all there is, shorter than a sequence


def test_no_text(tiny_base: Path, grafting_of: GraftingOf) -> None:
    with pytest.raises(InputError, match=r"no target text to learn rows from(.|\n)*Give `learned` the training text"):
        learned.rows(replace(grafting_of(tiny_base), text=()))

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from made_tokenizers import save_extended
from transformers import AutoModelForCausalLM

from lingraft.core.errors import InputError
from lingraft.graft import distill, snippets, subwords
from lingraft.graft.matching import match, spell
from lingraft.graft.strategy import INPUT, OUTPUT, Grafting
from lingraft.tokenizer import family

SHORT = {"num_snippets": 4, "snippet_tokens": 12, "batch_snippets": 4}


@pytest.fixture
def grafting(tiny_untied_base: Path, tmp_path: Path, polish: list[str]) -> Grafting:
    folder = save_extended(tiny_untied_base, tmp_path)
    old, new = family.open(tiny_untied_base), family.open(folder)
    fresh = match(old, new, folder).fresh
    model = AutoModelForCausalLM.from_pretrained(tiny_untied_base)
    tables = {INPUT: model.get_input_embeddings().weight.data, OUTPUT: model.get_output_embeddings().weight.data}
    return Grafting(tables, list(fresh), spell(old, new, fresh), old, new, tiny_untied_base, polish * 2)


def slow_distance(grafting: Grafting, rows: torch.Tensor) -> float:
    """Equation 1 of the paper, a snippet at a time: the model itself reads embeddings, not ids."""
    model = AutoModelForCausalLM.from_pretrained(grafting.base).eval()
    table = model.get_input_embeddings().weight.data
    squares, count = 0.0, 0
    for text in grafting.text:
        ids = grafting.old(text, add_special_tokens=False).input_ids
        for number, pieces in enumerate(grafting.spellings):
            for first in range(len(ids) - len(pieces) + 1):
                if ids[first : first + len(pieces)] == list(pieces):
                    last = first + len(pieces)
                    teacher = torch.cat([table[[0]], table[ids]])
                    student = torch.cat([table[[0]], table[ids[:first]], rows[[number]], table[ids[last:]]])
                    with torch.no_grad():
                        hidden = [model.model(inputs_embeds=e[None]).last_hidden_state[0] for e in (teacher, student)]
                    squares += (hidden[0][last:] - hidden[1][1 + first :]).square().sum().item()
                    count += hidden[0][last:].numel()
    return squares / count


def test_the_loss_is_that_of_the_paper(grafting: Grafting) -> None:
    whole = replace(grafting, text=list(grafting.text)[:2])
    found = distill.rows(whole, num_snippets=99, snippet_tokens=99, batch_snippets=9999, lr=0.0)
    start = subwords.rows(whole)[INPUT]
    assert torch.allclose(found[INPUT], start, atol=1e-6)
    assert whole.figures["loss"]["first"] == pytest.approx(slow_distance(whole, start), rel=1e-4)


def test_the_rows_bring_the_hidden_states_closer(grafting: Grafting) -> None:
    found = distill.rows(grafting, **SHORT, lr=0.003)
    start = subwords.rows(grafting)
    assert slow_distance(grafting, found[INPUT]) < 0.9 * slow_distance(grafting, start[INPUT])
    assert torch.equal(found[OUTPUT], start[OUTPUT])
    again = distill.rows(grafting, **SHORT, lr=0.003)
    assert torch.equal(found[INPUT], again[INPUT])
    assert not torch.equal(found[INPUT], distill.rows(replace(grafting, seed=1), **SHORT, lr=0.003)[INPUT])


def test_output_rows_alone_need_no_training(grafting: Grafting) -> None:
    outputs = replace(grafting, tables={OUTPUT: grafting.tables[OUTPUT]}, text=())
    assert torch.equal(distill.rows(outputs)[OUTPUT], subwords.rows(grafting)[OUTPUT])


def test_tokens_that_the_text_lacks_stay_at_their_start_and_are_counted(grafting: Grafting) -> None:
    part = replace(grafting, text=list(grafting.text)[:1])
    found, start = distill.rows(part, **SHORT)[INPUT], subwords.rows(part)[INPUT]
    same = (found - start).abs().amax(dim=1) < 1e-7
    assert 0 < part.figures["tokens_without_snippet"] == same.sum() < 30


def test_a_text_without_any_of_the_tokens(grafting: Grafting) -> None:
    with pytest.raises(InputError, match=r"none of the new tokens occurs(.|\n)*the tokenizer was extended with"):
        distill.rows(replace(grafting, text=["12345"]))


def test_snippets_stand_around_their_token() -> None:
    document = [9, 9, 9, 1, 2, 3, 9, 9, 9, 1, 2]
    found = list(snippets.find([document], [[1, 2], [1, 2, 3], [5]], per_token=5, tokens=5))
    assert [(s.token, list(s.ids), s.first, s.last) for s in found] == [
        (0, [9, 1, 2, 3, 9], 1, 3),
        (1, [9, 1, 2, 3, 9], 1, 4),
        (0, [9, 9, 9, 1, 2], 3, 5),
    ]
    assert [s.token for s in snippets.find([document] * 3, [[1, 2], [2, 3]], per_token=1, tokens=5)] == [0, 1]
    assert not list(snippets.find([document], [[1, 2, 3]], per_token=5, tokens=2))
    assert next(snippets.find([[1, 2]], [[1, 2]], per_token=5, tokens=50)).ids == [1, 2]

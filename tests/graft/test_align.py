from collections import Counter, defaultdict
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from made_tokenizers import save_extended

from lingraft.core.errors import InputError
from lingraft.graft import align, subwords
from lingraft.graft.matching import match, spell
from lingraft.graft.strategy import INPUT, Grafting
from lingraft.tokenizer import family


@pytest.fixture
def grafting(tiny_base: Path, tmp_path: Path, polish: list[str]) -> Grafting:
    extended = save_extended(tiny_base, tmp_path)
    old, new = family.open(tiny_base), family.open(extended)
    fresh = match(old, new, extended).fresh
    table = torch.randn(400, 8, generator=torch.Generator().manual_seed(0))
    return Grafting({INPUT: table}, list(fresh), spell(old, new, fresh), old, new, tiny_base, polish)


def test_align_is_the_mean_over_all_occurrences(grafting: Grafting) -> None:
    table, slow = grafting.tables[INPUT], defaultdict(list)
    for text in grafting.text:
        old, new = (
            tokenizer.backend_tokenizer.encode(text, add_special_tokens=False)
            for tokenizer in (grafting.old, grafting.new)
        )
        for index, (start, end) in zip(new.ids, new.offsets, strict=True):
            for piece, (left, right) in zip(old.ids, old.offsets, strict=True):
                if left < end and right > start:
                    slow[index].append(table[piece])
    found = align.rows(grafting)[INPUT]
    plain = subwords.rows(grafting)[INPUT]
    for row, spelled, index in zip(found, plain, grafting.new_ids, strict=True):
        wanted = torch.stack(slow[index]).mean(dim=0) if index in slow else spelled
        assert torch.allclose(row, wanted, atol=1e-6)
    assert grafting.figures["not_in_text"] == sum(index not in slow for index in grafting.new_ids)
    assert len(slow) > 20


def test_old_tokens_that_overlap_count_each_time() -> None:
    replaced: defaultdict[int, Counter[int]] = defaultdict(Counter)
    align._align([1, 2, 3, 1], [(0, 2), (2, 3), (3, 6), (6, 7)], [9, 5, 9], [(0, 3), (3, 4), (4, 7)], {9}, replaced)
    assert replaced == {9: Counter({1: 2, 2: 1, 3: 1})}


def test_a_limit_on_the_text_leaves_later_tokens_to_subwords(grafting: Grafting) -> None:
    align.rows(grafting, max_megabytes=1e-6)
    assert grafting.figures["not_in_text"] > 10


def test_no_text_is_an_error(grafting: Grafting) -> None:
    with pytest.raises(InputError, match=r"no target text to align(.|\n)*subwords"):
        align.rows(replace(grafting, text=[]))

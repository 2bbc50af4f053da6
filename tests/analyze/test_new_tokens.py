import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from made_subjects import grafted, moved
from safetensors.torch import load_file, save_file
from transformers import AutoTokenizer

from lingraft.analyze import drift, new_tokens
from lingraft.analyze.new_tokens import Vocabulary

EMBEDDING = "model.embed_tokens.weight"


@pytest.fixture(params=["continued_bpe", "replace", "swap"])
def words(request: pytest.FixtureRequest, tiny_untied_base: Path, tmp_path: Path) -> Vocabulary:
    graft = grafted(tiny_untied_base, tmp_path, request.param)
    return new_tokens.vocabulary([tiny_untied_base, graft, moved(graft, tmp_path / "adapted", 0.1)])


def test_new_tokens_are_found_by_what_they_are(words: Vocabulary) -> None:
    before, after = (AutoTokenizer.from_pretrained(folder).get_vocab() for folder in (words.base, words.adapted))
    assert words.new_ids == sorted(index for token, index in after.items() if token not in before)
    assert len(words.new_ids) >= 20
    assert words.start == words.adapted.parent / "graft"


def test_old_rows_are_held_against_the_base_and_new_ones_against_their_start(words: Vocabulary) -> None:
    before, after = (AutoTokenizer.from_pretrained(folder).get_vocab() for folder in (words.base, words.adapted))
    base, start, adapted = (
        load_file(folder / "model.safetensors") for folder in (words.base, words.start, words.adapted)
    )
    for side, name in zip(new_tokens.sides(words, Counter()), (EMBEDDING, "lm_head.weight"), strict=True):
        shared = sorted(after[token] for token in before.keys() & after.keys())
        token_of = {index: token for token, index in after.items()}
        for row, index in enumerate(shared):
            old, new = base[name][before[token_of[index]]], adapted[name][index]
            if not old.any():  # the row of the padding token in the embedding
                assert np.isnan(side.old["relative"][row])
                continue
            assert side.old["relative"][row] == pytest.approx(((new - old).norm() / old.norm()).item(), rel=1e-5)
        for row, index in enumerate(words.new_ids):
            old, new = start[name][index], adapted[name][index]
            assert side.new["relative"][row] == pytest.approx(((new - old).norm() / old.norm()).item(), rel=1e-5)
            assert side.new_norms[row] == pytest.approx(new.norm().item(), rel=1e-5)


def test_padding_is_neither_old_nor_new(tiny_base: Path, tmp_path: Path) -> None:
    padded = moved(tiny_base, tmp_path / "padded", 0.0)
    weights = load_file(padded / "model.safetensors")
    weights[EMBEDDING] = torch.cat([weights[EMBEDDING], torch.zeros(60, 32)])
    save_file(weights, padded / "model.safetensors", {"format": "pt"})
    config = (padded / "config.json").read_text(encoding="utf-8")
    (padded / "config.json").write_text(config.replace('"vocab_size": 400', '"vocab_size": 460'), encoding="utf-8")
    graft = grafted(padded, tmp_path)
    words = new_tokens.vocabulary([padded, graft, graft])
    (side,) = new_tokens.sides(words, Counter())
    assert len(side.table_VD) == 460
    assert len(side.old["norm"]) == 400
    assert len(side.new["norm"]) == len(words.new_ids) == 40
    assert (side.old["norm"] == 0).sum() == 1  # that of the padding token, which is a token as others


def test_neighbors_against_every_pair(words: Vocabulary, polish: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drift, "PART_ELEMENTS", 7 * 32)
    counts = new_tokens.count(words, polish)
    tokenizer = AutoTokenizer.from_pretrained(words.adapted)
    assert counts == Counter(
        index for text in polish for index in tokenizer(text, add_special_tokens=False)["input_ids"]
    )
    sides = new_tokens.sides(words, counts)
    rows = new_tokens.neighbors(words, sides, counts, 5)
    fresh = set(words.new_ids)
    frequent = sorted((index for index in counts if index in fresh), key=lambda index: (-counts[index], index))
    assert [row["id"] for row in rows] == frequent[:5]
    assert [row["count"] for row in rows] == [counts[index] for index in frequent[:5]]
    old = [index for index in tokenizer.get_vocab().values() if index not in fresh]
    for row in rows:
        for side, name in zip(sides, ("input", "output"), strict=True):
            vector = side.table_VD[row["id"]].double()
            cosines = {
                index: torch.cosine_similarity(vector, side.table_VD[index].double(), dim=0).item() for index in old
            }
            best = sorted(old, key=lambda index: -cosines[index])[:3]
            assert [near["token"] for near in row[name]] == [new_tokens.readable(tokenizer, index) for index in best]
            assert [near["cosine"] for near in row[name]] == pytest.approx([cosines[index] for index in best])


def test_tokens_are_readable(tiny_base: Path, sentencepiece_base: Path) -> None:
    byte_level, metaspace = (AutoTokenizer.from_pretrained(folder) for folder in (tiny_base, sentencepiece_base))
    assert new_tokens.readable(byte_level, byte_level.convert_tokens_to_ids("Ġthe")) == " the"
    assert new_tokens.readable(byte_level, byte_level.convert_tokens_to_ids("Å")) == "\\xc5"
    assert new_tokens.readable(byte_level, 0) == "<|bos|>"
    assert new_tokens.readable(metaspace, metaspace.convert_tokens_to_ids("▁the")) == " the"
    assert new_tokens.readable(metaspace, metaspace.convert_tokens_to_ids("<0xC5>")) == "\\xc5"


def test_planted_dead_tokens(tiny_untied_base: Path, tmp_path: Path, polish: list[str]) -> None:
    graft = grafted(tiny_untied_base, tmp_path)
    adapted = moved(graft, tmp_path / "adapted", 0.1)
    words = new_tokens.vocabulary([tiny_untied_base, graft, adapted])
    never, *others = words.new_ids
    tables, started = load_file(adapted / "model.safetensors"), load_file(graft / "model.safetensors")
    tables[EMBEDDING][never] = 0.9 * started[EMBEDDING][never]  # weight decay alone: shorter, and still
    tables[EMBEDDING][others[0]] = 50 * started[EMBEDDING][others[0]]
    save_file(tables, adapted / "model.safetensors", {"format": "pt"})
    counts = Counter(dict.fromkeys(others, 3))
    side, head = new_tokens.sides(words, counts)
    found = new_tokens.dead(words, side, counts, still_degrees=1.0)
    name, far = (new_tokens.readable(words.tokenizer, index) for index in (never, others[0]))
    planted = {"tokens": 1, "share": 1 / len(words.new_ids), "examples": [name]}
    assert found["unused"] == found["dead"] == planted
    assert found["still"] == {"tokens": 2, "share": 2 / len(words.new_ids), "examples": [name, far]}
    middle = np.median(side.old["norm"])
    far_off = [
        index for index, norm in zip(words.new_ids, side.new_norms, strict=True) if not 0.5 <= norm / middle <= 2
    ]
    assert others[0] in far_off
    assert found["norm_far_off"]["examples"] == [new_tokens.readable(words.tokenizer, index) for index in far_off]
    assert found["norm_far_off"]["share_of_old"] == 1 / 400  # the padding token's
    assert new_tokens.dead(words, head, counts, still_degrees=1.0)["dead"]["tokens"] == 0


def test_planted_rows_that_only_the_softmax_moved(tiny_base: Path, tmp_path: Path) -> None:
    """Unused rows go one way, one of a new token among them; all others go their own."""
    graft = grafted(tiny_base, tmp_path)
    adapted = moved(graft, tmp_path / "adapted", 0.1)
    words = new_tokens.vocabulary([tiny_base, graft, adapted])
    never, *others = words.new_ids
    used = [*others, *range(3, 100)]
    unused = [index for index in words.matching.copied if index not in used]
    tables, started = load_file(adapted / "model.safetensors"), load_file(graft / "model.safetensors")
    way = torch.randn(32, generator=torch.Generator().manual_seed(8))
    tables[EMBEDDING][[never, *unused]] += 0.05 * way
    save_file(tables, adapted / "model.safetensors", {"format": "pt"})
    (side,) = new_tokens.sides(words, Counter(dict.fromkeys(used, 1)))
    ways = tables[EMBEDDING] - started[EMBEDDING]
    mean = torch.stack([ways[index] for index in unused]).mean(dim=0)
    own = sorted(torch.cosine_similarity(ways[index], mean, dim=0).item() for index in unused)
    assert len(own) % 2
    assert side.crowd_cosine == pytest.approx(own[len(own) // 2], abs=1e-5)
    for index, cosine in zip(words.new_ids, side.new["with_crowd"], strict=True):
        assert cosine == pytest.approx(torch.cosine_similarity(ways[index], mean, dim=0).item(), abs=1e-5)
    found = new_tokens.dead(words, side, Counter(dict.fromkeys(used, 1)), still_degrees=1.0)
    name = new_tokens.readable(words.tokenizer, never)
    assert found["pushed"]["examples"] == found["dead"]["examples"] == [name]
    assert found["still"]["tokens"] == 0


def test_without_the_model_in_which_new_rows_began(tiny_base: Path, tmp_path: Path) -> None:
    graft = grafted(tiny_base, tmp_path)
    words = new_tokens.vocabulary([tiny_base, graft])
    assert words.start is None
    (side,) = new_tokens.sides(words, Counter())
    assert side.new is None
    found = new_tokens.dead(words, side, Counter(), still_degrees=1.0)
    assert (found["still"], found["pushed"], found["dead"]) == (None, None, None)
    assert found["unused"]["tokens"] == len(words.new_ids)
    (row,) = new_tokens.moved([side])
    assert row["new"].keys() == {"rows", "norm"}


def test_a_head_of_its_own_is_held_against_the_table_of_a_tied_base(tiny_base: Path, tmp_path: Path) -> None:
    untied = tmp_path / "untied"
    shutil.copytree(tiny_base, untied)
    weights = load_file(untied / "model.safetensors")
    weights["lm_head.weight"] = 2 * weights[EMBEDDING]
    save_file(weights, untied / "model.safetensors", {"format": "pt"})
    config = (untied / "config.json").read_text(encoding="utf-8")
    untied_config = config.replace('"tie_word_embeddings": true', '"tie_word_embeddings": false')
    (untied / "config.json").write_text(untied_config, encoding="utf-8")
    inputs, outputs = new_tokens.sides(new_tokens.vocabulary([tiny_base, untied]), Counter())
    assert np.nan_to_num(inputs.old["relative"]).max() == 0
    assert np.nan_to_num(outputs.old["relative"], nan=1.0) == pytest.approx(1.0)

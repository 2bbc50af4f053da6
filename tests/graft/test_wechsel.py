from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from made_graftings import make_grafting, save_dictionary
from made_tokenizers import save_extended

from lingraft.core.errors import InputError
from lingraft.graft import wechsel
from lingraft.graft.strategy import INPUT, Grafting
from lingraft.graft.word_vectors import Vectors

OLD_WORDS = ["the", "horse", "lake", "river", "bread", "letter"]
NEW_WORDS = ["i", "koń", "jezioro", "rzeki", "chleba", "list"]


@pytest.fixture
def grafting(tiny_untied_base: Path, tmp_path: Path) -> Grafting:
    return make_grafting(tiny_untied_base, save_extended(tiny_untied_base, tmp_path / "extended"))


@pytest.fixture
def dictionary(tmp_path: Path) -> Path:
    return save_dictionary(tmp_path / "dictionary.txt")


def random_rotation(size: int) -> np.ndarray:
    return np.linalg.qr(np.random.default_rng(1).normal(size=(size, size)))[0]


def vectors_of(words: list[str], table: np.ndarray) -> Vectors:
    ranks = torch.arange(1, len(words) + 1, dtype=torch.float32)
    return Vectors(words, torch.from_numpy(table).float(), 1 / ranks)


def save(path: Path, words: list[str], table: np.ndarray) -> Path:
    lines = [" ".join([word, *map(repr, map(float, row))]) for word, row in zip(words, table, strict=True)]
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def slow_token_vectors(words: list[str], table: np.ndarray, encode: object) -> dict[int, np.ndarray]:
    """Each token's mean over the words that it is a piece of, by 1 / rank."""
    found: dict[int, list[tuple[float, np.ndarray]]] = {}
    for rank, (word, vector) in enumerate(zip(words, table, strict=True), start=1):
        for form in (word, " " + word):
            for token in set(encode(form, add_special_tokens=False).ids):
                found.setdefault(token, []).append((1 / rank, vector))
    return {token: sum(w * x for w, x in rows) / sum(w for w, _ in rows) for token, rows in found.items()}


def test_rows_are_as_the_paper_says(grafting: Grafting, dictionary: Path, tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    old_table, new_table = generator.normal(size=(6, 5)), generator.normal(size=(6, 5))
    found = wechsel.rows(
        grafting,
        dictionary=dictionary,
        old_vectors=save(tmp_path / "en.vec", OLD_WORDS, old_table),
        new_vectors=save(tmp_path / "pl.vec", NEW_WORDS, new_table),
        neighbors=1000,
    )
    u, _, v = np.linalg.svd(old_table.T @ new_table)
    old = slow_token_vectors(OLD_WORDS, old_table @ (u @ v), grafting.old.backend_tokenizer.encode)
    new = slow_token_vectors(NEW_WORDS, new_table, grafting.new.backend_tokenizer.encode)
    compared = 0
    for at, index in enumerate(grafting.new_ids):
        if index not in new:
            continue
        cosine = {t: x @ new[index] / np.linalg.norm(x) / np.linalg.norm(new[index]) for t, x in old.items()}
        weights = np.exp(np.array(list(cosine.values())) / 0.1)
        for side, table in grafting.tables.items():
            slow = sum(w * table[t].double() for w, t in zip(weights / weights.sum(), cosine, strict=True))
            assert torch.allclose(found[side][at].double(), slow, atol=1e-4)
        compared += 1
    assert compared >= 3
    assert grafting.figures == {"random": len(grafting.new_ids) - compared, "word_pairs": 6}


def test_only_the_nearest_count(grafting: Grafting, dictionary: Path, tmp_path: Path) -> None:
    # Neither "the" nor "lake" shares a piece with any other of these words.
    old_words, new_words = ["the", "lake"], ["i", "jezioro"]
    table = np.array([[1.0, 0.1], [0.1, 1.0]])
    old, new = save(tmp_path / "en.vec", old_words, table), save(tmp_path / "pl.vec", new_words, table)
    found = wechsel.rows(grafting, dictionary=dictionary, old_vectors=old, new_vectors=new, neighbors=1)[INPUT]
    encode = grafting.old.backend_tokenizer.encode
    of_lake = {token for form in ("lake", " lake") for token in encode(form, add_special_tokens=False).ids}
    known = grafting.new.backend_tokenizer.encode(" jezioro", add_special_tokens=False).ids
    rows = [row for row, index in zip(found, grafting.new_ids, strict=True) if index in known]
    assert rows
    for row in rows:
        assert any(torch.equal(row, grafting.tables[INPUT][token]) for token in of_lake)


def test_a_planted_rotation_is_recovered(dictionary: Path) -> None:
    table, turn = np.random.default_rng(0).normal(size=(6, 4)), random_rotation(4)
    entries = list(wechsel.read(dictionary))
    found, pairs = wechsel.rotation(
        vectors_of(OLD_WORDS, table), vectors_of(NEW_WORDS, table @ turn), entries, dictionary
    )
    assert pairs == 6
    assert np.allclose(found.numpy(), turn, atol=1e-5)


def test_lower_case_and_capitals_of_the_dictionary_count_once(dictionary: Path) -> None:
    table = np.eye(3)
    old, new = vectors_of(["Lake", "lake", "horse"], table), vectors_of(["Jezioro", "jezioro", "koń"], table)
    assert wechsel.rotation(old, new, [("LAKE", "jezioro"), ("lake", "jezioro")], dictionary)[1] == 4


def test_vectors_are_learned_from_both_texts(grafting: Grafting, dictionary: Path) -> None:
    found = wechsel.rows(grafting, dictionary=dictionary)
    assert found[INPUT].shape == (len(grafting.new_ids), 32)
    assert grafting.figures["random"] < len(grafting.new_ids)
    assert grafting.figures["word_pairs"] == 7


@pytest.mark.parametrize(("side", "which"), [("replay", "old"), ("text", "new")])
def test_a_missing_text_is_an_error(side: str, which: str, grafting: Grafting, dictionary: Path) -> None:
    with pytest.raises(InputError, match=rf"no text to learn the {which} word vectors(.|\n)*{which}_vectors"):
        wechsel.rows(replace(grafting, **{side: []}), dictionary=dictionary)


@pytest.mark.parametrize("line", ["lake", "lake\tjezioro\tjeziora", "\tkoń"])
def test_a_line_that_is_no_pair_is_an_error(line: str, tmp_path: Path) -> None:
    path = tmp_path / "words.txt"
    path.write_text(f"the\ti\n\n{line}\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"words\.txt:3: (.|\n)*no pair of words(.|\n)*a tab"):
        list(wechsel.read(path))


def test_a_dictionary_of_unknown_words_is_an_error(dictionary: Path) -> None:
    vectors = vectors_of(["x", "y"], np.eye(2))
    with pytest.raises(InputError, match=r"no pair of this dictionary has word vectors"):
        wechsel.rotation(vectors, vectors, [("lake", "jezioro")], dictionary)


def test_vectors_of_two_lengths_are_an_error(dictionary: Path) -> None:
    old, new = vectors_of(["x"], np.eye(1)), vectors_of(["y", "z"], np.eye(2))
    with pytest.raises(InputError, match=r"old word vectors have 1 numbers, the new ones 2"):
        wechsel.rotation(old, new, [("x", "y")], dictionary)

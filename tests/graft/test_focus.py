from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from made_graftings import make_grafting
from made_tokenizers import save_extended

from lingraft.core.errors import InputError
from lingraft.graft import focus
from lingraft.graft.strategy import INPUT, Grafting
from lingraft.graft.word_vectors import Training, Vectors, in_tokens, learn

SMALL = {"dimensions": 8, "fewest": 6}


@pytest.fixture
def grafting(tiny_untied_base: Path, tmp_path: Path) -> Grafting:
    return make_grafting(tiny_untied_base, save_extended(tiny_untied_base, tmp_path / "extended"))


def learned(grafting: Grafting) -> Vectors:
    texts = in_tokens(grafting.new, grafting.text, 1)
    return learn(texts, Training(8, 3, 6, (3, 6)), where=grafting.base, seed=grafting.seed)


def slow_sparsemax(scores: np.ndarray) -> np.ndarray:
    """The nearest point of the simplex, its threshold found by halving."""
    low, high = scores.min() - 1, scores.max()
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if np.maximum(scores - middle, 0).sum() > 1 else (low, middle)
    return np.maximum(scores - (low + high) / 2, 0)


@pytest.mark.parametrize("looked_at", [1, 4, 256])
@pytest.mark.parametrize("spread", [0.01, 0.1, 1.0, 10.0])
def test_sparsemax_is_the_nearest_point_of_the_simplex(
    spread: float, looked_at: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(focus, "FIRST", looked_at)
    scores = np.random.default_rng(0).normal(scale=spread, size=(4, 30))
    places, weights = focus.sparsemax(torch.from_numpy(scores))
    found = torch.zeros(4, 30, dtype=torch.float64).scatter(1, places, weights).numpy()
    assert np.allclose(found, np.stack([slow_sparsemax(row) for row in scores]), atol=1e-9)
    assert np.allclose(found.sum(axis=1), 1)


def test_rows_are_combined_as_the_paper_says(grafting: Grafting) -> None:
    vectors = learned(grafting)
    x = dict(zip(grafting.new.convert_tokens_to_ids(vectors.words), vectors.vectors_WC.double().numpy(), strict=True))
    found = focus.rows(grafting, **SMALL)
    anchors = [index for index in sorted(x) if index < 400]
    compared = 0
    for at, index in enumerate(grafting.new_ids):
        if index not in x:
            continue
        cosines = [x[index] @ x[u] / np.linalg.norm(x[index]) / np.linalg.norm(x[u]) for u in anchors]
        weights = slow_sparsemax(np.array(cosines))
        for side, table in grafting.tables.items():
            slow = sum(weight * table[u].double() for weight, u in zip(weights, anchors, strict=True))
            assert torch.allclose(found[side][at].double(), slow, atol=1e-5)
        compared += 1
    assert 10 < compared < len(grafting.new_ids)
    assert grafting.figures["random"] == len(grafting.new_ids) - compared
    assert grafting.figures["anchors"] == len(anchors)
    assert 1 <= grafting.figures["anchors_per_token"] <= len(anchors)


def test_rows_agree_with_the_reference_implementation(grafting: Grafting) -> None:
    """Given the same vectors, the code of the paper's authors makes the same rows."""
    reference = pytest.importorskip("deepfocus.focus", reason="deepfocus is not installed")
    from deepfocus.vocab_helper import TokenClass

    vectors, table = learned(grafting), grafting.tables[INPUT]
    overlap, fresh = {}, {}
    for token, vector in zip(vectors.words, vectors.vectors_WC.numpy(), strict=True):
        index = grafting.new.convert_tokens_to_ids(token)
        token_class = TokenClass(token, index, token, token, token, token, False)
        if index < 400:
            overlap[token] = reference.OverlappingToken(None, token_class, table[index], vector)
        else:
            fresh[token] = reference.NewToken(token_class, vector)
    made = reference.focus_additional_token_initialization(overlap, fresh, torch.zeros(430, 32), device="cpu")
    found = dict(zip(grafting.new_ids, focus.rows(grafting, **SMALL)[INPUT], strict=True))
    assert len(fresh) > 10
    for token in fresh.values():
        assert torch.allclose(found[token.target.id], made[token.target.id], atol=1e-5)


def test_a_planted_twin_is_recovered() -> None:
    anchors = torch.eye(5)
    pieces, weights = focus.weigh(torch.stack([anchors[3], -anchors[1]]), anchors, torch.tensor([7, 8, 9, 10, 11]))
    assert (pieces[0], weights[0]) == ([10], [1.0])
    assert sorted(pieces[1]) == [7, 9, 10, 11]


def test_control_tokens_are_no_anchors(grafting: Grafting) -> None:
    assert not set(learned(grafting).words) & set(grafting.new.all_special_tokens)


def test_text_without_a_shared_token_is_an_error(grafting: Grafting) -> None:
    encode = grafting.new.backend_tokenizer.encode
    texts = [grafting.new.decode([index]) for index in grafting.new_ids]
    single = next(t for t in texts if set(encode(t, add_special_tokens=False).ids) <= set(grafting.new_ids))
    with pytest.raises(InputError, match=r"no token of both tokenizers stands 6 times(.|\n)*fewest"):
        focus.rows(replace(grafting, text=[single] * 9), **SMALL)

import inspect
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from made_graftings import make_grafting, save_dictionary, save_donor
from made_tokenizers import save_extended

from lingraft.core.registry import resolve
from lingraft.graft import STRATEGIES, gaussian, mean_all, mean_all_covariance, random_token, subwords, xavier_uniform
from lingraft.graft.strategy import INPUT, OUTPUT, Grafting

GraftingOf = Callable[..., Grafting]
Rows = Callable[[str, Grafting], dict[str, torch.Tensor]]


@pytest.fixture(scope="module")
def extended(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_extended(tiny_base, tmp_path_factory.mktemp("extended"))


@pytest.fixture
def grafting_of(tiny_untied_base: Path, extended: Path) -> GraftingOf:
    return partial(make_grafting, tiny_untied_base, extended)


@pytest.fixture(scope="module")
def rows(extended: Path, tmp_path_factory: pytest.TempPathFactory) -> Rows:
    """A strategy's rows, with the options that so small a text needs."""
    folder = tmp_path_factory.mktemp("outside")
    options: dict[str, dict[str, Any]] = {
        "focus": {"dimensions": 8, "fewest": 1},
        "wechsel": {"dictionary": save_dictionary(folder / "dictionary.txt")},
        "omp": {"donor": save_donor(folder / "donor", extended), "atoms": 4},
        "distill": {"num_snippets": 2},
        "learned": {"share": 0.5, "sequence_tokens": 32, "batch_sequences": 2},
    }
    return lambda name, grafting: resolve(STRATEGIES, name, "graft strategy")(grafting, **options.get(name, {}))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize("name", STRATEGIES)
def test_every_strategy_keeps_the_contract(name: str, dtype: torch.dtype, grafting_of: GraftingOf, rows: Rows) -> None:
    grafting = grafting_of(dtype)
    before = {side: table.clone() for side, table in grafting.tables.items()}
    first, again = rows(name, grafting), rows(name, grafting_of(dtype))
    assert set(first) == {INPUT, OUTPUT}
    for side, found in first.items():
        assert found.shape == (len(grafting.new_ids), 32)
        assert found.dtype is dtype
        assert found.isfinite().all()
        assert torch.equal(found, again[side]), "the same seed gives the same rows"
        assert torch.equal(grafting.tables[side], before[side]), "old rows are untouched"
    one = rows(name, replace(grafting, tables={OUTPUT: grafting.tables[OUTPUT]}))
    assert set(one) == {OUTPUT}


@pytest.mark.parametrize("name", STRATEGIES)
def test_every_strategy_names_its_source(name: str) -> None:
    documentation = inspect.getdoc(resolve(STRATEGIES, name, "graft strategy")) or ""
    assert any(mark in documentation for mark in ("arXiv", "19", "20")), "a paper, with number or year"


@pytest.mark.parametrize("name", ["gaussian", "xavier_uniform", "mean_all_covariance", "random_token"])
def test_drawn_rows_heed_the_seed(name: str, grafting_of: GraftingOf, rows: Rows) -> None:
    assert not torch.equal(rows(name, grafting_of(seed=1))[INPUT], rows(name, grafting_of(seed=2))[INPUT])


def test_subwords_is_the_mean_of_the_pieces(grafting_of: GraftingOf) -> None:
    grafting = grafting_of()
    for side, found in subwords.rows(grafting).items():
        for row, pieces in zip(found, grafting.spellings, strict=True):
            slow = sum(grafting.tables[side][piece] for piece in pieces) / len(pieces)
            assert torch.allclose(row, slow, atol=1e-6)


def test_a_repeated_piece_counts_each_time(grafting_of: GraftingOf) -> None:
    grafting = replace(grafting_of(), new_ids=[400], spellings=[[5, 5, 7]])
    table = grafting.tables[INPUT]
    assert torch.allclose(subwords.rows(grafting)[INPUT][0], (2 * table[5] + table[7]) / 3, atol=1e-6)


def test_longer_pieces_weigh_more(grafting_of: GraftingOf) -> None:
    grafting = grafting_of()
    vocabulary = grafting.old.get_vocab()
    pieces = [vocabulary["Ġ"], vocabulary["her"]]
    found = subwords.rows(replace(grafting, new_ids=[400], spellings=[pieces]), weighting="length")[INPUT][0]
    table = grafting.tables[INPUT]
    assert torch.allclose(found, table[pieces[0]] / 4 + table[pieces[1]] * 3 / 4, atol=1e-6)


def test_means_are_rounded_once_in_half_precision(grafting_of: GraftingOf) -> None:
    grafting = grafting_of(torch.bfloat16)
    exact = torch.stack([grafting.tables[INPUT][list(pieces)].double().mean(dim=0) for pieces in grafting.spellings])
    half_a_unit = exact.abs() * 2**-8
    assert ((subwords.rows(grafting)[INPUT].double() - exact).abs() <= half_a_unit * 1.001).all()


def test_gaussian_has_the_mean_and_deviation_of_the_old_columns(grafting_of: GraftingOf) -> None:
    grafting = grafting_of()
    many = replace(grafting, new_ids=range(20_000), spellings=[[1]] * 20_000)
    table, drawn = grafting.tables[INPUT], gaussian.rows(many)[INPUT]
    assert torch.allclose(drawn.mean(dim=0), table.mean(dim=0), atol=0.02)
    assert torch.allclose(drawn.std(dim=0), table.std(dim=0), atol=0.02)
    fixed = gaussian.rows(many, std=0.02)[INPUT]
    assert fixed.mean().abs() < 1e-4
    assert fixed.std().item() == pytest.approx(0.02, rel=0.01)


def test_moments_are_those_of_the_whole_table() -> None:
    table = torch.randn(9000, 3, generator=torch.Generator().manual_seed(0)).bfloat16()
    mean, deviation = gaussian.moments(table)
    assert torch.allclose(mean, table.double().mean(dim=0).float(), atol=1e-6)
    assert torch.allclose(deviation, table.double().std(dim=0).float(), atol=1e-6)


def test_xavier_uniform_fills_its_bounds(grafting_of: GraftingOf) -> None:
    many = replace(grafting_of(), new_ids=range(5000), spellings=[[1]] * 5000)
    drawn = xavier_uniform.rows(many)[INPUT]
    bound = (6 / (400 + 5000 + 32)) ** 0.5
    assert drawn.abs().max() <= bound
    assert drawn.std().item() == pytest.approx(bound / 3**0.5, rel=0.02)


def test_mean_all_is_one_vector(grafting_of: GraftingOf) -> None:
    grafting = grafting_of()
    found = mean_all.rows(grafting)[OUTPUT]
    assert torch.allclose(found, grafting.tables[OUTPUT].mean(dim=0).expand_as(found), atol=1e-6)


def test_mean_all_covariance_spreads_as_the_old_rows_do(grafting_of: GraftingOf) -> None:
    grafting = grafting_of()
    many = replace(grafting, new_ids=range(50_000), spellings=[[1]] * 50_000)
    drawn = mean_all_covariance.rows(many, scale=1.0)[INPUT]
    wanted = torch.cov(grafting.tables[INPUT].T, correction=0)
    assert torch.allclose(torch.cov(drawn.T), wanted, atol=0.01)
    near = mean_all_covariance.rows(grafting)[INPUT]
    assert torch.allclose(near, mean_all.rows(grafting)[INPUT], atol=0.02)


def test_random_token_copies_an_old_row_on_both_sides(grafting_of: GraftingOf) -> None:
    grafting = grafting_of()
    found = random_token.rows(grafting)
    for at in range(len(grafting.new_ids)):
        matches = {side: (grafting.tables[side] == found[side][at]).all(dim=1).nonzero().item() for side in found}
        assert matches[INPUT] == matches[OUTPUT]

import inspect

import pytest
import torch

from lingraft.core.registry import resolve
from lingraft.graft import STRATEGIES

SPELLINGS = [[1], [2, 3], [4, 4, 5]]


def call(name: str, table: torch.Tensor, seed: int = 0) -> torch.Tensor:
    rows = resolve(STRATEGIES, name, "graft strategy")
    return rows(table, SPELLINGS, **({"seed": seed} if "seed" in inspect.signature(rows).parameters else {}))


@pytest.fixture
def table() -> torch.Tensor:
    return torch.randn(50, 8, generator=torch.Generator().manual_seed(1)) + 3


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("name", STRATEGIES)
def test_every_strategy_keeps_the_contract(name: str, dtype: torch.dtype, table: torch.Tensor) -> None:
    table = table.to(dtype)
    before = table.clone()
    rows = call(name, table)
    assert rows.shape == (3, 8)
    assert rows.dtype == dtype
    assert rows.isfinite().all()
    assert torch.equal(rows, call(name, table))
    assert torch.equal(table, before)
    assert resolve(STRATEGIES, name, "graft strategy").__doc__


def test_there_are_two_strategies() -> None:
    assert len(STRATEGIES) == 2


def test_subwords_is_the_mean_of_the_pieces(table: torch.Tensor) -> None:
    expected = [
        table[1].tolist(),
        [(a + b) / 2 for a, b in zip(table[2].tolist(), table[3].tolist(), strict=True)],
        [(2 * a + b) / 3 for a, b in zip(table[4].tolist(), table[5].tolist(), strict=True)],
    ]
    assert torch.allclose(call("subwords", table), torch.tensor(expected))


def test_subwords_is_rounded_once_in_half_precision() -> None:
    table = torch.full((300, 1), 1.0, dtype=torch.bfloat16)
    table[299] = 257 / 256  # rounds to 1.0
    table[0] = 3.0
    rows = resolve(STRATEGIES, "subwords", "graft strategy")(table, [list(range(300))])
    assert rows.item() == torch.tensor(302 / 300).bfloat16().item()


def test_gaussian_has_the_mean_and_deviation_of_the_old_rows_and_heeds_the_seed(table: torch.Tensor) -> None:
    rows = resolve(STRATEGIES, "gaussian", "graft strategy")(table, [[]] * 20_000, seed=3)
    assert torch.allclose(rows.mean(dim=0), table.mean(dim=0), atol=0.05)
    assert torch.allclose(rows.std(dim=0), table.std(dim=0), atol=0.05)
    assert not torch.equal(call("gaussian", table, 0), call("gaussian", table, 1))

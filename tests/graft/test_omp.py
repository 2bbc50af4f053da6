import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from made_graftings import make_grafting, save_donor
from made_tokenizers import save_extended
from safetensors.torch import load_file, save_file

from conftest import save_llama
from lingraft.core.errors import InputError
from lingraft.graft import omp, subwords
from lingraft.graft.strategy import INPUT, OUTPUT, Grafting
from lingraft.tokenizer import family

EMBEDDING, HEAD = "model.embed_tokens.weight", "lm_head.weight"


@pytest.fixture(scope="module")
def extended(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_extended(tiny_base, tmp_path_factory.mktemp("extended"))


@pytest.fixture
def donor(extended: Path, tmp_path: Path) -> Path:
    return save_donor(tmp_path / "donor", extended)


@pytest.fixture
def grafting(tiny_untied_base: Path, extended: Path) -> Grafting:
    return make_grafting(tiny_untied_base, extended)


def change(folder: Path, **tables: torch.Tensor) -> None:
    file = folder / "model.safetensors"
    weights = load_file(file)
    for name, table in tables.items():
        weights[{"embedding": EMBEDDING, "head": HEAD}[name]] = table
    save_file(weights, file, metadata={"format": "pt"})


def slow_pursuit(target: np.ndarray, anchors: np.ndarray, atoms: int) -> tuple[list[int], np.ndarray]:
    """The definition: a fresh least squares fit after each atom, in double precision."""
    taken: list[int] = []
    left = target
    for _ in range(atoms):
        taken.append(int(np.abs(anchors @ left).argmax()))
        coefficients = np.linalg.lstsq(anchors[taken].T, target, rcond=None)[0]
        left = target - anchors[taken].T @ coefficients
    return taken, coefficients


@pytest.mark.parametrize("atoms", [1, 3, 12])
def test_pursuit_is_that_of_the_definition(atoms: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(omp, "PART", 7)
    generator = torch.Generator().manual_seed(0)
    anchors, targets = torch.randn(50, 16, generator=generator), torch.randn(9, 16, generator=generator)
    places, coefficients, left = omp.pursue(targets, anchors, atoms)
    for at, target in enumerate(targets):
        taken, slow = slow_pursuit(target.double().numpy(), anchors.double().numpy(), atoms)
        assert places[at].tolist() == taken
        assert np.allclose(coefficients[at], slow, atol=1e-4)
        rest = target.double().numpy() - anchors[taken].double().numpy().T @ slow
        assert left[at].item() == pytest.approx(np.linalg.norm(rest) / target.norm().item(), abs=1e-5)


def test_a_planted_sparse_sum_is_recovered() -> None:
    anchors = torch.nn.functional.normalize(torch.randn(40, 64, generator=torch.Generator().manual_seed(2)))
    planted = torch.zeros(2, 40)
    planted[0, [3, 17]] = torch.tensor([2.0, -1.0])
    planted[1, 5] = 1.0
    places, coefficients, left = omp.pursue(planted @ anchors, anchors, 6)
    found = torch.zeros(2, 40).scatter_add_(1, places, coefficients)
    assert torch.allclose(found, planted, atol=1e-5)
    assert left.max() < 1e-5


def test_more_atoms_than_dimensions_or_anchors_do_no_harm() -> None:
    generator = torch.Generator().manual_seed(0)
    anchors, targets = torch.randn(20, 4, generator=generator), torch.randn(3, 4, generator=generator)
    places, coefficients, left = omp.pursue(torch.cat([targets, torch.zeros(1, 4)]), anchors, 64)
    assert places.shape == (4, 20)
    assert coefficients.isfinite().all()
    assert coefficients[3].tolist() == [0] * 20
    assert left.max() < 1e-5
    assert torch.allclose((coefficients[:3, :, None] * anchors[places[:3]]).sum(dim=1), targets, atol=1e-4)


def test_rows_go_over_from_a_donor_in_which_they_are_sums(grafting: Grafting, donor: Path) -> None:
    # Orthonormal anchors, so that the pursuit can take no other.
    donated = {INPUT: torch.eye(430), OUTPUT: torch.eye(430).flip(0)}
    for side, first in ((INPUT, 100), (OUTPUT, 150)):
        donated[side][400:] = 2 * donated[side][first : first + 30] - donated[side][300:330]
    change(donor, embedding=donated[INPUT], head=donated[OUTPUT])
    found = omp.rows(grafting, donor=donor, atoms=8)
    at = [index - 400 for index in grafting.new_ids]
    for side, first in ((INPUT, 100), (OUTPUT, 150)):
        table = grafting.tables[side]
        planted = 2 * table[first : first + 30] - table[300:330]
        assert torch.allclose(found[side], planted[at], atol=1e-5)
    assert grafting.figures["anchors"] == 397
    assert grafting.figures["not_in_donor"] == 0
    assert set(grafting.figures["rest"]) == {INPUT, OUTPUT}
    assert max(grafting.figures["rest"].values()) < 1e-5


def test_a_tied_donor_serves_both_sides(grafting: Grafting, extended: Path, tmp_path: Path) -> None:
    family.copy(extended, tmp_path, ("tokenizer.json", *family.SETTINGS_FILES))
    save_llama(tmp_path, tied=True, rows=430)
    same = {INPUT: grafting.tables[INPUT], OUTPUT: grafting.tables[INPUT]}
    found = omp.rows(replace(grafting, tables=same), donor=tmp_path, atoms=4)
    assert torch.equal(found[INPUT], found[OUTPUT])


def test_tokens_that_the_donor_lacks_stay_subwords(grafting: Grafting, donor: Path) -> None:
    path = donor / "tokenizer.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    lost = [token for token, index in content["model"]["vocab"].items() if index >= 427]
    for token in lost:
        del content["model"]["vocab"][token]
    content["model"]["merges"] = [merge for merge in content["model"]["merges"] if "".join(merge) not in lost]
    path.write_text(json.dumps(content), encoding="utf-8")
    found, plain = omp.rows(grafting, donor=donor, atoms=4)[INPUT], subwords.rows(grafting)[INPUT]
    kept = [row for row, index in enumerate(grafting.new_ids) if torch.equal(found[row], plain[row])]
    assert [grafting.new_ids[row] for row in kept] == [427, 428, 429]
    assert grafting.figures["not_in_donor"] == 3


def test_a_donor_without_new_tokens_is_an_error(grafting: Grafting, tiny_base: Path) -> None:
    with pytest.raises(InputError, match=r"of the 30 new tokens the donor has 0, of the tokens .* 397"):
        omp.rows(grafting, donor=tiny_base)


def test_a_donor_with_too_few_rows_is_an_error(grafting: Grafting, donor: Path) -> None:
    save_llama(donor, tied=False, rows=420)
    with pytest.raises(InputError, match=r"has 420 rows of torch\.float32, its tokenizer uses 430 ids(.|\n)*whole"):
        omp.rows(grafting, donor=donor)

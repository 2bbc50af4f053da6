import dataclasses
from pathlib import Path

import pytest
from safetensors.torch import load_file

from lingraft.core.errors import InputError
from lingraft.train.pretrain import pretrain
from lingraft.train.reading import training_order
from lingraft.train.settings import NewRows, Settings

NEW = list(range(350, 400))


@pytest.fixture
def stable(settings: Settings) -> Settings:
    """Half of a training whose rate does not fall."""
    half = settings.budget_tokens / 2
    return dataclasses.replace(settings, schedule="constant", warmup_share=0.0, budget_tokens=half, keep_state=True)


@pytest.mark.parametrize(
    ("base", "changes"),
    [("tiny_base", {}), ("tiny_base", {"train": "rows"}), ("tiny_untied_base", {"new_rows": NewRows(lr=1e-3)})],
)
def test_two_halves_are_one_training(
    base: str,
    changes: dict[str, object],
    packed: Path,
    corpus: Path,
    settings: Settings,
    stable: Settings,
    tmp_path: Path,
    request: pytest.FixtureRequest,
) -> None:
    stable = dataclasses.replace(stable, **changes)
    start = request.getfixturevalue(base)
    whole = dataclasses.replace(stable, budget_tokens=settings.budget_tokens, keep_state=False)
    pretrain(start, packed, corpus, tmp_path / "whole", whole, new_ids=NEW)
    first = pretrain(start, packed, corpus, tmp_path / "first", stable, new_ids=NEW)
    going_on = dataclasses.replace(stable, go_on=True)
    second = pretrain(tmp_path / "first", packed, corpus, tmp_path / "second", going_on, new_ids=NEW)
    assert (first["gone_on_from"], second["gone_on_from"]) == (None, first["tokens"])
    ours, theirs = (load_file(tmp_path / name / "model.safetensors") for name in ("second", "whole"))
    assert {name: tensor.tolist() for name, tensor in ours.items()} == {n: t.tolist() for n, t in theirs.items()}


def test_going_on_with_another_mix_counts_its_own_text(
    tiny_base: Path, packed: Path, corpus: Path, stable: Settings, tmp_path: Path
) -> None:
    first = pretrain(tiny_base, packed, corpus, tmp_path / "first", stable)
    decay = dataclasses.replace(
        stable, go_on=True, keep_state=False, schedule="wsd", decay_share=1.0, mix={"target": 0.5, "replay": 0.5}
    )
    second = pretrain(tmp_path / "first", packed, corpus, tmp_path / "second", decay)
    assert second["tokens"] == first["tokens"] == stable.budget_tokens
    assert second["realized_mix"] == {"target": 0.5, "replay": 0.5}
    rates = [point["lr"] for point in second["curve"]]
    assert rates[0] == stable.lr
    assert rates == sorted(rates, reverse=True)
    assert not (tmp_path / "second" / "training_state").exists()


def test_the_text_goes_on_too(packed: Path, stable: Settings) -> None:
    from lingraft.train.earlier import Earlier

    twice = dataclasses.replace(stable, budget_tokens=2 * stable.budget_tokens)
    whole, _, _ = training_order(packed, twice)
    half = len(whole) // 2
    rest, _, _ = training_order(packed, stable, before=Earlier(packed, half, [(0, stable.mix)]))
    assert rest.tolist() == whole[half:].tolist()


def test_what_cannot_be_gone_on_with(
    tiny_base: Path, packed: Path, corpus: Path, stable: Settings, tmp_path: Path
) -> None:
    going_on = dataclasses.replace(stable, go_on=True)
    with pytest.raises(InputError, match=r"has not kept its state\.\n  Set keep_state: true there"):
        pretrain(tiny_base, packed, corpus, tmp_path / "a", going_on)
    pretrain(tiny_base, packed, corpus, tmp_path / "first", stable)
    other = dataclasses.replace(going_on, optimizer="muon", seed=3)
    with pytest.raises(InputError, match=r"cannot be gone on with: it is different in optimizer, seed\."):
        pretrain(tmp_path / "first", packed, corpus, tmp_path / "b", other)
    with pytest.raises(InputError, match="adapters are merged into the model at the end of a training"):
        pretrain(tmp_path / "first", packed, corpus, tmp_path / "c", dataclasses.replace(going_on, train="lora"))

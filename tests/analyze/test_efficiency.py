import json
from pathlib import Path
from typing import Any

import pytest
from made_subjects import subject

from lingraft.analyze.efficiency import at_equal_cost, curve, efficiency


def training(size: int, bits: list[float], kwh: float | None = 0.5, seconds: float = 7200.0) -> dict[str, Any]:
    """Figures of a pretrain step whose held-out text was measured at even distances."""
    ends = len(bits) - 1
    points = [
        {
            "step": at,
            "bytes": size * at // ends,
            "tokens": 1000 * at // ends,
            "seconds": seconds * at / ends,
            "bits_per_byte": {"target": value, "replay": 2.0 + 0.1 * at},
        }
        for at, value in enumerate(bits)
    ]
    return {
        "train": "full",
        "trainable_share": 1.0,
        "parameters": 10,
        "tokens": 1000,
        "bytes": size,
        "flops": 4e15,
        "seconds": seconds,
        "gone_on_from": None,
        "energy": None if kwh is None else {"kwh": kwh},
        "held_out_curve": points,
    }


def test_every_cost_up_to_every_point() -> None:
    found = curve(training(4_000, [4.0, 3.0, 2.5]))
    assert [point["bytes"] for point in found] == [0, 2000, 4000]
    assert [point["flops"] for point in found] == [0, 2e15, 4e15]
    assert [point["hours"] for point in found] == [0, 1, 2]
    assert [point["watt_hours"] for point in found] == [0, 250, 500]
    assert [point["bits_per_byte"]["target"] for point in found] == [4.0, 3.0, 2.5]
    assert [point["watt_hours"] for point in curve(training(4_000, [4.0, 3.0], None))] == [None, None]


def test_what_a_unit_bought(tiny_base: Path, tmp_path: Path) -> None:
    given = subject({"base": tiny_base}, tmp_path, trainings={"pretrain": training(500_000_000, [4.0, 3.0, 2.5])})
    found = efficiency(given)
    (row,) = found["trainings"]
    assert (row["bytes"], row["flops"], row["hours"], row["watt_hours"]) == (500_000_000, 4e15, 2, 500)
    target = row["streams"]["target"]
    assert (target["start"], target["end"], target["gained"]) == (4.0, 2.5, 1.5)
    assert target["gained_per"] == {"gigabyte": 3.0, "petaflop": 0.375, "hour": 0.75, "Wh": 0.003}
    assert row["streams"]["replay"]["gained"] == pytest.approx(-0.2)
    assert found["at_equal_cost"] == []
    assert found["costs_from"].keys() == {"bytes", "flops", "hours", "watt_hours"}
    json.dumps(found, allow_nan=False)


def test_trainings_at_equal_cost() -> None:
    curves = {"long": curve(training(4_000, [4.0, 2.0])), "short": curve(training(1_000, [4.0, 3.0], seconds=14400.0))}
    found = {row["cost"]: row for row in at_equal_cost(curves)}
    assert (found["bytes"]["amount"], found["hours"]["amount"]) == (1000, 2)
    assert found["bytes"]["bits_per_byte"]["long"]["target"] == pytest.approx(3.5)
    assert found["bytes"]["bits_per_byte"]["short"]["target"] == pytest.approx(3.0)
    assert found["hours"]["bits_per_byte"]["long"]["target"] == pytest.approx(2.0)
    assert found["hours"]["bits_per_byte"]["short"]["target"] == pytest.approx(3.5)


def test_a_cost_that_one_did_not_count_is_left_out(tiny_base: Path, tmp_path: Path) -> None:
    trainings = {"a": training(4_000, [4.0, 2.0]), "b": training(4_000, [4.0, 2.0], None)}
    found = efficiency(subject({"base": tiny_base}, tmp_path, trainings=trainings))
    assert [row["cost"] for row in found["at_equal_cost"]] == ["bytes", "flops", "hours"]
    assert found["trainings"][1]["streams"]["target"]["gained_per"]["Wh"] is None


def test_no_training(tiny_base: Path, tmp_path: Path) -> None:
    skipped = {"skipped": "there is no training with a held-out curve."}
    assert efficiency(subject({"base": tiny_base}, tmp_path)) == skipped
    nothing = {**training(4_000, [4.0, 2.0]), "held_out_curve": []}
    assert efficiency(subject({"base": tiny_base}, tmp_path, trainings={"pretrain": nothing})) == skipped

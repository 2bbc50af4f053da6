"""Rows of the table of models against each other."""

import pytest

from lingraft.evaluate import compare, statistics
from lingraft.evaluate.task import Answer, Item, Task


def test_items_that_are_answered_several_times_are_not_tested_as_right_or_wrong() -> None:
    """As those of a task that is fine-tuned with three seeds."""
    items = tuple(Item(f"i{n}", "x", ("a",)) for n in range(12))
    task = Task("toy", "toy", "Toy", "pl", "pl", "write", items)
    sides = {
        model: [Answer(item.id, "a", {"accuracy": [float(right), 3.0]}) for item in items]
        for model, right in {"base": 1, "adapted": 2}.items()
    }
    base, adapted = compare.table([task], {"toy": sides}, base="base", seed=1)
    assert (base["items"], base["groups"], base["value"]) == (12, 12, pytest.approx(1 / 3))
    assert adapted["against"]["test"] == "permutation"
    assert adapted["against"]["effect"] == pytest.approx(statistics.cohens_h(2 / 3, 1 / 3))


def test_where_the_base_has_no_answer_nothing_is_compared() -> None:
    items = tuple(Item(f"i{n}", "x", (" a", " b")) for n in range(12))
    task = Task("toy", "toy", "Toy", "pl", "pl", "choice", items)
    given = [Answer(item.id, "a", {"accuracy": [1.0, 1.0]}) for item in items]
    rows = compare.table([task], {"toy": {"graft": given, "pretrain": given}}, base="base", seed=1)
    assert [(row["model"], row["against"]) for row in rows] == [("graft", None), ("pretrain", None)]


def test_every_metric_can_be_tested_and_all_are_corrected_together() -> None:
    items = tuple(Item(f"i{n}", "x", (" a",)) for n in range(40))
    task = Task("toy", "toy", "Toy", "pl", "pl", "write", items, metrics=("accuracy", "f1"))
    sides = {
        model: [Answer(i.id, "a", {"accuracy": [1.0, 1.0], "f1": [float(n < most), 1.0]}) for n, i in enumerate(items)]
        for model, most in {"base": 20, "adapted": 26}.items()
    }
    first, every = (
        compare.table([task], {"toy": sides}, base="base", seed=1, every_metric=whether) for whether in (False, True)
    )
    assert [row["against"]["verdict"] for row in first if row["against"]] == ["no difference", None]
    accuracy, f1 = (row["against"] for row in every if row["against"])
    assert (accuracy["p_holm"], f1["p_holm"]) == (1, 2 * f1["p"])

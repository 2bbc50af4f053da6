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
    base, adapted = compare.table([task], {"toy": sides}, seed=1)
    assert (base["items"], base["groups"], base["value"]) == (12, 12, pytest.approx(1 / 3))
    assert adapted["against"]["test"] == "permutation"
    assert adapted["against"]["effect"] == pytest.approx(statistics.cohens_h(2 / 3, 1 / 3))

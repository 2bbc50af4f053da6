import pytest

from lingraft.core.errors import InputError
from lingraft.corpus.split import hold_out


def groups(*sizes: int) -> dict[bytes, int]:
    return {bytes([number]): size for number, size in enumerate(sizes)}


def test_enough_and_not_too_many_and_the_same_by_seed() -> None:
    sizes = groups(*range(1, 41))
    draws = [hold_out(sizes, 50, seed=seed) for seed in range(20)]
    for chosen in draws:
        assert 50 <= sum(sizes[group] for group in chosen) <= 75
    assert draws[3] == hold_out(dict(reversed(sizes.items())), 50, seed=3)
    assert len({frozenset(chosen) for chosen in draws}) > 10


def test_a_giant_is_passed_over_while_others_remain() -> None:
    sizes = groups(1000, *[10] * 100)
    for seed in range(20):
        assert bytes([0]) not in hold_out(sizes, 50, seed=seed)


def test_the_smallest_giant_is_taken_when_nothing_else_is_left() -> None:
    sizes = groups(1000, 200, 300, 5, 5)
    for seed in range(20):
        assert hold_out(sizes, 50, seed=seed) == {b"\1", b"\3", b"\4"}


def test_a_growing_corpus_keeps_what_it_held_out() -> None:
    small = {number.to_bytes(2): 1 for number in range(1000)}
    grown = {number.to_bytes(2): 1 for number in range(1100)}
    before, after = hold_out(small, 100, seed=5), hold_out(grown, 100, seed=5)
    assert len(before & after) > 80


def test_nothing_is_held_out_when_nothing_is_asked() -> None:
    assert hold_out(groups(7), 0, seed=0) == set()


def test_one_group_cannot_be_split() -> None:
    message = r"target: all 70 documents are one group(.|\n)*`group: null`(.|\n)*`document: file` is one document"
    with pytest.raises(InputError, match=message):
        hold_out(groups(70), 5, seed=0, where="target")


@pytest.mark.parametrize(
    ("sizes", "said"),
    [
        ((50, 50, 1), "to hold out 10 documents in whole groups would take 51 of 101, over half"),
        ((1, 1, 1), "there are 3 documents, and 10 are to be held out: over half"),
    ],
)
def test_over_half_is_refused(sizes: tuple[int, ...], said: str) -> None:
    message = rf"{said}\.(.|\n)*Lower `held_out_docs`"
    with pytest.raises(InputError, match=message):
        hold_out(groups(*sizes), 10, seed=0)

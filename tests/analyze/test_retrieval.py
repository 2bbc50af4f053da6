import math

import numpy as np
import pytest

from lingraft.analyze import retrieval

Rows = list[list[float]]


@pytest.fixture
def sides() -> tuple[np.ndarray, np.ndarray]:
    """Fifteen sentences whose two sides are alike, but not so much that all are found, around a common direction."""
    draw = np.random.default_rng(2)
    meaning = draw.normal(size=(15, 6))
    left, right = (meaning + draw.normal(scale=0.9, size=(15, 6)) + draw.normal(scale=3, size=6) for _ in range(2))
    return left, right


def slow_cosines(left: Rows, right: Rows) -> Rows:
    def cosine(a: list[float], b: list[float]) -> float:
        product = sum(x * y for x, y in zip(a, b, strict=True))
        return product / math.sqrt(sum(x * x for x in a)) / math.sqrt(sum(y * y for y in b))

    return [[cosine(a, b) for b in right] for a in left]


def slow_margins(cosines: Rows) -> Rows:
    """Artetxe and Schwenk 2019: cos(x, y) less the sums of cos(x, z) / 2k and of cos(y, z) / 2k over 4 neighbors."""
    k, size = 4, len(cosines)
    margins = []
    for x in range(size):
        row = []
        for y in range(size):
            of_x = sorted((cosines[x][z] for z in range(size)), reverse=True)[:k]
            of_y = sorted((cosines[z][y] for z in range(size)), reverse=True)[:k]
            row.append(cosines[x][y] - (sum(c / (2 * k) for c in of_x) + sum(c / (2 * k) for c in of_y)))
        margins.append(row)
    return margins


def slow_found(scores: Rows) -> tuple[list[float], list[float]]:
    size = len(scores)
    forward = [float(max(range(size), key=lambda y: scores[x][y]) == x) for x in range(size)]
    backward = [float(max(range(size), key=lambda x: scores[x][y]) == y) for y in range(size)]
    return forward, backward


def slow_centered(rows: Rows) -> Rows:
    means = [sum(column) / len(rows) for column in zip(*rows, strict=True)]
    return [[value - mean for value, mean in zip(row, means, strict=True)] for row in rows]


def test_against_loops(sides: tuple[np.ndarray, np.ndarray]) -> None:
    left, right = sides
    shares = []
    for change, slow_change in ((lambda x: x, lambda x: x), (retrieval.centered, slow_centered)):
        cosines = retrieval.cosines(change(left), change(right))
        slow = slow_cosines(slow_change(left.tolist()), slow_change(right.tolist()))
        assert np.allclose(cosines, slow, atol=1e-12)
        assert np.allclose(retrieval.margins(cosines), slow_margins(slow), atol=1e-12)
        for scores, expected in ((cosines, slow), (retrieval.margins(cosines), slow_margins(slow))):
            answers = retrieval.found(scores)
            assert [side.tolist() for side in answers] == list(slow_found(expected))
            shares.append(np.mean(answers))
        for sentence, apart in enumerate(retrieval.separation(cosines)):
            others = [slow[sentence][z] for z in range(15) if z != sentence]
            others += [slow[z][sentence] for z in range(15) if z != sentence]
            assert apart == pytest.approx(slow[sentence][sentence] - sum(others) / 28)
    assert shares[0] < shares[2] < 1  # the directions of the languages hide what they say
    assert shares[2] <= shares[3]


def test_states_that_are_all_the_same_find_by_chance() -> None:
    states = np.ones((8, 3))
    assert all((side == 1 / 8).all() for side in retrieval.found(retrieval.cosines(states, states)))
    nothing = np.zeros((8, 3))
    assert (retrieval.cosines(nothing, nothing) == 0).all()


def test_states_that_are_translations_are_all_found(sides: tuple[np.ndarray, np.ndarray]) -> None:
    left, _ = sides
    for scores in (retrieval.cosines(left, 2 * left), retrieval.margins(retrieval.cosines(left, 2 * left))):
        assert all((side == 1).all() for side in retrieval.found(scores))


def test_no_sentence_is_near_to_all() -> None:
    """The last right sentence lies in the middle of all left ones, nearer to each than its translation."""
    cosines = np.full((6, 6), 0.1)
    np.fill_diagonal(cosines, 0.5)
    cosines[:, 5] = 0.6
    cosines[5, 5] = 0.9
    assert retrieval.found(cosines)[0].tolist() == [0, 0, 0, 0, 0, 1]
    assert retrieval.found(retrieval.margins(cosines))[0].tolist() == [1, 1, 1, 1, 1, 1]


def test_fewer_sentences_than_neighbors() -> None:
    assert np.allclose(retrieval.margins(np.array([[1.0, 0.0], [0.0, 1.0]])), [[0.5, -0.5], [-0.5, 0.5]])


def test_spelling() -> None:
    """`Ann` and `nna` are all of the second and two of five runs of the first; `kot` stands twice among six."""
    cosines = retrieval.cosines(*retrieval.spelling(["Anna ma", "kot"], ["Anna", "kota kot"]))
    assert np.allclose(cosines, [[2 / math.sqrt(5 * 2), 0], [0, 2 / math.sqrt(2**2 + 4)]])
    assert (retrieval.cosines(*retrieval.spelling(["a", "kot"], ["b", "kot"])) == [[0, 0], [0, 1]]).all()

import pytest

from lingraft.tokenizer.graphemes import torn


@pytest.mark.parametrize(
    ("text", "offsets", "clusters"),
    [
        ("kot", [(0, 1), (1, 3)], set()),
        ("żk", [(0, 1), (0, 1), (1, 2)], {0}),  # the two bytes of ż
        ("हिन", [(0, 1), (1, 2), (2, 3)], {0}),  # a vowel sign taken from its letter
        ("हिन", [(0, 2), (2, 3)], set()),
        ("e\u0301!", [(0, 1), (1, 3)], {0}),
        ("👩\u200d🔧", [(0, 1), (1, 3)], {0}),
        ("kे", [(0, 1), (1, 2), (1, 2)], {0}),  # bytes of the mark,
        ("\u1100\u1161\u11a8", [(0, 1), (1, 2), (2, 3)], {0}),
        ("a🇵🇱", [(0, 1), (1, 2), (2, 3)], {1}),
        ("", [], set()),
    ],
)
def test_clusters_that_are_torn(text: str, offsets: list[tuple[int, int]], clusters: set[int]) -> None:
    assert torn(text, offsets) == clusters

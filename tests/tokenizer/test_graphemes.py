import pytest

from lingraft.tokenizer.graphemes import torn


@pytest.mark.parametrize(
    ("text", "offsets", "places"),
    [
        ("kot", [(0, 1), (1, 3)], set()),
        ("żk", [(0, 1), (0, 1), (1, 2)], {1}),  # the two bytes of ż
        ("हिन", [(0, 1), (1, 2), (2, 3)], {2}),  # a vowel sign taken from its letter
        ("हिन", [(0, 2), (2, 3)], set()),
        ("e\u0301!", [(0, 1), (1, 3)], {2}),
        ("👩\u200d🔧", [(0, 1), (1, 3)], {2}),
        ("\u1100\u1161\u11a8", [(0, 1), (1, 2), (2, 3)], {2, 4}),
        ("🇵🇱", [(0, 1), (1, 2)], {2}),
        ("", [], set()),
    ],
)
def test_places_where_a_cluster_is_torn(text: str, offsets: list[tuple[int, int]], places: set[int]) -> None:
    assert torn(text, offsets) == places

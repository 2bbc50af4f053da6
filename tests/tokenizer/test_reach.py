from typing import Any

import pytest

from lingraft.tokenizer import reach


@pytest.fixture
def content() -> dict[str, Any]:
    """`ab` comes before `bc`, so that no merges ever make `abc` of a and bc."""
    vocabulary = {token: index for index, token in enumerate(["a", "b", "c", "ab", "bc", "abc"])}
    model = {"type": "BPE", "vocab": vocabulary, "merges": [["a", "b"], ["b", "c"], ["a", "bc"]]}
    return {"version": "1.0", "added_tokens": [], "model": {**model, "ignore_merges": False}}


def test_a_token_whose_parts_are_taken_away_is_unmerged(content: dict[str, Any]) -> None:
    assert reach.unmerged(content, ["ab", "bc", "abc"]) == ["abc"]
    assert reach.unreached(content, ["ab", "bc", "abc"], {"abc"}) == ["abc"]


def test_a_whole_word_is_reached_where_merges_are_ignored(content: dict[str, Any]) -> None:
    content["model"]["ignore_merges"] = True
    assert reach.unmerged(content, ["abc"]) == ["abc"]
    assert reach.unreached(content, ["abc"], {"abc"}) == []
    assert reach.figures(content, ["abc"], {"ab"}) == {
        "unmerged": 1,
        "unreachable": 1,
        "unreachable_names": ["abc"],
    }

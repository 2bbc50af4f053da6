import inspect

import pytest

from lingraft.analyze import ANALYSES
from lingraft.analyze.subject import Subject, spread
from lingraft.core.errors import RecipeError
from lingraft.core.registry import check_options, resolve
from lingraft.corpus import find
from lingraft.evaluate.evaluate import HeldOut


def test_the_table_has_them_all() -> None:
    assert list(ANALYSES) == [
        "experts",
        "context",
        "forgetting",
        "alignment",
        "fertility",
        "quantization",
        "efficiency",
    ]


@pytest.mark.parametrize("name", ANALYSES)
def test_every_analysis_keeps_the_contract(name: str) -> None:
    analysis = resolve(ANALYSES, name, "analysis")
    subject, *options = inspect.signature(analysis, eval_str=True).parameters.values()
    assert subject.annotation is Subject
    assert analysis.__doc__
    for option in options:
        assert option.kind is option.KEYWORD_ONLY
        assert option.default is not option.empty, "an analysis runs without options"
    check_options(analysis, {option.name: option.default for option in options}, "analyze")


@pytest.mark.parametrize(
    ("name", "options"), [("experts", {"documents": 1}), ("context", {"needle_bytes": [3]}), ("experts", {"share": 1})]
)
def test_wrong_options_are_told(name: str, options: dict[str, object]) -> None:
    with pytest.raises(RecipeError, match=r"analyze\."):
        check_options(resolve(ANALYSES, name, "analysis"), options, "analyze")


def test_documents_are_spread_evenly_and_cut_between_letters() -> None:
    text = HeldOut("target", find("pl"), [f"żółw {number}" for number in range(10)], list("abcdefghij"))
    assert spread(text, 3).texts == ["żółw 0", "żółw 3", "żółw 6"]
    assert spread(text, 3).sources == ["a", "d", "g"]
    assert spread(text, 20) == text
    assert spread(text, 2, most_bytes=5).texts == ["żó", "żó"]

"""The way from a study's measure to a figure."""

from typing import Any

import pytest

from lingraft.core.study.measure import Absent, Measure, Value, parse, read, read_curve

FIGURES = {
    "bits": [
        {"model": "base", "stream": "target", "bits_per_byte": 2.0, "low": 1.5, "high": 2.5},
        {"model": "base", "stream": "replay", "bits_per_byte": 1.0},
        {"model": "pretrain", "stream": "target", "bits_per_byte": 1.25, "low": 1.0, "high": 1.5},
    ],
    "curve": [{"bytes": 0, "bits": {"target": 3.0}}, {"bytes": 10, "bits": {"target": 2.0}}],
    "name": "a",
    "nan": float("nan"),
}


def measure(figure: str, **more: Any) -> Measure:
    return Measure(figure=figure, **more)


def test_the_parts_of_a_way() -> None:
    assert parse("a.b[x=1, y=z w].c[-1].d[].e") == ["a", "b", (("x", "1"), ("y", "z w")), "c", -1, "d", "[]", "e"]
    assert measure("pretrain.curve[].bits").step == "pretrain"
    assert measure("pretrain.curve[].bits").is_curve
    assert not measure("pretrain.curve[0].bits").is_curve


@pytest.mark.parametrize("figure", ["", "a", "a.", "a..b", "a.b[", "a.b[x]", "a.b[x=]", "a[].b[].c", "a b.c", "a.b]"])
def test_what_is_no_way(figure: str) -> None:
    with pytest.raises(ValueError, match=r"a figure is written step\.key\[model=name\]\.key"):
        measure(figure)


def test_figures_are_found() -> None:
    assert read(measure("e.bits[model=pretrain].bits_per_byte"), FIGURES) == Value(1.25)
    with_ends = measure("e.bits[model=base, stream=target].bits_per_byte", items="documents")
    assert read(with_ends, FIGURES) == Value(2.0, 1.5, 2.5)
    assert read(measure("e.curve[-1].bits.target"), FIGURES) == Value(2.0)
    assert read_curve(measure("e.curve[].bits.target"), FIGURES) == [(0, 3.0), (10, 2.0)]


def test_a_curve_is_read_at_a_place() -> None:
    points = [(0, 3.0), (8, 2.0), (10, 1.5)]
    figures = {"curve": [{"bytes": at, "bits": {"target": value}} for at, value in points]}
    curve = measure("e.curve[].bits.target", at=8.5)
    assert not curve.is_curve
    assert read(curve, figures) == Value(1.875)
    assert read(measure("e.curve[].bits.target", at=0), figures) == Value(3.0)
    assert read(measure("e.curve[].bits.target", at=10), figures) == Value(1.5)
    with pytest.raises(Absent, match="cannot be read at 11 bytes: the curve is from 0 to 10"):
        read(measure("e.curve[].bits.target", at=11), figures)
    with pytest.raises(Absent, match="cannot be read at 4 bytes: between 0 and 8 there is no point of the curve"):
        read(measure("e.curve[].bits.target", at=4), figures)
    assert read(measure("e.curve[].bits.target", at=7.5), figures) == Value(2.0625)  # near a point
    single = {"curve": [{"bytes": 5, "bits": {"target": 2.0}}]}
    assert read(measure("e.curve[].bits.target", at=5), single) == Value(2.0)
    with pytest.raises(ValueError, match="`at` reads a curve, whose figure has \\[\\]"):
        Measure(at=1, figure="e.name")
    with pytest.raises(ValueError, match="a curve has no intervals over items: leave `items` out"):
        Measure(figure="e.curve[].bits.target", items="documents")
    with pytest.raises(ValueError, match="`over` is a key of a point"):
        Measure(figure="e.curve[].bits.target", over="flops[0]")
    with pytest.raises(ValueError, match="a figure is written step"):
        Measure(figure="e.curve[].bits.target", over="flops used")


@pytest.mark.parametrize(
    ("figure", "said"),
    [
        ("e.bit", 'there is no "bit" in e. Did you mean "bits"?'),
        ("e.name.x", 'there is no "x" in e.name. It has no keys.'),
        ("e.name[0]", "e.name is no list"),
        ("e.bits[9].low", "e.bits has 3 entries, and no [9]"),
        (
            "e.bits[model=graft].low",
            "none of the 3 entries of e.bits have model=graft. There are: model=base; model=pr",
        ),
        ("e.bits[model=base].low", "2 of the 3 entries of e.bits have model=base. Add a key that tells them apart."),
        ("e.name", "e.name is no number (it is a)"),
        ("e.nan", "e.nan is no number (it is nan)"),
    ],
)
def test_what_is_not_there_is_told(figure: str, said: str) -> None:
    with pytest.raises(Absent) as error:
        read(measure(figure), FIGURES)
    assert str(error.value).startswith(said)


def test_an_interval_that_is_not_there_is_told() -> None:
    wanted = measure("e.bits[model=base, stream=replay].bits_per_byte", items="documents")
    with pytest.raises(Absent, match="there is no interval over documents: no low and high"):
        read(wanted, FIGURES)
    with pytest.raises(Absent, match=r"e\.name is no list"):
        read_curve(measure("e.name[].x"), FIGURES)

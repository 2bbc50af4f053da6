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
    curve = measure("e.curve[].bits.target", at=2.5)
    assert not curve.is_curve
    assert read(curve, FIGURES) == Value(2.75)
    assert read(measure("e.curve[].bits.target", at=10), FIGURES) == Value(2.0)
    for beyond in (11, -1):
        with pytest.raises(Absent, match=rf"cannot be read at {beyond} bytes: the curve is from 0 to 10"):
            read(measure("e.curve[].bits.target", at=beyond), FIGURES)
    for more in ({"figure": "e.name"}, {"figure": "e.curve[].bits.target", "items": "documents"}):
        with pytest.raises(ValueError, match="`at` reads a curve, whose figure has \\[\\]"):
            Measure(at=1, **more)


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

import itertools

import pytest

from lingraft.report.charts import MOST_DOTS, Series, change, chart, over_cost, over_layers, share
from lingraft.report.figures import Axis

X = {"x": Axis(0.0, 10.0, (), 0), "x_ticks": [(5.0, "five", "in the middle")]}


def test_places_are_percent_from_the_left_and_from_the_top():
    drawn = chart("Loss", "by step", [Series("base", "base", [(0, 1.0, 0.5, 1.5), (10, 3.0, 2.5, 3.5)])], **X)
    (line,) = drawn.lines
    (left, low), (right, high) = line.dots
    assert (left, right) == (0.0, 100.0)
    assert 100 > low > high > 0, "greater values stand higher"
    assert low + high == pytest.approx(100), "both are as far from the ends of the axis"
    assert line.path == f"0,{low:g} 100,{high:g}"
    band = [tuple(map(float, place.split(","))) for place in line.band.split()]
    assert [across for across, _ in band] == [0, 100, 100, 0]
    assert band[0][1] < low < band[3][1], "the band lies around the line"
    assert [(tick.place, tick.text, tick.note) for tick in drawn.x_ticks] == [(50.0, "five", "in the middle")]


def test_points_without_an_interval_have_no_band():
    drawn = chart("Loss", "", [Series("base", "base", [(0, 1.0, None, None), (10, 3.0, None, None)])], **X)
    assert drawn.lines[0].band == ""
    assert len(drawn.lines[0].dots) == 2


def test_a_level_lies_on_the_axis_even_beyond_all_points():
    series = [Series("base", "base", [(0, 1.0, None, None)])]
    drawn = chart("Loss", "", series, levels={"limit": 5.0, "chance": -5.0}, **X)
    limit, chance = drawn.levels
    assert 0 < limit.place < drawn.lines[0].dots[0][1] < chance.place < 100
    assert limit.dash != chance.dash


def test_series_without_points_are_left_out():
    drawn = chart("Loss", "", [Series("base", "base", []), Series("new", "adapted", [(0, 1.0, None, None)])], **X)
    assert [line.label for line in drawn.lines] == ["new"]


def test_dashes_tell_lines_apart():
    point = [(0, 1.0, None, None)]
    roles = ["base", *["between"] * 4, "adapted", "chance"]
    dashes = [line.dash for line in chart("", "", [Series("", role, point) for role in roles], **X).lines]
    assert dashes[0] == dashes[5] == ""
    between = [*dashes[1:5], dashes[6]]
    assert all(one != other for one, other in itertools.pairwise(between))


@pytest.mark.parametrize(("role", "num", "dots"), [("base", 40, 40), ("base", 41, 0), ("chance", 2, 0)])
def test_long_lines_and_chance_have_no_dots(role, num, dots):
    assert MOST_DOTS == 40
    points = [(n / 10, float(n), None, None) for n in range(num)]
    assert len(chart("", "", [Series("", role, points)], **X).lines[0].dots) == dots


def test_the_ends_of_every_line_are_told_in_words():
    series = [
        Series("base", "base", [(0, 0.25, None, None), (10, 0.5, None, None)]),
        Series("new", "adapted", [(0, 0.5, None, None)]),
    ]
    drawn = chart("Found", "", series, written=share, **X)
    assert drawn.told == "Found: base from 25% to 50%; new from 50% to 50%"
    assert {tick.text for tick in drawn.y_ticks} == {"30%", "40%", "50%"}


@pytest.mark.parametrize(("num", "named"), [(1, [0]), (12, [*range(12)]), (30, [*range(0, 30, 3)])])
def test_about_a_dozen_layers_are_named(num, named):
    axis = over_layers(range(num))
    assert [place for place, _, _ in axis["x_ticks"]] == named
    assert all(0 < axis["x"].percent(layer) < 100 for layer in range(num))


def test_costs_are_drawn_from_nothing():
    axis = over_cost([2e8, 4e8], lambda tick: f"{tick / 1e6:g} MB")
    assert [text for _, text, _ in axis["x_ticks"]] == ["0 MB", "200 MB", "400 MB"]
    assert axis["x"].percent(0) > 0
    assert axis["x"].percent(4e8) < 100


@pytest.mark.parametrize(
    ("value", "digits", "as_share", "as_change"),
    [(0.5, 1, "50%", "+50%"), (-0.125, 3, "−12.5%", "−12.5%"), (0.0, 3, "0.0%", "0%")],
)
def test_axes_of_shares_have_two_digits_fewer(value, digits, as_share, as_change):
    assert share(value, digits) == as_share
    assert change(value, digits) == as_change

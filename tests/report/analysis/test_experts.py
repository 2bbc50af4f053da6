import pytest

from lingraft.report.analysis import experts


def models(report):
    return report["analysis"]["experts"]["models"]


def test_dead_experts_are_named_with_every_reason(report):
    expected = "Layer 3, expert 3 of pretrain is dead: chosen for at most 0.000%, and nothing changes without it."
    assert experts.dead(report) == experts.dead_in_short(report) == [expected]


def test_many_dead_experts_are_one_sentence(report):
    models(report)["base"]["dead"] = [{"layer": 1, "expert": n, "why": ["it is not chosen"]} for n in range(2)]
    models(report)["pretrain"]["dead"] = [{"layer": 3, "expert": n, "why": ["it is not chosen"]} for n in range(8)]
    first, last = experts.dead_in_short(report)
    assert first == "2 experts of base are dead: layer 1, expert 0; layer 1, expert 1."
    assert last.startswith("8 experts of pretrain are dead: layer 3, expert 0; layer 3, expert 1; ")
    assert last.endswith("; layer 3, expert 5; 2 more.")
    assert len(experts.dead(report)) == 10


def test_the_first_and_the_last_model_on_held_out_text_come_first(report):
    telling, others = experts.heat_maps(report)
    assert [(one.title, one.about.partition(" · ")[0]) for one in telling] == [
        (f"{name}, bits per byte", f"{model}, its output set to zero")
        for name in ("Polish", "English")
        for model in ("base", "pretrain")
    ]
    assert len(telling) + len(others) == 3 * 2 * 3
    assert [one.stream for one in telling] == ["target", "target", "replay", "replay"]
    assert any(one.title == "Questions, accuracy" for one in others)


def test_a_heat_map_tells_worse_from_better_and_marks_what_differs(report):
    telling, others = experts.heat_maps(report)
    map_ = telling[1]
    assert map_.about == "pretrain, its output set to zero · noise ±0.0050, 4 of 8 differ"
    assert [layer for layer, _ in map_.rows] == [1, 3]
    first, second, third, fourth = map_.rows[0][1]
    assert (first.side, first.text, first.strength, first.differs) == ("worse", "+0.16", 85, True)
    assert second.strength == round(85 / 2), "by the square root"
    assert (third.side, third.differs) == ("better", False)
    assert fourth.strength == 0
    assert first.told == "layer 1, expert 0: +0.1600 [+0.1550, +0.1650]"
    assert [cell.dead for _, cells in map_.rows for cell in cells] == [False] * 7 + [True]
    accuracy = next(one for one in others if one.title == "Questions, accuracy")
    assert accuracy.rows[0][1][0].side == "worse", "accuracy falls without it"


def test_all_models_of_a_measure_and_mode_share_one_scale_of_colors(report):
    for row in models(report)["pretrain"]["scores"]["target"]["zero"]["change"]:
        for cell in row:
            cell["value"] /= 4
    telling, _ = experts.heat_maps(report)
    assert [one.rows[0][1][0].strength for one in telling[:2]] == [85, round(85 / 2)]


def test_changes_without_a_value_are_shown_as_missing(report):
    heat = models(report)["base"]["scores"]["target"]["zero"]
    heat["noise"] = None
    heat["change"][0][0] |= {"value": None, "low": None, "high": None}
    cell = experts.heat_maps(report)[0][0].rows[0][1][0]
    assert (cell.text, cell.strength) == ("–", 0)
    assert cell.told == "layer 1, expert 0: – [–, –]"


def test_a_wide_map_bears_signs_alone(report):
    wide = models(report)["base"]
    wide["num_experts"] = experts.MOST_WRITTEN + 1
    telling, _ = experts.heat_maps(report)
    assert [one.written for one in telling] == [False, True, False, True]


def test_loads_of_the_last_model_come_first(report):
    telling, others = experts.load_maps(report)
    assert [(one.title, one.about) for one in telling] == [
        (name, "pretrain · an even load is 25.0%") for name in ("Polish", "English")
    ]
    assert [one.about.split()[0] for one in others] == ["base", "base", "graft", "graft"]
    cells = telling[0].rows[1][1]
    assert [(cell.text, cell.strength, cell.dead) for cell in cells] == [
        ("50%", 85, False),
        ("30%", 66, False),
        ("20%", 54, False),
        ("0%", 0, True),
    ]
    assert {cell.side for cell in cells} == {"load"}


def test_routing_and_entropy_are_drawn_by_layer(report):
    routing, polish, english = experts.by_layer(report)
    assert routing.title == "Routing of Polish and English"
    assert [(line.label, line.role) for line in routing.lines] == [
        ("base", "base"),
        ("graft", "between"),
        ("pretrain", "adapted"),
        ("by chance", "chance"),
    ]
    assert [tick.text for tick in routing.x_ticks] == ["1", "3"]
    assert (polish.title, polish.stream) == ("Router entropy, Polish", "target")
    assert (english.title, english.stream) == ("Router entropy, English", "replay")
    assert [level.label for level in polish.levels] == ["all experts alike"]


def test_layers_without_a_divergence_have_no_point(report):
    models(report)["base"]["overlap"][0]["divergence"][0].update(value=None, low=None, high=None)
    base = experts.by_layer(report)[0].lines[0]
    assert len(base.dots) == 1


def test_how_alike_maps_are(report):
    told = experts.likeness(report)
    assert told[0] == ("Polish and English, base", "−0.07 [−0.08, −0.06]")
    assert ("Questions, base and pretrain", "+0.61 [+0.60, +0.62]") in told
    assert len(told) == 3 + 2 * 3
    models(report)["base"]["likeness"][0]["zero"] = {"value": None, "low": None, "high": None}
    assert experts.likeness(report)[0][1] == "– [–, –]"


@pytest.mark.parametrize("found", [{}, {"analysis": {}}, {"analysis": {"experts": {"skipped": "why"}}}])
def test_nothing_is_said_where_it_was_not_made(found):
    assert experts.figures(found) == {}
    assert experts.dead(found) == experts.dead_in_short(found) == []

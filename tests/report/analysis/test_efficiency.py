import pytest

from lingraft.report.analysis import efficiency


def without_energy(report, *names):
    found = report["analysis"]["efficiency"]
    for name in names:
        for point in found["curves"][name]:
            point["watt_hours"] = None
    for row in found["trainings"]:
        if row["training"] in names:
            row["watt_hours"] = None


def test_costs_are_those_that_some_training_counted(report):
    assert efficiency.costs(report) == ["bytes", "flops", "hours", "watt_hours"]
    without_energy(report, "lora")
    assert "watt_hours" in efficiency.costs(report)
    without_energy(report, "pretrain")
    assert efficiency.costs(report) == ["bytes", "flops", "hours"]


@pytest.mark.parametrize(
    ("cost", "expected"),
    [("bytes", (1e6, "MB")), ("flops", (1e15, "PFLOP")), ("hours", (1.0, "hour")), ("watt_hours", (1.0, "Wh"))],
)
def test_a_unit_is_the_largest_that_every_training_spent(report, cost, expected):
    assert efficiency.unit(report, cost) == expected


def test_less_than_the_smallest_unit_is_told_in_the_smallest(report):
    report["analysis"]["efficiency"]["trainings"][1]["watt_hours"] = 0.3
    assert efficiency.unit(report, "watt_hours") == (1.0, "Wh")


def test_a_row_of_charts_for_each_language(report):
    polish, english = efficiency.charts(report)
    assert [chart.title for chart in polish] == [
        "Polish by text",
        "Polish by FLOPs",
        "Polish by hours",
        "Polish by watt-hours",
    ]
    assert {chart.stream for chart in english} == {"replay"}
    assert [chart.about for chart in polish] == ["in MB", "in PFLOP", "in hours", "in Wh"]
    assert [(line.label, line.role, len(line.dots)) for line in polish[0].lines] == [
        ("pretrain", "base", 3),
        ("lora", "adapted", 2),
    ]
    assert polish[0].x_ticks[-1].text == "400"


def test_a_training_whose_energy_was_not_counted_has_no_line(report):
    without_energy(report, "lora")
    assert [line.label for line in efficiency.charts(report)[0][3].lines] == ["pretrain"]


def test_a_language_that_no_training_measured_against_a_cost_is_not_drawn_over_it(report):
    without_energy(report, "lora")
    for point in report["analysis"]["efficiency"]["curves"]["pretrain"]:
        del point["bits_per_byte"]["replay"]
    polish, english = efficiency.charts(report)
    assert (len(polish), len(english)) == (4, 3)


def test_what_was_gained_in_all_and_per_unit(report):
    pretrain, lora = efficiency.trainings(report)
    assert pretrain["spent"] == ["400 MB", "1.00 × 10¹⁵", "2 h 0 min", "1.23 kWh"]
    assert pretrain["streams"]["target"]["per_unit"] == pytest.approx([2 / 400, 2.0, 1.0, 2 / 1234])
    assert lora["streams"]["replay"]["per_unit"] == [0, 0, 0, 0]
    without_energy(report, "lora")
    _, lora = efficiency.trainings(report)
    assert lora["spent"][-1] == "–"
    assert lora["streams"]["target"]["per_unit"][-1] is None


@pytest.mark.parametrize(
    ("cost", "amount", "text"),
    [
        ("bytes", 2e6, "2.00 MB"),
        ("flops", 1.8e13, "1.80 × 10¹³"),
        ("hours", 0.05, "3 min 0 s"),
        ("watt_hours", 1.465, "1.5 Wh"),
        ("bytes", None, "–"),
        ("flops", None, "–"),
        ("hours", None, "–"),
        ("watt_hours", None, "–"),
    ],
)
def test_amounts_with_their_units(cost, amount, text):
    assert efficiency.spent(cost, amount) == text

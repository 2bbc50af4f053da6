from lingraft.report.analysis import quantization


def test_every_measure_has_a_row_for_each_model(report):
    (polish, rows), (english, _) = quantization.measures(report)
    assert (polish["title"], english["title"]) == ("Polish", "English")
    assert [(row.model, row.role) for row in rows] == [
        ("base", "base"),
        ("graft", "between"),
        ("pretrain", "adapted"),
    ]
    base, _, pretrain = rows
    assert base.score["value"] == 2.3
    assert [change["verdict"] for change in base.changes] == ["", "", "worse"]
    assert base.more is None
    assert pretrain.more["verdict"] == "better"


def test_a_rise_is_better_where_higher_is(report):
    report["analysis"]["quantization"]["measures"]["target"]["lower_is_better"] = False
    _, rows = quantization.measures(report)[0]
    assert rows[0].changes[-1]["verdict"] == "better"


def test_precisions_and_values_that_are_not_there_have_no_change(report):
    found = report["analysis"]["quantization"]
    found["rows"] = [row for row in found["rows"] if row["precision"] != "8"]
    for row in found["rows"]:
        if row["precision"] == "16":
            row["change"] |= {"value": None, "low": None, "high": None}
    _, rows = quantization.measures(report)[0]
    assert [change is None for change in rows[0].changes] == [True, True, False]


def test_how_weights_are_kept(report):
    found = quantization.weights(report)
    assert [(name, role) for name, role, _ in found] == [
        ("base", "base"),
        ("graft", "between"),
        ("pretrain", "adapted"),
    ]
    assert [kept["bits_per_weight"] for kept in found[0][2]] == [32, 16.0, 10.5, 7.8]
    del report["analysis"]["quantization"]["models"]["base"]["8"]
    assert quantization.weights(report)[0][2][2] is None

from lingraft.report.analysis import context


def test_positions_have_a_chart_for_each_language(report):
    polish, english = context.positions(report)
    assert (polish.title, polish.stream, english.title, english.stream) == ("Polish", "target", "English", "replay")
    assert [(line.label, len(line.dots)) for line in polish.lines] == [("base", 2), ("graft", 2), ("pretrain", 2)]
    assert [(tick.text, tick.note) for tick in polish.x_ticks] == [
        ("256", "20 doc"),
        ("512", "14 doc"),
        ("16.4 K", "2 too few"),
    ]


def test_a_language_that_no_document_reaches_is_not_drawn(report):
    for row in report["analysis"]["context"]["positions"]:
        if row["stream"] == "replay":
            row["models"] = {}
    assert [one.title for one in context.positions(report)] == ["Polish"]


def test_a_model_that_was_not_measured_in_a_bin_has_no_point_there(report):
    del report["analysis"]["context"]["positions"][0]["models"]["base"]
    assert [len(line.dots) for line in context.positions(report)[0].lines] == [1, 2, 2]


def test_facts_by_length_and_depth(report):
    (table,) = context.needles(report)
    assert table.stream == "target"
    assert table.columns == ["0%", "50%", "100%", "all depths", "no fact", "the other fact"]
    ((size, texts, lines),) = table.groups
    assert (size, texts) == ("512 bytes", "20 texts")
    assert [(model, role) for model, role, _ in lines] == [
        ("base, 12 tokens cut", "base"),
        ("graft", "between"),
        ("pretrain", "adapted"),
    ]
    assert {len(cells) for _, _, cells in lines} == {len(table.columns)}
    found, absent, other = (lines[2][2][place] for place in (0, 4, 5))
    assert (found.text, found.told, found.strength, found.at_chance) == ("90%", "[80%, 100%]", 63, False)
    assert (absent.text, absent.at_chance) == ("10%", True)
    assert other.text == "5%"


def test_lengths_with_too_little_text_are_told(report):
    assert context.too_few(report) == ["Polish, facts in 16.4 K bytes: there is enough text for 3 only, too few."]


def test_no_table_where_every_length_had_too_little_text(report):
    for row in report["analysis"]["context"]["needles"]:
        row["models"] = {}
    assert context.needles(report) == []

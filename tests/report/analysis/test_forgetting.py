import pytest

from lingraft.report.analysis import forgetting


def row(report, stream, model="pretrain"):
    rows = report["analysis"]["forgetting"]["languages"]
    return next(one for one in rows if (one["stream"], one["model"]) == (stream, model))


def test_a_forgotten_language_is_named_with_its_interval_and_the_limit(report):
    assert forgetting.forgotten(report) == [
        "English is forgotten: under pretrain its held-out text takes +15.0% [+14.0%, +16.0%] bits per byte "
        "against base, more than the limit of +10%."
    ]


def test_sentences_leave_out_a_language_that_is_written_better(report):
    assert forgetting.sentences(report) == forgetting.forgotten(report)
    row(report, "target").update(rise={"value": 0.02, "low": -0.01, "high": 0.05})
    kept, _ = forgetting.sentences(report)
    assert kept == "Polish is kept: +2.0% [−1.0%, +5.0%] bits per byte against base, within the limit of +10%."


def test_an_unclear_verdict_says_on_how_little_it_rests(report):
    row(report, "replay").update(verdict="not clear", rise={"value": 0.1, "low": 0.05, "high": 0.2})
    assert forgetting.sentences(report) == [
        "Whether English is forgotten is not clear: +10.0% [+5.0%, +20.0%] bits per byte against base, "
        "where the limit is +10%, on 20 documents."
    ]
    assert forgetting.forgotten(report) == []


def test_only_the_adapted_model_is_judged(report):
    row(report, "replay").update(verdict="kept", rise={"value": -0.2, "low": -0.3, "high": -0.1})
    row(report, "replay", "graft").update(verdict="forgotten")
    assert forgetting.forgotten(report) == forgetting.sentences(report) == []


def test_rises_stand_on_one_axis_with_no_change_and_the_limit(report):
    axis, by_stream = forgetting.rises(report)
    assert {stream: [one["model"] for one in rows] for stream, rows in by_stream.items()} == {
        "target": ["graft", "pretrain"],
        "replay": ["graft", "pretrain"],
    }
    assert [one["role"] for one in by_stream["replay"]] == ["between", "adapted"]
    assert by_stream["replay"][1]["ends"] == "[+14.0%, +16.0%]"
    assert axis.low < -0.322
    assert axis.high > 0.25
    assert 0 < axis.percent(0.0) < axis.percent(0.1) < 100


def test_the_course_is_drawn_where_a_training_measured_replay(report):
    course = forgetting.course(report)
    assert course.title == "English during training"
    assert course.stream == "replay"
    assert [(line.label, len(line.dots)) for line in course.lines] == [("pretrain", 3)]
    assert [level.label for level in course.levels] == ["limit"]
    assert course.told.endswith("pretrain from 0% to +15.0%")


@pytest.mark.parametrize("curves", [{}, {"pretrain": []}, {"pretrain": [{"bytes": 0, "rise": {"target": 0.0}}]}])
def test_no_course_without_measurements_of_replay(report, curves):
    report["analysis"]["forgetting"]["curves"] = curves
    assert forgetting.course(report) is None


def test_drift_is_by_layer_and_by_kind_from_the_most(report):
    bars = forgetting.drift(report)
    assert [(bar.label, bar.text, bar.length) for bar in bars["By layer"]] == [
        ("Layer 0", "5.0%", 25.0),
        ("Layer 1", "10.0%", 50.0),
    ]
    assert [(bar.label, bar.length) for bar in bars["By kind of matrix"]] == [
        ("self_attn.q_proj", 100.0),
        ("input_layernorm", 4.5),
    ]


def test_weights_that_were_zero_have_a_bar_of_no_length(report):
    weights = report["analysis"]["forgetting"]["weights"]
    for one in (*weights["layers"], *weights["kinds"]):
        one["relative"] = None
    bars = [bar for of_kind in forgetting.drift(report).values() for bar in of_kind]
    assert {(bar.text, bar.length) for bar in bars} == {("–", 0.0)}


def test_how_far_rows_turned(report):
    assert forgetting.moved(report) == [
        ("Old rows turned", "10.0° in the median"),
        ("New rows turned", "4.3° in the median"),
    ]
    rows = report["analysis"]["forgetting"]["new_tokens"]["rows"]
    rows.append({"side": "output", "old": {"degrees": None}, "new": {"norm": None}})
    assert [term for term, _ in forgetting.moved(report)] == [
        "Old rows turned, Embedding",
        "New rows turned, Embedding",
    ]


def test_neighbors_are_shown_for_every_table(report):
    assert forgetting.neighbors(report) == (
        ["input"],
        [{"token": " które", "count": 117, "nearest": [[("kt", 0.768), ("⏎", 0.5)]]}],
    )
    new = report["analysis"]["forgetting"]["new_tokens"]
    new["neighbors"][0]["output"] = [{"token": "x", "cosine": 0.1}]
    sides, (shown,) = forgetting.neighbors(report)
    assert sides == ["input", "output"]
    assert shown["nearest"][1] == [("x", 0.1)]
    new["neighbors"] = []
    assert forgetting.neighbors(report) == ([], [])


def test_what_is_said_of_tokens_that_learned_little(report):
    (claims,) = forgetting.dead(report).values()
    assert [(one.claim, one.tokens) for one in claims] == [
        ("Dead", 18),
        ("Not used", 116),
        ("Still", 0),
        ("Pushed", 23),
        ("Far off", 3),
    ]
    assert claims[2].note == "turned by less than 1° since they began"
    assert claims[-1].note.endswith("of old rows 2.7%")
    assert claims[-1].examples == ["⇥"]


def test_claims_that_could_not_be_tested_are_left_out(report):
    report["analysis"]["forgetting"]["new_tokens"]["dead"]["input"].update(dead=None, still=None, pushed=None)
    (claims,) = forgetting.dead(report).values()
    assert [one.claim for one in claims] == ["Not used", "Far off"]


@pytest.mark.parametrize(
    ("token", "shown"),
    [(" które", " które"), ("\n\n", "⏎⏎"), (" ", "␣"), ("a\nb", "a⏎b"), ("\x00", "\\x00"), ("\u3000", "\u3000")],
)
def test_what_cannot_be_seen_of_a_token_is_shown(token, shown):
    assert forgetting.visible(token) == shown


@pytest.mark.parametrize("found", [{}, {"analysis": {}}, {"analysis": {"forgetting": {"skipped": "why"}}}])
def test_nothing_is_said_where_it_was_not_made(found):
    assert forgetting.figures(found) == {}
    assert forgetting.sentences(found) == forgetting.forgotten(found) == []

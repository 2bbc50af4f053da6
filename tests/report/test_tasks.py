from lingraft.report import write
from lingraft.report.tasks import further, scales, warnings, writing


def test_tasks_of_one_metric_share_an_axis(report):
    accuracy, chrf = scales(report)
    assert [scale.title for scale in (accuracy, chrf)] == ["Accuracy", "chrF++"]
    (letters,) = accuracy.tasks
    assert letters.facts == "66 items · 40 passages · chance 25.0% · 2 cut to the context"
    assert [(row["model"], row["role"], row["at_chance"]) for row in letters.rows] == [
        ("base", "base", True),
        ("graft", "between", True),
        ("pretrain", "adapted", False),
    ]
    assert 0 < accuracy.axis.percent(letters.chance) < 100
    assert chrf.tasks[0].facts == "66 items · 5 examples before each"
    assert chrf.tasks[0].notes == ("There is no dev part.",)


def test_leaks_and_what_is_missing_are_named(report):
    assert warnings(report) == [
        "Questions, by letter: 3 of 66 items stand in the training text (cho-001, cho-007, cho-009). "
        "Without them: base 0.238, graft 0.254, pretrain 0.429.",
        "Not looked for in the training text, as the harness has the items: hellaswag.",
        "xcopa is missing: there is no Polish here.",
    ]


def test_a_leaked_task_that_no_model_answered_is_named(report):
    report["evaluation"]["leaks"][0] |= {"task": "unanswered", "title": "Stories", "without": {}}
    told = "Stories: 3 of 66 items stand in the training text (cho-001, cho-007, cho-009)."
    assert warnings(report)[0] == told


def test_figures_without_a_value_are_further_ones(report):
    report["evaluation"]["tasks"][0].update(value=None, low=None, high=None)
    assert len(further(report)) == 4
    assert [row["model"] for row in scales(report)[0].tasks[0].rows] == ["graft", "pretrain"]


def test_the_page_shows_tasks(report, tmp_path):
    page = write(report, tmp_path).read_text(encoding="utf-8")
    for said in (
        "Questions, by letter",
        "at chance",
        "xcopa is missing: there is no Polish here.",
        "3 of 66 items stand in the training text",
        'better <span class="muted">p 0.012</span>',
        "Further figures",
        "Accuracy, by whole likelihood",
    ):
        assert said in page, said
    del report["evaluation"]["tasks"], report["evaluation"]["leaks"], report["evaluation"]["missing"]
    assert 'id="tasks"' not in write(report, tmp_path).read_text(encoding="utf-8")


def test_what_was_written_stands_model_by_model(report, tmp_path):
    found = writing(report)
    assert found.models == ["base", "graft", "pretrain"]
    assert [figure["title"] for figure in found.figures] == ["Sentences in the language", "Outputs that switch code"]
    assert [row["verdict"] for row in found.figures[0]["rows"]] == ["", "no difference", "better"]
    assert [row["verdict"] for row in found.figures[1]["rows"]] == ["", "no difference", "better"]
    page = write(report, tmp_path).read_text(encoding="utf-8")
    assert "The texts are too small to rely on the figures of language" in page
    assert "<bdi>of the &lt;b&gt; <span" in page
    report["evaluation"]["writing"] = {"skipped": "there is no replay text."}
    assert "Not judged: there is no replay text." in write(report, tmp_path).read_text(encoding="utf-8")

import pytest
from outline import HOSTILE, outline, told

from lingraft.report import write
from lingraft.report.tasks import leaks, missing_in_short
from lingraft.report.warnings import warnings


def missing(*places):
    return [{"suite": suite, "task": task, "model": model, "why": "it is not."} for suite, task, model in places]


def test_everything_that_a_reader_has_to_know_first(report):
    assert warnings(report) == [
        "English is forgotten: under pretrain its held-out text takes +15.0% [+14.0%, +16.0%] bits per byte "
        "against base, more than the limit of +10%.",
        "Layer 3, expert 3 of pretrain is dead: chosen for at most 0.000%, and nothing changes without it.",
        "Questions, by letter: 3 of 66 items stand in the training text (cho-001, cho-007, cho-009).",
        "xcopa is missing: there is no Polish here.",
    ]


def test_they_stand_under_the_headline_before_all_that_follows(report, tmp_path):
    page = write(report, tmp_path).read_text(encoding="utf-8")
    before = told(page.partition('<section id="steps"')[0])
    assert all(f"! {sentence}" in before for sentence in warnings(report))


def test_a_quiet_run_has_none(report, tmp_path):
    del report["analysis"], report["evaluation"]["leaks"], report["evaluation"]["missing"]
    assert warnings(report) == []
    page = write(report, tmp_path).read_text(encoding="utf-8")
    assert 'class="alerts"' not in page


@pytest.mark.parametrize("part", ["analysis", "evaluation"])
def test_what_was_not_made_is_not_warned_of(report, part):
    del report[part]
    assert len(warnings(report)) == 2


def test_analyses_that_do_not_apply_warn_of_nothing(report):
    report["analysis"] = {"models": ["base"], "forgetting": {"skipped": "why"}, "experts": {"skipped": "why"}}
    assert len(warnings(report)) == 2


def test_leaks_have_their_figures_apart(report):
    assert leaks(report) == [
        (
            "Questions, by letter: 3 of 66 items stand in the training text (cho-001, cho-007, cho-009).",
            "Without them: base 0.238, graft 0.254, pretrain 0.429.",
        )
    ]
    report["evaluation"]["leaks"][0]["without"] = {}
    assert leaks(report)[0][1] == ""
    report["evaluation"]["leaks"][0]["leaked"] = 0
    assert leaks(report) == []
    assert leaks({}) == []


def test_few_missing_results_are_named_each_with_its_reason(report):
    report["evaluation"]["missing"] = missing(("xcopa", None, None), ("flores", "flores-pl", "base"))
    assert missing_in_short(report) == ["xcopa is missing: it is not.", "flores-pl · base is missing: it is not."]
    assert missing_in_short({}) == []


def test_many_missing_results_are_one_sentence(report):
    report["evaluation"]["missing"] = missing(*((f"suite-{n}", None, None) for n in range(4)))
    assert missing_in_short(report) == [
        "4 results are missing: suite-0, suite-1, suite-2 and others, see Tasks.",
    ]


def test_hostile_warnings_stay_text(report, tmp_path):
    report["evaluation"]["missing"] = missing((HOSTILE, None, HOSTILE))
    report["evaluation"]["leaks"][0].update(title=HOSTILE, examples=[HOSTILE])
    report["analysis"]["experts"]["models"]["pretrain"]["dead"][0]["why"] = [HOSTILE]
    for row in report["analysis"]["forgetting"]["languages"]:
        row["language"] = HOSTILE
    parsed = outline(write(report, tmp_path).read_text(encoding="utf-8"))
    assert len(parsed.scripts) == 3
    assert "img" not in parsed.tags

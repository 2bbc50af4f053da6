import pytest

from lingraft.report import summary
from lingraft.report.headline import adapted_model, changes, sentence, title, verdict


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [(-0.3, -0.1, "better"), (0.1, 0.3, "worse"), (-0.1, 0.3, "no difference"), (0.0, 0.2, "no difference")],
)
def test_a_verdict_needs_an_interval_without_zero(low, high, expected):
    assert verdict({"difference": (low + high) / 2, "low": low, "high": high, "relative": 0.1}) == expected


def test_without_comparison_there_is_no_verdict():
    assert verdict(None) == ""


def test_the_headline_compares_the_last_model_with_the_base(report):
    assert adapted_model(report) == "pretrain"
    assert [(c.base, c.adapted, c.verdict) for c in changes(report)] == [
        ("2.314", "1.592", "better"),
        ("1.204", "1.207", "no difference"),
        ("2.12", "4.08", ""),
        ("412", "741", ""),
    ]


def test_more_bits_are_said_as_more(report):
    report["evaluation"]["models"] = ["base", "graft"]
    assert sentence(report).startswith("Polish got worse: held-out text takes 24.1% more bits per byte")


def test_fertility_comes_from_the_tokenizer_where_it_was_not_evaluated(report):
    del report["evaluation"]["fertility"]
    report["tokenizer"]["fertility"]["target"]["old"]["bytes_per_token"] = 2.0
    assert [c.base for c in changes(report) if c.unit == "bytes per token"] == ["2.00"]


def test_without_the_base_nothing_is_claimed(report):
    report["evaluation"]["bits"] = [row for row in report["evaluation"]["bits"] if row["model"] != "base"]
    assert [c.unit for c in changes(report)] == ["bytes per token", "characters per second"]


def test_a_new_model_is_not_compared_with_its_random_weights(report):
    report["run"]["base"] |= {"model": "new llama", "from_scratch": True}
    report["evaluation"] = {
        "models": ["pretrain"],
        "bits": [row | {"against_base": None} for row in report["evaluation"]["bits"] if row["model"] == "pretrain"],
    }
    assert title(report) == "Polish from scratch"
    assert changes(report) == []
    assert sentence(report) == "Held-out Polish takes 1.592 bits per byte. Held-out English takes 1.207 bits per byte."
    assert summary(report) == f"{sentence(report)}\n"


def test_the_summary_is_a_markdown_table(report):
    lines = summary(report).splitlines()
    assert lines[0].startswith("Polish improved: held-out text takes 31.2% fewer")
    assert lines[2] == "| | Base | Adapted | Change |"
    assert lines[4] == (
        "| Held-out Polish (bits per byte) | 2.314 [2.294, 2.334] | 1.592 [1.572, 1.612] "
        "| better · −0.722 [−0.729, −0.715], −31.2% |"
    )
    assert all(line.count("|") == 5 for line in lines[2:])


def test_names_cannot_break_the_table(report):
    report["run"]["language"]["name"] = "a|b <c>"
    assert r"Held-out a\|b \<c\> (bits per byte)" in summary(report)


def test_an_empty_report_has_no_summary(report):
    assert summary({"run": report["run"], "steps": []}) == ""

import pytest

from lingraft.report import write
from lingraft.report.balance import balance, costs
from lingraft.report.tables import DONE
from lingraft.stages import table


def labels(report):
    return {card.title: [change.label for change in card.changes] for card in balance(report)}


def test_what_got_better_was_gained_and_what_was_to_be_kept_stands_with_the_losses(report):
    assert labels(report) == {
        "Gained": ["Held-out Polish", "Polish text in a token", "Polish text written"],
        "Lost": ["Held-out English"],
    }
    gained, _ = balance(report)
    assert gained.told == ["Better in 2 of 2 tasks: Questions, by letter, Translation, Polish into English."]


def test_what_got_worse_was_lost_also_of_the_target_language(report):
    report["evaluation"]["models"] = ["base", "graft"]
    for row in report["evaluation"]["fertility"]:
        if (row["model"], row["stream"]) == ("graft", "target"):
            row["bytes_per_token"] = 1.9
    assert labels(report)["Lost"] == ["Held-out Polish", "Held-out English", "Polish text in a token"]


def test_a_better_base_language_was_gained(report):
    for row in report["evaluation"]["bits"]:
        if row["stream"] == "replay" and row["against_base"]:
            row["against_base"] |= {"difference": -0.2, "low": -0.3, "high": -0.1, "relative": -0.1}
    assert labels(report)["Lost"] == []


def test_nothing_lost_is_said_only_where_nothing_is_known_to_be(report):
    _, lost = balance(report)
    assert lost.told == []  # the analysis of forgetting found some
    del report["analysis"]
    _, lost = balance(report)
    assert lost.told == ["Nothing that was measured got worse."]
    for row in report["evaluation"]["tasks"]:
        if row["model"] == "pretrain":
            row["against"]["verdict"] = "worse"
    gained, lost = balance(report)
    assert gained.told == []
    assert lost.told == ["Worse in 2 of 2 tasks: Questions, by letter, Translation, Polish into English."]


def test_what_was_not_measured_is_said(report):
    report["evaluation"]["bits"] = [row for row in report["evaluation"]["bits"] if row["stream"] == "target"]
    assert balance(report)[1].told == ["What became of English was not measured."]
    del report["run"]["replay"]
    assert balance(report)[1].told == ["What became of the language of the base was not measured."]


def test_without_a_comparison_there_is_no_balance(report):
    assert balance({"run": report["run"], "steps": report["steps"]}) == []


def test_costs_with_what_they_are_made_of(report):
    assert costs(report) == [
        ("Time", "2 h 22 min", "on NVIDIA H100"),
        ("Text trained on", "399 MB", "75.1% Polish, 24.9% English"),
        ("Memory", "5.12 GB", "at most, in a training"),
        ("Energy of training", "1.23 kWh", "817 g CO₂ · cost 0.31"),
        ("Size of the model", "7.21 M → 7.98 M", "+10.7% parameters"),
    ]


def test_energy_is_a_sum_or_nothing(aligned):
    assert ("Energy of training", "not counted", "") in costs(aligned)
    assert ("Text trained on", "400 MB", "pretrain 399 MB · sft 302 kB · dpo 302 kB") in costs(aligned)


@pytest.mark.parametrize(
    ("machine", "said"),
    [
        ({"gpu": ["NVIDIA H200"] * 8}, "on 8 × NVIDIA H200"),
        ({"gpu": [], "cpu": "AMD EPYC", "cores": 2}, "on AMD EPYC, 2 cores"),
        ({}, ""),
    ],
)
def test_the_machine(report, machine, said):
    for step in report["steps"]:
        step["machine"] = machine
    assert costs(report)[0] == ("Time", "2 h 22 min", said)


def test_every_kind_of_step_is_explained():
    assert set(DONE) == set(table())


def test_words_are_explained_where_they_first_stand(report, tmp_path):
    page = write(report, tmp_path).read_text(encoding="utf-8")
    assert page.index("fewer bits per byte") < page.index("<dt>Bits per byte</dt>") < page.index('class="balance"')

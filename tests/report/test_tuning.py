"""Fine-tuning and preferences on the page: figures before and after, curves, length, warnings."""

import pytest
from outline import HOSTILE, outline, sections, told

from lingraft.report import tuning, write
from lingraft.report.warnings import warnings


def shown(report, folder) -> str:
    page = write(report, folder).read_text(encoding="utf-8")
    outline(page)
    return told(page)


def test_held_out_answers_before_and_after(aligned):
    (training,) = tuning.trainings(aligned, "sft")
    found = tuning.answers(aligned, training)
    polish, english = found.groups
    assert (polish.title, polish.facts, polish.stream) == ("Polish", ("20 conversations",), "target")
    before, after = polish.rows
    assert (before.name, before.value, before.role, before.verdict) == ("before", 2.919, "base", "")
    assert (after.role, after.beside, after.verdict) == ("adapted", "−0.190 [−0.233, −0.147]", "better")
    assert english.rows[1].verdict == "no difference"
    assert found.axis.low < english.rows[1].low < polish.rows[0].high < found.axis.high


def test_accuracies_stand_beside_chance(aligned):
    (training,) = tuning.trainings(aligned, "dpo")
    found = tuning.accuracies(aligned, training)
    assert [group.title for group in found.groups] == [
        "Polish, by reward",
        "Polish, by likelihood",
        "English, by reward",
        "English, by likelihood",
    ]
    before, after = found.groups[0].rows
    assert (before.value, after.value, after.verdict) == (50.0, 75.0, "better")
    assert found.chance == 50.0
    assert tuning.margins(aligned, training).groups[0].rows[1].beside == "+0.168 [+0.088, +0.248]"


def test_curves_have_few_points_and_say_so(aligned):
    (training,) = tuning.trainings(aligned, "dpo")
    held_out, accuracy, margin = tuning.preference_charts(aligned, training)
    assert [line.label for line in held_out.lines] == ["Polish"]
    assert accuracy.about == "share of pairs of a batch; each point is the mean of 3 steps"
    assert len(accuracy.lines[0].dots) == 21
    assert margin.told == "Margin in training: in training from 0.02 to 0.62"
    training["curve"][0]["margin"] = float("nan")
    training["curve"][1]["margin"] = None
    assert tuning.preference_charts(aligned, training)[2].told.startswith("Margin in training: in training from 0.0")
    training["curve"], training["held_out_curve"] = [], []
    assert tuning.preference_charts(aligned, training) == []


def test_a_gap_in_a_curve_is_left_out(aligned):
    (training,) = tuning.trainings(aligned, "sft")
    for point in training["curve"]:
        point["loss"] = float("inf")
    assert [chart.title for chart in tuning.answer_charts(aligned, training)] == ["Held-out answers"]


@pytest.mark.parametrize(
    ("preferred", "chosen", "bias"),
    [
        ((0.35, 0.75), 0.5, ""),
        ((0.7, 0.95), 0.5, "longer"),
        ((0.7, 0.95), 0.8, ""),  # people chose the longer one so often themselves
        ((0.05, 0.3), 0.5, "shorter"),
        ((0.3, 0.45), 0.9, "shorter"),
        ((0.55, 0.7), 0.9, ""),  # less than people did: it has learned little, but not to go by length
    ],
)
def test_length_bias_is_beyond_chance_and_beyond_what_people_chose(preferred, chosen, bias):
    low, high = preferred
    length = {"longer_preferred": {"value": (low + high) / 2, "low": low, "high": high}, "chosen_longer": chosen}
    assert tuning.length_bias({"pairs": 6, "length": length}) == bias
    assert tuning.length_bias({"pairs": 5, "length": length}) == ""


def test_length_is_told_in_a_sentence(aligned):
    (training,) = tuning.trainings(aligned, "dpo")
    assert tuning.lengths(aligned, training)[0] == (
        "Polish: the longer answer is preferred in 55% [35%, 75%] of 20 held-out pairs, "
        "and is the chosen one in 50%: no length bias seen."
    )
    training["figures"]["held_out"]["target"]["length"]["longer_preferred"] = None
    assert len(tuning.lengths(aligned, training)) == 1


def test_the_page_shows_both(aligned, tmp_path):
    page = shown(aligned, tmp_path)
    for said in [
        "Fine-tuning",
        "2.919 [2.833, 3.005]",
        "full, from pretrain",
        "194 conversations × 6.0",
        "75% of tokens; 13.2 K of 22.3 K tokens are answers",
        "3.2% of the batches was padding",
        "Answers in Polish 4% [1%, 7%] → 96% [93%, 99%] of 50 prompts",
        "75 [55, 95]",
        "94 pairs × 4.0",
        "beta 0.1",
        "no length bias seen",
        "sft 75.1% Polish, 24.9% English",
    ]:
        assert said in page, said


def test_a_quiet_alignment_warns_of_nothing(aligned):
    assert tuning.warnings(aligned) == []


def test_what_went_wrong_is_warned_of(aligned):
    sft, dpo = (tuning.trainings(aligned, kind)[0]["figures"] for kind in ("sft", "dpo"))
    sft["held_out"]["replay"]["difference"] = {"value": 0.3, "low": 0.1, "high": 0.5}
    sft["streams"]["target"].update(shortened=3, left_out={"no answer": 2})
    dpo["held_out"]["target"]["accuracy"]["after"] = {"value": 0.6, "low": 0.4, "high": 0.8}
    dpo["held_out"]["replay"]["accuracy"]["after"] = {"value": 0.2, "low": 0.1, "high": 0.4}
    dpo["held_out"]["target"]["length"]["longer_preferred"] = {"value": 0.9, "low": 0.8, "high": 1.0}
    assert tuning.warnings(aligned) == [
        "Held-out English answers became worse in sft: +0.300 [+0.100, +0.500] bits per byte.",
        "3 of 194 Polish conversations lost their end in sft: they are longer than a row of tokens.",
        "The accuracy of dpo on held-out Polish preferences, 60% [40%, 80%], is not told from chance by 20 pairs.",
        "dpo prefers longer answers: of Polish pairs the longer one in 90% [80%, 100%], "
        "where it is the chosen one in 50%.",
        "dpo prefers the rejected English answers: accuracy 20% [10%, 40%].",
        "Polish records were left out of sft: 2 × no answer.",
    ]
    assert set(tuning.warnings(aligned)) < set(warnings(aligned))
    dpo["streams"]["target"]["share"] = 0.0
    assert not any("told from chance" in sentence for sentence in tuning.warnings(aligned))


def test_a_few_pairs_that_all_say_the_same_say_nothing(aligned):
    (dpo,) = tuning.trainings(aligned, "dpo")
    never = {"value": 0.0, "low": 0.0, "high": 0.0}
    for found in dpo["figures"]["held_out"].values():
        found.update(pairs=1)
        found["accuracy"]["after"] = found["length"]["longer_preferred"] = never
    assert tuning.warnings(aligned) == [
        f"The accuracy of dpo on held-out {name} preferences, 0% [0%, 0%], is not told from chance by 1 pair."
        for name in ("Polish", "English")
    ]
    assert tuning.lengths(aligned, dpo)[0].endswith("no length bias seen.")


def test_several_of_a_kind_stand_under_their_names(aligned, tmp_path):
    second = {**aligned["training"][1], "name": f"second {HOSTILE}"}
    aligned["training"].insert(2, second)
    page = write(aligned, tmp_path).read_text(encoding="utf-8")
    assert sections(page).count("fine-tuning") == 1
    assert told(page).count("Held-out answers bits per byte, of what") == 2
    assert "img" not in outline(page).tags


@pytest.mark.parametrize("gone", [("sft",), ("dpo",), ("sft", "dpo")])
def test_what_was_not_trained_is_left_out(aligned, tmp_path, gone):
    aligned["training"] = [training for training in aligned["training"] if training["kind"] not in gone]
    found = sections(write(aligned, tmp_path).read_text(encoding="utf-8"))
    assert ("fine-tuning" in found, "preferences" in found) == ("sft" not in gone, "dpo" not in gone)


def test_without_held_out_records_there_are_curves_alone(aligned, tmp_path):
    for training in aligned["training"][1:]:
        training["figures"]["held_out"] = {}
        training["held_out_curve"] = []
    assert tuning.answers(aligned, aligned["training"][1]) is None
    page = shown(aligned, tmp_path)
    assert "Training loss" in page
    assert "Held-out preferences" not in page


def test_single_answers_are_counted_as_such(aligned, tmp_path):
    aligned["training"][-1]["figures"]["streams"]["target"].update(pairs=0, judged=188, chosen_longer=None)
    aligned["records"][1]["figures"]["streams"]["target"].update(pairs=0, verdicts=188, chosen_longer=None)
    page = shown(aligned, tmp_path)
    assert "188 single answers × 4.0" in page
    assert "94 188 single 20" in page

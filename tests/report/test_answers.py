"""Answers side by side: hostile text, several steps, what is warned of, and the line at the top of the page."""

from made_alignment import counted, judgement
from outline import HOSTILE, outline, sections, told

from lingraft.report import aligned as headline
from lingraft.report import answers, write
from lingraft.report.warnings import warnings


def page_of(report, folder) -> str:
    page = write(report, folder).read_text(encoding="utf-8")
    outline(page)
    return page


def rows(report, metric):
    return [row for row in report["judgements"][0]["figures"]["answers"]["rows"] if row["metric"] == metric]


def test_answers_stand_side_by_side(aligned, tmp_path):
    page = page_of(aligned, tmp_path)
    assert "answers" in sections(page)
    assert "judged" not in sections(page), "nobody judged"
    shown = told(page)
    for said in [
        "50 prompts of 52, answered by pretrain, sft, dpo.",
        "Outputs in the language higher is better 4.0% 1.0% to 7.0%",
        "pretrain has no chat template and was asked as the other side of a written dialogue.",
        "Ile nóg ma pająk?",
        "pretrain 5,012 characters, cut off at the limit of the <b> house",
        "dpo 0 characters empty",
    ]:
        assert said in shown, said


def test_the_first_lines_say_what_alignment_changed(aligned, tmp_path):
    assert headline.sentence(aligned) == (
        "Of 50 prompts pretrain answers 4% in Polish, dpo 98% [95%, 100%]. "
        "On 20 held-out Polish preferences the chosen answer is preferred in 75% [55%, 95%], where chance is 50%."
    )
    assert [(tile.label, tile.base, tile.adapted, tile.verdict) for tile in headline.changes(aligned)] == [
        ("Answers in Polish", "4", "98", "better"),
        ("Held-out Polish answers", "2.919", "2.729", "better"),
        ("Held-out Polish preferences", "50", "75", "better"),
    ]
    assert headline.changes(aligned)[0].difference == "+94 [+89, +99]"
    before = told(page_of(aligned, tmp_path).partition('<section id="steps"')[0])
    assert headline.sentence(aligned) in before
    assert "% of 50 prompts, pretrain → dpo" in before


def test_what_was_not_measured_is_not_in_the_first_lines(aligned, report, tmp_path):
    assert (headline.sentence(report), headline.changes(report)) == ("", [])
    del aligned["judgements"]
    aligned["training"][-1]["figures"]["held_out"] = {}
    assert headline.sentence(aligned) == ""
    assert [tile.label for tile in headline.changes(aligned)] == ["Held-out Polish answers"]
    page_of(aligned, tmp_path)


def test_one_model_alone_is_compared_with_nothing(aligned):
    figures = aligned["judgements"][0]["figures"]
    figures["answers"]["rows"] = [row for row in figures["answers"]["rows"] if row["model"] == "pretrain"]
    assert answers.in_language(aligned) is None
    assert answers.before_and_after(aligned, aligned["training"][1]) == ""


def test_only_models_made_to_answer_are_warned_of(aligned):
    assert answers.warnings(aligned, aligned["judgements"][0]["figures"]) == []
    rows(aligned, "outputs_in_target")[1]["value"] = 0.94
    rows(aligned, "cut")[2]["value"] = 0.4
    assert answers.warnings(aligned, aligned["judgements"][0]["figures"]) == [
        "94% [93%, 99%] of the answers of sft are in Polish, fewer than 95%.",
        "dpo often does not stop: 40% [1%, 7%] of its answers were cut off at the limit.",
    ]
    assert set(answers.warnings(aligned, aligned["judgements"][0]["figures"])) < set(warnings(aligned))


def test_what_could_not_be_counted_is_said(aligned, tmp_path):
    for row in rows(aligned, "outputs_in_target"):
        row.update(value=None, low=None, high=None, against=None)
    aligned["judgements"][0]["figures"]["missing"] = [
        {"suite": "language of the answers", "why": "there is no text.", "task": None, "model": None}
    ]
    assert "language of the answers is missing: there is no text." in warnings(aligned)
    assert "nothing to count" in told(page_of(aligned, tmp_path))


def test_hostile_answers_stay_text(aligned, tmp_path):
    clean = outline(write(aligned, tmp_path).read_text(encoding="utf-8"))
    hostile = f"{HOSTILE}<style>*{{display:none}}</style><iframe src=//x>\u202ertl ![a](http://x/y.png)"
    found = aligned["judgements"][0]
    found["samples"][0]["prompt"][0]["content"] = hostile
    found["samples"][0]["prompt"].append({"role": hostile, "content": hostile})
    found["samples"][0]["answers"] = {
        f'"onload="x {hostile}': {"text": hostile, "characters": 1, "cut": True},
        "dpo": {"text": hostile, "characters": 1, "cut": False},
    }
    found["figures"]["models"][0] = hostile
    found["figures"]["answers"]["rows"] += counted("characters", hostile, {"pretrain": 1.0, "sft": 2.0, "dpo": 3.0})
    parsed = outline(write(aligned, tmp_path).read_text(encoding="utf-8"))
    assert len(parsed.scripts) == len(clean.scripts) == 3
    assert parsed.tags.count("style") == 1
    assert not {"img", "iframe"} & set(parsed.tags)
    assert not any(name.startswith("on") for name, _ in parsed.attributes)
    outside = [
        (name, value) for name, value in parsed.attributes if name in ("src", "href", "action") and value[0] != "#"
    ]
    assert outside == [("href", "data:,")]


def test_answers_carry_their_language_and_direction(aligned, tmp_path):
    aligned["run"]["language"] = {"tag": "fa", "name": "Persian", "script": "Arab", "direction": "rtl"}
    page = page_of(aligned, tmp_path)
    assert '<p class="text" lang="fa" dir="rtl"><bdi>Osiem.</bdi></p>' in page


def test_several_steps_stand_under_their_names(aligned, tmp_path):
    aligned["judgements"].append({**judgement(), "name": "later"})
    page = page_of(aligned, tmp_path)
    assert sections(page).count("answers") == 1
    assert told(page).count("50 prompts of 52") == 2
    assert "<h3>later</h3>" in page

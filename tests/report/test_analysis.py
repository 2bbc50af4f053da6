"""The analyses as they stand on the whole page."""

import copy
import json
import re

import pytest
from made_analyses import MODELS
from outline import HOSTILE, outline, sections, told

from lingraft.report import write
from lingraft.report.analysis import TITLES, shown, skipped
from lingraft.report.analysis.roles import roles

SKIPPED = "there is <one> model, and none to compare it with."


@pytest.fixture
def page_of(tmp_path):
    """What is on the page, after it was seen to be well-formed."""

    def page(report):
        text = write(report, tmp_path).read_text(encoding="utf-8")
        outline(text)
        return text

    return page


def of_models(value, names):
    """What an analysis of these models alone returns: rows, figures and names of all others are left out."""
    others = set(MODELS) - set(names)
    if isinstance(value, dict):
        return {key: of_models(one, names) for key, one in value.items() if key not in others}
    if isinstance(value, list):
        kept = [one for one in value if not (isinstance(one, dict) and one.get("model") in others)]
        kept = [one for one in kept if not (isinstance(one, dict) and others & set(one.get("models", ())))]
        return [of_models(one, names) for one in kept if not (isinstance(one, str) and one in others)]
    return value


def test_the_order_is_that_of_the_page(report):
    assert shown(report) == list(TITLES)
    assert skipped(report) == {}
    assert shown({}) == []
    assert skipped({}) == {}


@pytest.mark.parametrize(
    ("models", "expected"),
    [
        ([], {}),
        (["one"], {"one": "adapted"}),
        (["one", "two"], {"one": "base", "two": "adapted"}),
        (["a", "b", "c", "d"], {"a": "base", "b": "between", "c": "between", "d": "adapted"}),
    ],
)
def test_roles(models, expected):
    assert roles(iter(models)) == expected


def test_every_analysis_is_told(report, page_of):
    page = told(page_of(report))
    for said in (
        "English is forgotten: under pretrain",
        "Weights from base to pretrain: of all matrices 7.0%.",
        "extra.5.weight and 1 more",
        "Dead 18 0.4% of 4,096 · not used by the text, and the row learned nothing",
        "+0.16 •",
        "✕",
        "Questions, base and pretrain +0.61 [+0.60, +0.62]",
        "Spelling alone finds 18.5%, chance 0.8%.",
        "+38.1 [+31.1, +45.1] points",
        "up to 512 tokens; documents are never joined",
        "base, 12 tokens cut",
        "With the tokenizer of base, Polish takes 1.83 times the tokens of English; with that of pretrain, 1.10 times.",
        "graft 12,288 tokens, +4,096 1.60 [1.59, 1.61]",
        "−39.6% [−40.1%, −39.1%] better",
        "16.4 K bytes: there is enough text for 3 only, too few.",
        "+0.0800 • [+0.0700, +0.0900]",
        "10.5 70%",
        "lora, 50% of 7.08 M parameters 2.00 MB · 1.00 × 10¹⁵ · 2 h 0 min · 20 Wh went on from pretrain",
        "FLOPs: computed from the tokens: no counter measured them.",
    ):
        assert said in page, said


@pytest.mark.parametrize("name", TITLES)
def test_an_analysis_that_does_not_apply_says_why(report, page_of, name):
    whole = sections(page_of(report))
    report["analysis"][name] = {"skipped": SKIPPED}
    page = page_of(report)
    assert set(whole) - set(sections(page)) == {name}
    assert set(sections(page)) - set(whole) == {"skipped"}
    assert f"{TITLES[name]}, left out: {SKIPPED}" in told(page)
    assert skipped(report) == {TITLES[name]: SKIPPED}


def test_all_may_be_left_out(report, page_of):
    whole = sections(page_of(report))
    report["analysis"] = {"models": ["base"], **{name: {"skipped": SKIPPED} for name in TITLES}}
    page = page_of(report)
    assert set(whole) - set(sections(page)) == set(TITLES)
    assert told(page).count(f"left out: {SKIPPED}") == len(TITLES)


@pytest.mark.parametrize("name", TITLES)
def test_each_stands_alone_and_may_be_missing(report, page_of, name):
    without = copy.deepcopy(report)
    del without["analysis"][name]
    assert name not in sections(page_of(without))
    assert "skipped" not in sections(page_of(without))
    report["analysis"] = {part: report["analysis"][part] for part in ("models", name)}
    assert set(sections(page_of(report))) & set(TITLES) == {name}


@pytest.mark.parametrize("name", ["experts", "alignment", "context", "fertility", "quantization"])
def test_a_single_model(report, page_of, name):
    found = of_models(report["analysis"][name], ["base"])
    assert "pretrain" not in json.dumps(found)
    report["analysis"] = {"models": ["base"], name: found}
    assert name in sections(page_of(report))


def test_figures_that_have_no_value_are_left_out_or_dashes(report, page_of):
    found = report["analysis"]
    none = {"value": None, "low": None, "high": None}
    expert = found["experts"]["models"]["base"]
    expert["scores"]["target"]["zero"]["change"][0][0] |= none
    expert["overlap"][0]["divergence"][0] |= none
    expert["routing"]["target"]["load"][0][0] |= none
    expert["routing"]["target"]["entropy"][0] |= none
    expert["likeness"][0]["zero"] = none
    for row in found["quantization"]["rows"]:
        row["score"] = none
        for change in {"change", "more_than_before"} & set(row):
            row[change] |= none
    found["forgetting"]["weights"]["whole"]["relative"] = None
    found["forgetting"]["weights"]["kinds"][0]["relative"] = None
    found["forgetting"]["new_tokens"]["rows"][0]["new"] = {"rows": 0, "norm": None}
    for point in (*found["efficiency"]["curves"]["lora"], found["efficiency"]["trainings"][1]):
        point["watt_hours"] = None
    page = page_of(report)
    assert set(TITLES) <= set(sections(page))
    assert "None" not in told(page)
    assert "nan" not in page.partition('<section id="forgetting"')[2].partition('<section id="training"')[0]


def test_a_map_that_is_too_wide_for_figures_keeps_signs_and_titles(report, page_of):
    for model in report["analysis"]["experts"]["models"].values():
        model["num_experts"] = 24
        for score in model["scores"].values():
            for mode in ("zero", "mask"):
                score[mode]["change"] = [row * 6 for row in score[mode]["change"]]
        for routing in model["routing"].values():
            routing["load"] = [row * 6 for row in routing["load"]]
    page = page_of(report)
    assert 'class="heat target dense"' in page
    assert 'title="layer 1, expert 23: ' in page
    assert set(re.findall(r'<td class="worse"[^>]*>([^<]*)', page)) == {"", "+", "−"}


def test_no_dead_expert_is_said(report, page_of):
    for model in report["analysis"]["experts"]["models"].values():
        model["dead"] = []
    page = told(page_of(report))
    assert "No expert is dead." in page
    assert "expert 3 of pretrain is dead" not in page


def test_a_vocabulary_that_did_not_grow_says_so(report, page_of):
    new = report["analysis"]["forgetting"]["new_tokens"]
    why = "the adapted model has no tokens that the base has not."
    kept = {key: new[key] for key in ("tied", "dropped", "start", "rows")}
    report["analysis"]["forgetting"]["new_tokens"] = {**kept, "tokens": 0, "skipped": why}
    page = told(page_of(report))
    assert f"New tokens {why}" in page
    assert "not used by the text" not in page


def test_two_tables_are_told_apart(report, page_of):
    new = report["analysis"]["forgetting"]["new_tokens"]
    new["tied"] = False
    new["rows"].append({**new["rows"][0], "side": "output"})
    new["dead"]["output"] = new["dead"]["input"]
    new["neighbors"][0]["output"] = new["neighbors"][0]["input"]
    page = page_of(report)
    assert '<p class="label">LM head</p>' in page
    assert '<th scope="col">LM head</th>' in page
    assert "Old rows turned, LM head 10.0° in the median" in told(page)


def test_hostile_names_and_tokens_stay_text(report, page_of, tmp_path):
    text = json.dumps(report["analysis"])
    for word in ("pretrain", "lora", "Polish", "English", " wszy", "kt", "self_attn.q_proj", "extra.0.weight", "\\t"):
        text = text.replace(f'"{word}"', json.dumps(HOSTILE))
    found = report["analysis"] = json.loads(text)
    for part in (*found["experts"]["measures"].values(), *found["quantization"]["measures"].values()):
        part.update(title=HOSTILE, metric=HOSTILE)
    found["experts"]["models"][HOSTILE]["dead"][0]["why"] = [HOSTILE]
    found["forgetting"]["new_tokens"]["neighbors"][0]["token"] = HOSTILE
    found["efficiency"]["costs_from"]["flops"] = HOSTILE
    found["efficiency"]["trainings"][0]["train"] = HOSTILE
    page = page_of(report)
    parsed = outline(page)
    assert len(parsed.scripts) == 3
    assert "img" not in parsed.tags
    assert not any(name.startswith("on") for name, _ in parsed.attributes)
    assert set(TITLES) <= set(sections(page))
    for name in TITLES:
        section = page.partition(f'<section id="{name}"')[2].partition("</section>")[0]
        assert "&lt;/script&gt;" in section, name


def test_a_hostile_reason_stays_text(report, page_of):
    report["analysis"]["context"] = {"skipped": HOSTILE}
    parsed = outline(page_of(report))
    assert "img" not in parsed.tags
    assert len(parsed.scripts) == 3

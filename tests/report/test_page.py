import base64
import gzip
import html
import re

import pytest
from outline import HOSTILE, outline, sections, without_scripts
from plotly.offline import get_plotlyjs

from lingraft.report import write
from lingraft.report.page import TEMPLATES

ANALYSES = ["forgetting", "experts", "alignment", "context", "fertility", "quantization", "efficiency"]
OPTIONAL = ["corpus", "tokenizer", "graft", "training", "evaluation", "analysis", "export"]


def test_the_whole_report_is_well_formed_and_shows_every_section(report, tmp_path):
    path = write(report, tmp_path)
    page = path.read_text(encoding="utf-8")
    assert path == tmp_path / "report.html"
    outline(page)
    assert sections(page) == [
        *(
            "steps",
            "evaluation",
            "tasks",
            "writing",
            *ANALYSES,
            "training",
            "tokenizer",
            "samples",
            "corpus",
            "cost",
            "export",
            "provenance",
        )
    ]
    shown = html.unescape(without_scripts(page))
    for expected in [
        "Polish grafted onto english-novels-7m",
        "Polish improved: held-out text takes 31.2% fewer bits per byte than under the base.",
        "English shows no difference.",
        "[1.572, 1.612]",
        "−0.722 [−0.729, −0.715], −31.2%",
        "+0.003 [−0.004, +0.010]",
        "2 h 22 min",
        "budget_bytes: 4.0e+8",
        "NVIDIA H100",
    ]:
        assert expected in shown, expected
    assert "–" not in shown, "a figure of the report did not reach the page"


def test_it_asks_nothing_of_the_network(report, tmp_path):
    parsed = outline(write(report, tmp_path).read_text(encoding="utf-8"))
    outside = [
        (name, value) for name, value in parsed.attributes if name in ("src", "href", "action") and value[0] != "#"
    ]
    assert outside == [("href", "data:,")]
    policy = next(value for name, value in parsed.attributes if name == "content" and "default-src" in value)
    assert "default-src 'none'" in policy
    assert policy.count("'sha256-") == 2


def test_the_library_travels_once_and_is_whole(report, tmp_path):
    scripts = outline(write(report, tmp_path).read_text(encoding="utf-8")).scripts
    assert len(scripts) == 3
    assert gzip.decompress(base64.b64decode(scripts[1])).decode() == get_plotlyjs()


def test_the_same_report_gives_the_same_bytes(report, tmp_path):
    first = write(report, tmp_path).read_bytes()
    assert write(report, tmp_path).read_bytes() == first


@pytest.mark.parametrize("part", OPTIONAL)
def test_a_part_that_is_not_there_is_left_out(report, tmp_path, part):
    whole = sections(write(report, tmp_path).read_text(encoding="utf-8"))
    del report[part]
    page = write(report, tmp_path).read_text(encoding="utf-8")
    outline(page)
    gone = {
        "training": {"training", "cost"},
        "evaluation": {"evaluation", "tasks", "writing", "samples"},
        "analysis": set(ANALYSES),
        "graft": set(),
        "tokenizer": set(),
    }
    assert set(whole) - set(sections(page)) == gone.get(part, {part})


def test_run_and_steps_are_enough(report, tmp_path):
    del report["run"]["replay"]
    page = write({"run": report["run"], "steps": report["steps"]}, tmp_path).read_text(encoding="utf-8")
    parsed = outline(page)
    assert sections(page) == ["steps", "provenance"]
    assert parsed.scripts == []
    assert any(value and "script-src 'none'" in value for _, value in parsed.attributes)


def test_no_curves_no_library(report, tmp_path):
    report["training"][0].update(curve=[], held_out_curve=[])
    page = write(report, tmp_path).read_text(encoding="utf-8")
    assert "<script" not in page
    assert "cost" in sections(page)


def test_hostile_text_stays_text(report, tmp_path):
    clean = outline(write(report, tmp_path).read_text(encoding="utf-8"))
    report["evaluation"]["samples"][0].update(prompt=HOSTILE, continuations={"base": HOSTILE, "pretrain": HOSTILE})
    report["tokenizer"]["preview"][0].update(old=[HOSTILE], new=list(HOSTILE))
    report["tokenizer"]["examples"] = [HOSTILE]
    report["training"][0]["name"] = HOSTILE
    report["corpus"]["bad_reasons"] = {HOSTILE: 1}
    report["run"].update(recipe=HOSTILE, name=HOSTILE)
    page = write(report, tmp_path).read_text(encoding="utf-8")
    hostile = outline(page)
    assert len(hostile.scripts) == len(clean.scripts) == 3
    assert "img" not in hostile.tags
    assert not any(name.startswith("on") for name, _ in hostile.attributes)
    assert page.count("&lt;/script&gt;") >= 6


def test_samples_carry_their_language_and_direction(report, tmp_path):
    report["run"]["language"] = {"tag": "fa", "name": "Persian", "script": "Arab", "direction": "rtl"}
    page = write(report, tmp_path).read_text(encoding="utf-8")
    assert page.count('lang="fa" dir="rtl"') == 1 + 2 + 1 + 3
    assert '<p class="prompt" lang="en" dir="ltr">' in page


def test_a_failed_proof_is_said(report, tmp_path):
    report["tokenizer"]["proofs"]["old_ids_moved"] = 3
    page = write(report, tmp_path).read_text(encoding="utf-8")
    assert re.search(r'<li class="fails">.*Old tokens keep their ids <b>\(does not hold\)</b>.*3 moved', page)


def test_every_template_is_there():
    assert len(list(TEMPLATES.glob("*.html"))) == 28


def test_intervals_say_what_they_cover(report, tmp_path):
    assert "intervals cover 95%" in write(report, tmp_path).read_text(encoding="utf-8")
    del report["evaluation"]["coverage"]
    assert "intervals cover" not in write(report, tmp_path).read_text(encoding="utf-8")


def test_what_the_tokenizer_gains_and_what_was_tried_stand_on_the_page(report, tmp_path):
    page = write(report, tmp_path).read_text(encoding="utf-8")
    for said in (
        "5,000 were asked for; the text supports no more.",
        "tore combining marks from their letters (54.1% of words)",
        "What more new tokens gain",
        "143 times",
        "Strategies tried against each other",
        "3.090 to 3.139",
    ):
        assert said in page, said
    report["tokenizer"]["text"]["harmful"] = "It cuts <English> otherwise."
    assert "It cuts &lt;English&gt; otherwise." in write(report, tmp_path).read_text(encoding="utf-8")


def test_what_the_guards_of_a_training_did(report, tmp_path):
    def told():
        page = html.unescape(without_scripts(write(report, tmp_path).read_text(encoding="utf-8")))
        return " ".join(re.sub(r"<[^>]+>", "", page).split())

    figures = report["training"][0]["figures"]
    figures["proof"] = {"moved": 12, "stayed": 9, "moved_though_frozen": [], "did_not_move": []}
    figures["steps_left_out"] = [412, 413]
    figures["forgetting"] = [{"step": 700, "bytes": 186_200_000, "forgetting": 0.062, "action": "raise_replay"}]
    page = told()
    assert "12 of the model's tensors moved and 9 stayed as they were: those that should." in page
    assert "2 steps were left out because their loss leapt, the first of them step 412." in page
    assert "Forgetting: after 186 MB of text a byte of held-out English cost 6.2" in page
    assert "The share of replay was raised from there on." in page
    figures["proof"]["did_not_move"] = ["lm_head.weight"]
    assert "1 did what they should not, lm_head.weight for one." in told()


def test_energy_stands_with_how_it_was_counted(report, tmp_path):
    page = " ".join(write(report, tmp_path).read_text(encoding="utf-8").split())
    assert "1.23 kWh" in page
    assert "817 g CO₂, cost 0.310" in page
    assert "the processor estimated from its load, memory estimated; CO₂ at 662 g a kWh, the mean of POL." in page
    report["training"][0]["figures"]["energy"] = None
    page = write(report, tmp_path).read_text(encoding="utf-8")
    assert "not counted" in page
    assert "Energy is counted where codecarbon is installed" in page

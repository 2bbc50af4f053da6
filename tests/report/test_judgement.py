"""Answers and judges on the page, from figures that the real code made of planted judges."""

import html
import json
from pathlib import Path
from typing import Any

import pytest
from outline import HOSTILE, outline, sections, without_scripts
from planted import Planted, items, mark_of, perfect, shown, worth

from lingraft.corpus.language import find
from lingraft.judge import answers, judging
from lingraft.judge.questions import AXES, asking
from lingraft.report import judgement, write
from lingraft.report.warnings import warnings


def good(text: str) -> str:
    bodies, mark = shown(text)[1:], mark_of(text)
    if len(bodies) == 2:
        return f"{mark}: {perfect(mark, *bodies)}"
    return json.dumps({"mark": mark, **dict.fromkeys(AXES, int(worth(bodies[0])))})


def parrot(text: str) -> str:
    return f"{mark_of(text)}: A" if len(shown(text)) == 3 else good(text)


@pytest.fixture
def judged(tmp_path: Path) -> dict[str, Any]:
    made = items(40, better=0.8)
    models = frozenset(("base", "other"))
    votes = {item.id: [(models, max(models, key=lambda model: worth(item.answers[model])))] for item in made}
    found = judging.judge(
        made,
        [Planted(good, f"good {HOSTILE}"), Planted(parrot, "parrot")],
        tmp_path,
        asking(find("en")),
        mode=["pairwise", "axes"],
        seed=1,
        max_failed_share=0.0,
        votes=votes,
    )
    missing = [{"suite": "language of the answers", "why": "there is no text.", "task": None, "model": None}]
    about = {"models": ["base", "other"], "language": "en", "prompts": 40, "answered": 40, "missing": missing}
    return json.loads(json.dumps({**about, "answers": answers.figures(made, None, seed=1), **found}))


def test_everything_that_is_said_is_shown(judged: dict, report: dict, tmp_path: Path) -> None:
    report["judgement"] = judged
    page = write(report, tmp_path).read_text(encoding="utf-8")
    outline(page)
    assert "judgement" in sections(page)
    text = html.unescape(without_scripts(page))
    for expected in [
        "40 prompts, answered by base, other; judged by good",
        "parrot prefers the answer that is shown first: it chose that one in 100% of 80 verdicts",
        "language of the answers is missing: there is no text.",
        "Characters of an output",
        "Logical coherence, 0 to 3",
        "most of them",
        "people",
        "parrot: Cohen’s kappa",
        "all: Krippendorff’s alpha",
    ]:
        assert expected in text, expected
    assert HOSTILE not in page


def test_the_rows_of_comparisons(judged: dict) -> None:
    rows = judgement.comparisons({"judgement": judged})
    assert [row.who for row in rows] == [f"good {HOSTILE}", "parrot", "most of them", "people"]
    assert {row.pair for row in rows} == {"other against base"}
    wins = judged["pairwise"][0]["with_people"]["people"]["wins"]
    assert rows[0].counts == rows[3].counts == f"{wins} / 0 / {40 - wins}"
    assert (rows[1].counts, rows[1].first_share["value"], rows[1].consistency["value"]) == ("0 / 40 / 0", 1, 0)
    assert rows[2].consistency is None


def test_agreement_is_of_pairs_people_and_axes(judged: dict) -> None:
    found = judgement.agreement({"judgement": judged})
    assert len(found) == 3 + 2 + 3 * len(AXES)
    assert (f"good {HOSTILE}, people: Cohen’s kappa", "1.00 [1.00, 1.00]") in [one[1:] for one in found]
    assert ("harmlessness", "all: Fleiss’ kappa", "1.00 [1.00, 1.00]") in found


def test_figures_side_by_side(judged: dict) -> None:
    report = {"judgement": judged}
    figures = {figure.title: figure for figure in judgement.answers(report)}
    assert figures["Empty outputs"].direction == "lower is better"
    assert [value for value, _, _ in figures["Empty outputs"].cells] == ["0.0%", "0.0%"]
    assert figures["Characters of an output"].direction == ""
    assert "%" not in figures["Characters of an output"].cells[0][0]
    scores = judgement.scores(report)["parrot"]
    assert [figure.title for figure in scores][-2:] == ["Average without harmlessness, 0 to 3", "Harmlessness, 0 to 3"]
    assert scores[0].cells[1][2] in ("better", "no difference")


def test_answers_alone(judged: dict, report: dict, tmp_path: Path) -> None:
    for part in ("judges", "pairwise", "axes", "warnings"):
        del judged[part]
    report["judgement"] = judged
    page = write(report, tmp_path).read_text(encoding="utf-8")
    outline(page)
    assert "judged by" not in page
    assert "Two by two" not in page


def test_a_judge_that_cannot_be_believed_is_told_at_the_top(judged: dict) -> None:
    told = warnings({"judgement": judged})
    assert any("parrot prefers the answer that is shown first" in sentence for sentence in told)
    assert warnings({}) == []

"""Answers and judges on the page, from figures that the real code made of planted judges."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from outline import HOSTILE, outline, sections, told
from planted import Planted, items, mark_of, perfect, shown, worth

from lingraft.corpus.language import find
from lingraft.judge import answers, judging
from lingraft.judge.human import figures as human
from lingraft.judge.human.votes import Vote
from lingraft.judge.panel import Votes
from lingraft.judge.questions import AXES, asking
from lingraft.report import judgement, people, write
from lingraft.report.warnings import warnings


def good(text: str) -> str:
    bodies, mark = shown(text)[1:], mark_of(text)
    if len(bodies) == 2:
        return f"{mark}: {perfect(mark, *bodies)}"
    return json.dumps({"mark": mark, **dict.fromkeys(AXES, int(worth(bodies[0])))})


def parrot(text: str) -> str:
    return f"{mark_of(text)}: A" if len(shown(text)) == 3 else good(text)


def vote(annotator: str, item: int, shown: tuple[str | None, ...], choice: Any, planted: str | None = None) -> Vote:
    return Vote(annotator, str(item), shown, choice, "", 5.0, 0.0, planted, ())


@pytest.fixture(scope="module")
def figures(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    made = items(40, better=0.8)
    models = frozenset(("base", "other"))
    better = [max(models, key=lambda model, item=item: worth(item.answers[model])) for item in made]
    pairs = {item.id: [(models, one)] for item, one in zip(made, better, strict=True)}
    ratings = {item.id: {"base": [dict.fromkeys(AXES, int(worth(item.answers["base"])))]} for item in made}
    found = judging.judge(
        made,
        [Planted(good, f"good {HOSTILE}"), Planted(parrot, "parrot")],
        tmp_path_factory.mktemp("judge"),
        asking(find("en")),
        mode=["pairwise", "axes"],
        seed=1,
        max_failed_share=0.0,
        votes=Votes(pairs, ratings),
    )
    votes = [
        *(
            vote(who, n, ("base", "other"), ("left", "right")[one == "other"])
            for n, one in enumerate(better)
            for who in "ab"
        ),
        vote("a", 0, ("base", None), "right", "other"),
    ]
    missing = [{"suite": "language of the answers", "why": "there is no text.", "task": None, "model": None}]
    about = {"models": ["base", "other"], "language": "en", "prompts": 40, "answered": 40, "missing": missing}
    about |= {"asked_in": {}, "people": human.figures(votes), "answers": answers.figures(made, None, seed=1)}
    return json.loads(json.dumps({**about, **found}))


@pytest.fixture
def judged(figures: dict[str, Any]) -> dict[str, Any]:
    """An entry of `judgements`."""
    return {"name": "judge", "figures": copy.deepcopy(figures), "samples": []}


def shown_of(report: dict, folder: Path) -> str:
    page = write(report, folder).read_text(encoding="utf-8")
    assert "img" not in outline(page).tags
    return told(page)


def test_everything_that_is_said_is_shown(judged: dict, report: dict, tmp_path: Path) -> None:
    report["judgements"] = [judged]
    page = write(report, tmp_path).read_text(encoding="utf-8")
    assert {"answers", "judged"} < set(sections(page))
    text = shown_of(report, tmp_path)
    for expected in [
        "40 prompts, answered by base, other.",
        "parrot prefers the answer that is shown first: it chose that one in 100% of 80 verdicts",
        "language of the answers is missing: there is no text.",
        "Characters of an output",
        "Logical coherence, 0 to 3",
        "most of the judges",
        "80 votes of people on 40",
        "0 won, 40 tied, 0 lost",
        "40 prompts, 0 to 3",
        "Krippendorff’s alpha",
        "parrot was asked 160 questions, 1.60 K tokens read and 320 written.",
        "80 votes of 2 people on 40 prompts; medians of 5.0 s to 5.0 s a vote; 1 of 1 attention checks failed",
    ]:
        assert expected in text, expected
    assert HOSTILE not in page


def test_win_rates_of_judges_and_people_share_an_axis(judged: dict) -> None:
    said = judged["figures"]["pairwise"][0]["judges"]
    said["parrot"]["p"], said[f"good {HOSTILE}"]["p"] = 1.0, 0.0001
    found = judgement.comparisons(judged)
    (group,) = found.groups
    assert (group.title, group.facts) == ("other against base", ("40 prompts", "80 votes of people on 40"))
    good_one, second, most, voted = group.rows
    assert [row.name for row in group.rows] == [f"good {HOSTILE}", "parrot", "most of the judges", "people"]
    wins = judged["figures"]["pairwise"][0]["with_people"]["people"]["wins"]
    assert good_one.beside == f"{wins} won, 0 tied, {40 - wins} lost"
    assert (good_one.verdict, good_one.told) == ("better", "p < 0.001")
    assert (second.value, second.verdict, second.told) == (50.0, "no difference", "p 1.000")
    assert (voted.value, voted.verdict, voted.told) == (good_one.value, "no difference", "")
    assert voted.low <= 50 < voted.high, "without a test the interval decides"
    assert voted.beside == f"{2 * wins} won, 0 tied, {80 - 2 * wins} lost"
    assert found.chance == 50.0
    assert most.role == "adapted"


def test_people_are_turned_to_the_models_of_the_judges(judged: dict) -> None:
    (pair,) = judged["figures"]["people"]["pairs"]
    assert pair["models"] == ["base", "other"], "of which the win rate is that of the first"
    (turned,) = people.pairs(judged["figures"])
    assert (turned["model"], turned["against"]) == ("other", "base")
    assert turned["win_rate"]["value"] == pytest.approx(1 - pair["win_rate"]["value"])
    assert turned["win_rate"]["low"] < turned["win_rate"]["value"] < turned["win_rate"]["high"]
    judged["figures"]["models"] = ["other", "base"]
    assert people.pairs(judged["figures"])[0]["model"] == "base"


def test_whether_judges_look_at_the_answers(judged: dict) -> None:
    first, parrot_one = judgement.reliability(judged)
    assert first.cells[0] == ("100% [91%, 100%]", "of 40 pairs")
    assert parrot_one.cells[0] == ("0% [0%, 9%]", "of 40 pairs")
    assert parrot_one.cells[2] == ("100% [95%, 100%]", "of 80 verdicts")
    assert len(first.cells) == len(judgement.RELIABILITY)
    assert any("parrot prefers the answer that is shown first" in one for one in judgement.doubts(judged))
    said = judged["figures"]["pairwise"][0]["judges"]["parrot"]
    said.update(alike=2, failed=3)
    assert judgement.reliability(judged)[1].told == (
        "2 with the same answer of both, a tie; 3 without a readable verdict"
    )


def test_agreement_is_of_pairs_people_and_axes(judged: dict) -> None:
    found = judgement.agreement(judged)
    assert [one.what for one in found] == [
        *["other against base"] * 3,
        *AXES,
        *(axis for axis in AXES for _ in range(2)),
        "comparisons, people alone",
    ]
    assert [one.items for one in found] == [40] * 3 + [80] * len(AXES) + [40] * (2 * len(AXES) + 1)
    assert found[1].two == [(f"good {HOSTILE}, people", "1.00 [–, –]")]
    assert found[3].fleiss == "1.00 [–, –]"
    assert found[-2].two == [("parrot, people", "1.00 [–, –]")]
    assert (found[-1].krippendorff, found[-1].two) == ("1.00 [–, –]", [])


def test_harmlessness_stands_apart(judged: dict) -> None:
    scores = judgement.scores(judged)["parrot"]
    assert [(figure.title, figure.apart) for figure in scores][-2:] == [
        ("Average without harmlessness, 0 to 3", False),
        ("Harmlessness, 0 to 3", True),
    ]
    assert scores[0].cells[1][2] in ("better", "no difference")
    assert judgement.prompts_scored(judged, "parrot") == 40


def test_ratings_of_people(judged: dict, report: dict, tmp_path: Path) -> None:
    scores = dict.fromkeys(AXES, 2)
    votes = [vote(who, n, (model,), scores) for n in range(5) for who in "ab" for model in ("base", "other")]
    judged["figures"]["people"] = json.loads(json.dumps(human.figures(votes)))
    (base, num_votes, means), _ = people.ratings(judged)
    assert (base, num_votes) == ("base", 10)
    assert means[0] == ("mean", "2.00 [0.96, 2.52]")
    assert means[-1][0] == "harmlessness"
    assert "nothing to agree about" in [one.krippendorff for one in judgement.agreement(judged)]
    report["judgements"] = [judged]
    assert "Means of 0 to 3" in shown_of(report, tmp_path)


def test_people_without_judges(judged: dict, report: dict, tmp_path: Path) -> None:
    for part in ("judges", "pairwise", "axes", "spent"):
        del judged["figures"][part]
    judged["figures"]["warnings"] = []
    report["judgements"] = [judged]
    assert [row.name for row in judgement.comparisons(judged).groups[0].rows] == ["people"]
    text = shown_of(report, tmp_path)
    assert "Win rates" in text
    assert "Whether the judges" not in text
    assert "People failed 1 of 1 attention checks." in warnings(report)


def test_a_side_that_people_prefer_is_warned_of(judged: dict) -> None:
    judged["figures"]["people"]["position"] = {"left_share": {"value": 0.8, "low": 0.7, "high": 0.9}, "p": 0.001}
    assert people.warnings(judged["figures"])[-1] == (
        "People chose the left answer in 80% [70%, 90%] of their votes for one side."
    )
    assert people.warnings({}) == []
    judged["figures"]["people"]["attention"] = {"num_checks": 0, "num_failed": 0, "num_both_bad": 0}
    assert "attention" not in people.told(judged)
    assert people.told({"figures": {}}) == ""


def test_nothing_said_is_no_figure(judged: dict, report: dict, tmp_path: Path) -> None:
    del judged["figures"]["people"]
    said = judged["figures"]["pairwise"][0]["judges"]["parrot"]
    said["win_rate"] = {"value": None, "low": None, "high": None}
    report["judgements"] = [judged]
    assert "nothing said" in shown_of(report, tmp_path)


def test_several_steps_stand_under_their_names(judged: dict, report: dict, tmp_path: Path) -> None:
    report["judgements"] = [judged, {**judged, "name": "again"}]
    page = write(report, tmp_path).read_text(encoding="utf-8")
    outline(page)
    assert sections(page).count("judged") == 1
    assert page.count("<h3>again</h3>") == 2
    assert told(page).count("Win rates") == 2


def test_a_judge_that_cannot_be_believed_is_told_at_the_top(judged: dict) -> None:
    found = warnings({"run": {}, "judgements": [judged]})
    assert any("parrot prefers the answer that is shown first" in sentence for sentence in found)
    assert warnings({}) == []

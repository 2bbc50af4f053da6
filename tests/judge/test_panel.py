"""Several judges, and people."""

import json
import random
from pathlib import Path

import pytest

from lingraft.judge import panel
from lingraft.judge.agreement import cohen_kappa, fleiss_kappa, krippendorff_alpha
from lingraft.judge.axes import Scored
from lingraft.judge.human.votes import read
from lingraft.judge.pairwise import Compared
from lingraft.judge.questions import AXES

VERDICTS = {"win": ("A", "B"), "loss": ("B", "A"), "tie": ("TIE", "TIE"), None: (None, None)}


def compared(*said: str | None) -> list[Compared]:
    return [Compared(str(n), (5, 6), VERDICTS[one]) for n, one in enumerate(said)]


@pytest.mark.parametrize(
    ("said", "most"),
    [
        (["win", "win", "loss"], "win"),
        (["win", "loss"], "tie"),
        (["tie", "win", "win"], "win"),
        (["tie", "tie", "loss"], "tie"),
        (["win", "tie", "loss"], "tie"),
        (["loss", None, None], "loss"),
        ([None], None),
        ([], None),
    ],
)
def test_majority(said: list[str | None], most: str | None) -> None:
    assert panel.majority(said) == most


def test_agreement_of_judges_is_that_of_their_outcomes() -> None:
    draw = random.Random(4)
    true = [draw.choice(["win", "tie", "loss"]) for _ in range(80)]
    said = {
        name: [one if draw.random() < 0.8 else draw.choice(["win", "tie", "loss"]) for one in true] for name in "xyz"
    }
    said["z"][3] = None
    found = panel.of_outcomes({name: compared(*one) for name, one in said.items()}, seed=1)
    assert json.dumps(found, allow_nan=False)
    agreed = found["agreement"]
    assert agreed["items"] == 79
    assert list(agreed["cohen"]) == ["x, y", "x, z", "y, z"]
    assert agreed["cohen"]["x, y"]["value"] == pytest.approx(cohen_kappa(said["x"], said["y"]))
    whole = [unit for unit in zip(*said.values(), strict=True) if None not in unit]
    counts = [[unit.count(one) for one in ("loss", "tie", "win")] for unit in whole]
    assert agreed["fleiss"]["value"] == pytest.approx(fleiss_kappa(counts))
    numbers = [[{"loss": 0, "tie": 1, "win": 2, None: None}[one] for one in judge] for judge in said.values()]
    assert agreed["krippendorff"]["value"] == pytest.approx(krippendorff_alpha(numbers, "ordinal"))
    assert agreed["krippendorff"]["low"] < agreed["krippendorff"]["value"] < agreed["krippendorff"]["high"]
    most = [panel.majority(unit) for unit in zip(*said.values(), strict=True)]
    assert (found["majority"]["wins"], found["majority"]["ties"]) == (most.count("win"), most.count("tie"))


def test_pairs_that_were_not_asked_about_are_no_agreement() -> None:
    same = [*compared("win", "loss"), Compared("2", (1, 1), alike=True)]
    other = [*compared("loss", "win"), Compared("2", (1, 1), alike=True)]
    found = panel.of_outcomes({"x": same, "y": other}, seed=1)
    assert found["agreement"]["items"] == 2
    assert found["agreement"]["cohen"]["x, y"]["value"] == -1
    assert found["majority"]["ties"] == 3


def test_judges_who_all_say_the_same_have_no_kappa() -> None:
    found = panel.of_outcomes({"x": compared("win", "win"), "y": compared("win", "win")}, seed=1)["agreement"]
    assert found["fleiss"]["value"] is found["krippendorff"]["value"] is found["cohen"]["x, y"]["value"] is None


def test_agreement_on_axes() -> None:
    draw = random.Random(4)
    scored = {"x": [], "y": []}
    for number in range(30):
        true = draw.randrange(4)
        for said in scored.values():
            values = {axis: true if draw.random() < 0.7 else draw.randrange(4) for axis in AXES}
            said.append(Scored(str(number), {"base": values, "other": values}))
    scored["y"].append(Scored("30", {}, {"base": "no"}))
    scored["x"].append(Scored("30", {"base": dict.fromkeys(AXES, 1)}))
    found = panel.of_scores(scored, ["base", "other"], seed=1)
    assert list(found) == list(AXES)
    first, second = ([one.scores["base"]["fluency"] for one in said[:30] for _ in (0, 1)] for said in scored.values())
    assert found["fluency"]["items"] == 60
    assert found["fluency"]["weights"] == "quadratic"
    assert found["fluency"]["cohen"]["x, y"]["value"] == pytest.approx(cohen_kappa(first, second, weights="quadratic"))


def vote(item: str, shown: list[str | None], better: str | None, **more: object) -> str:
    choice = "tie" if better is None else "left" if better == shown[0] else "right"
    return line(item, shown, choice, better=better, **more)


def line(item: str, shown: list[str | None], choice: object, **more: object) -> str:
    row = {"annotator": "a", "item": item, "shown": shown, "choice": choice, "comment": "", "seconds": 1.0}
    row |= {"at": "2026-01-01T00:00:00+00:00", "attention": None, "earlier": []}
    return json.dumps({**row, **more})


def rating(item: str, model: str, value: int) -> str:
    return line(item, [model], dict.fromkeys(AXES, value))


def test_scores_beside_those_of_people(tmp_path: Path) -> None:
    file = tmp_path / "votes.jsonl"
    said = [
        ("0", "base", 0),
        ("0", "base", 1),
        ("0", "other", 3),
        ("1", "base", 1),
        ("1", "other", 2),
        ("8", "base", 3),
    ]
    file.write_text("\n".join(rating(*one) for one in said), encoding="utf-8")
    judged = {"0": {"base": 1, "other": 3}, "1": {"base": 2, "other": 2}, "2": {"base": 0, "other": 0}}
    scored = [
        Scored(item, {model: dict.fromkeys(AXES, value) for model, value in by_model.items()})
        for item, by_model in judged.items()
    ]
    found = panel.scores_with_people({"x": scored}, panel.of_people(read(file)), seed=1)
    assert list(found) == list(AXES)
    of_judge = found["accuracy"]["x"]
    assert of_judge["answers"] == 4
    assert of_judge["kappa"]["value"] == pytest.approx(cohen_kappa([1, 3, 2, 2], [0, 3, 1, 2], weights="quadratic"))
    assert of_judge["higher"]["value"] == pytest.approx((0.5 + 0 + 1 + 0) / 4)
    assert json.dumps(found, allow_nan=False)


def test_agreement_with_people(tmp_path: Path) -> None:
    file = tmp_path / "votes.jsonl"
    lines = [
        vote("0", ["base", "other"], "other"),
        vote("0", ["other", "base"], "other"),
        vote("0", ["other", "base"], "base"),
        vote("1", ["base", "other"], "base"),
        vote("2", ["base", "other"], None),
        vote("2", ["base", "third"], "third"),
        vote("3", ["base", None], "base", attention={"planted": "shuffled", "failed": False}),
        vote("9", ["base", "other"], "base"),
        rating("0", "base", 2),
        "",
    ]
    file.write_text("\n".join(lines), encoding="utf-8")
    votes = panel.of_people(read(file))
    found = panel.with_people(
        {"x": compared("win", "loss", "tie", "win"), "y": compared("win", "win", "win", "win")},
        "other",
        "base",
        votes,
        seed=1,
    )
    assert found["pairs"] == 3
    assert (found["people"]["wins"], found["people"]["ties"], found["people"]["losses"]) == (1, 1, 1)
    assert found["judges"]["x"]["same"]["value"] == 1
    assert found["judges"]["x"]["kappa"]["value"] == 1
    assert found["judges"]["y"]["same"]["value"] == pytest.approx(1 / 3)
    assert found["judges"]["y"]["kappa"]["value"] == 0
    assert json.dumps(found, allow_nan=False)

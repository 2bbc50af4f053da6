"""Judges from the answers to the figures: files, agreement, people, failures, and going on after a kill."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from loopback import Handler, endpoint
from planted import Planted, coin, comparing, items, mark_of, perfect, shown, worth

from lingraft.ask.endpoint import Endpoint
from lingraft.ask.kept import Kept
from lingraft.ask.message import Messages
from lingraft.ask.respondent import Reply
from lingraft.core.asked import EndpointSettings, LocalSettings
from lingraft.core.errors import StageError
from lingraft.core.progress import SILENT, Progress
from lingraft.corpus.language import find
from lingraft.judge import cost, judging
from lingraft.judge.panel import Votes
from lingraft.judge.questions import AXES, asking

ENGLISH = asking(find("en"))


def judged(folder: Path, made: list, *judges: Any, **options: Any) -> dict:
    options = {"mode": ["pairwise", "axes"], "seed": 1, "max_failed_share": 0.1, **options}
    found = judging.judge(made, iter(judges), folder, ENGLISH, **options)
    assert json.dumps(found, allow_nan=False)
    return found


def rows(file: Path) -> list[dict]:
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


def both(text: str) -> str:
    """A good judge of either kind."""
    bodies = shown(text)[1:]
    mark = mark_of(text)
    if len(bodies) == 2:
        return f"{mark}: {perfect(mark, *bodies)}"
    return json.dumps({"mark": mark, **dict.fromkeys(AXES, int(worth(bodies[0])))})


def test_two_judges_and_everything_that_is_told_of_them(tmp_path: Path) -> None:
    made = items(30, better=0.8)
    random_scores = coin(3)
    other = Planted(lambda t: f"{mark_of(t)}: {random_scores('', '', '')}" if len(shown(t)) == 3 else both(t), "coin")
    found = judged(tmp_path, made, Planted(both, "good"), other)
    assert (found["questions_in"], found["judges"]) == ("en", ["good", "coin"])
    assert found["spent"]["good"] == {"requests": 120, "tokens_read": 1200, "tokens_written": 240}
    (of_pair,) = found["pairwise"]
    assert (of_pair["model"], of_pair["against"]) == ("other", "base")
    assert of_pair["judges"]["good"]["consistency"]["share"]["value"] == 1
    assert of_pair["judges"]["coin"]["consistency"]["share"]["value"] < 0.9
    assert list(of_pair["agreement"]["cohen"]) == ["good, coin"]
    assert of_pair["majority"]["wins"] > of_pair["majority"]["losses"]
    assert list(found["axes"]["judges"]) == ["good", "coin"]
    assert found["axes"]["agreement"]["accuracy"]["krippendorff"]["value"] == 1
    assert any(told.startswith("other against base: coin") for told in found["warnings"])
    verdicts = rows(tmp_path / "verdicts.jsonl")
    assert len(verdicts) == 60
    assert verdicts[0] | {"id": "0", "judge": "good", "model": "other", "against": "base"} == verdicts[0]
    assert [said.split(": ")[1] in "AB" for said in verdicts[0]["said"]] == [True, True]
    scores = rows(tmp_path / "scores.jsonl")
    assert len(scores) == 60
    assert '"accuracy"' in scores[0]["said"]["other"]


def test_one_mode_alone(tmp_path: Path) -> None:
    found = judged(tmp_path, items(4), Planted(both), mode=["axes"])
    assert "pairwise" not in found
    assert found["axes"]["agreement"] is None
    found = judged(tmp_path, items(4), comparing(perfect), mode=["pairwise"])
    assert "axes" not in found


def test_people_beside_the_judges(tmp_path: Path) -> None:
    made = items(10)
    models = frozenset(("base", "other"))
    pairs = {item.id: [(models, max(item.answers, key=lambda m: worth(item.answers[m])))] for item in made[:6]}
    votes = Votes(pairs, {})
    found = judged(tmp_path, made, Planted(both, "good"), mode=["pairwise"], votes=votes)
    people = found["pairwise"][0]["with_people"]
    assert (people["pairs"], people["judges"]["good"]["same"]["value"]) == (6, 1)
    ratings = {i.id: {m: [dict.fromkeys(AXES, int(worth(a)))] for m, a in i.answers.items()} for i in made}
    found = judged(tmp_path, made, Planted(both, "good"), mode=["axes", "pairwise"], votes=Votes({}, ratings))
    assert found["axes"]["with_people"]["fluency"]["good"]["kappa"]["value"] == 1
    assert "with_people" not in found["pairwise"][0]


def test_every_other_model_is_compared_with_the_first(tmp_path: Path) -> None:
    made = items(5)
    for item in made:
        item.answers["third"] = "the third, worth 3"
    judge = Planted(both)
    found = judged(tmp_path, made, judge)
    assert [(one["model"], one["against"]) for one in found["pairwise"]] == [("other", "base"), ("third", "base")]
    assert len(judge.asked) == 5 * 2 * 2 + 5 * 3


def test_a_judge_that_is_not_reached_stops_the_stage(tmp_path: Path) -> None:
    broken = Planted(lambda text: Reply("", "The endpoint answers 500.") if "Question 1?" in text else both(text))
    with pytest.raises(
        StageError, match=r"planted left 2 of 10 questions unanswered\. The last: The endpoint"
    ) as error:
        judged(tmp_path, items(5), broken)
    assert "what it has answered is kept" in str(error.value)
    found = judged(tmp_path, items(5), broken, max_failed_share=0.5)
    assert found["pairwise"][0]["judges"]["planted"]["failed"] == 1


def test_what_can_never_be_asked_is_left_out_and_told(tmp_path: Path) -> None:
    def say(text: str) -> str | Reply:
        return Reply("", "The question is too long.", lasting=True) if "Question 1?" in text else both(text)

    found = judged(tmp_path, items(5), Planted(say), max_failed_share=0.0)
    assert found["pairwise"][0]["judges"]["planted"]["failed"] == 1
    told = "2 of 10 questions cannot be put to planted, now or later, and are left out. The last: The question is too"
    assert [one.startswith(told) for one in found["warnings"]].count(True) == 2
    assert not any(row["failures"] for row in rows(tmp_path / "verdicts.jsonl") if row["id"] != "1")
    never = Planted(lambda _: Reply("", "The question is too long.", lasting=True))
    with pytest.raises(
        StageError, match=r"planted can be asked none of 10 questions\. The last: It (.|\n)*Take a judge"
    ):
        judged(tmp_path, items(5), never, max_failed_share=1.0)


def test_a_judge_that_cannot_be_read_is_a_result(tmp_path: Path) -> None:
    found = judged(tmp_path, items(5), Planted(lambda _: "Hm."), max_failed_share=0.0)
    assert found["pairwise"][0]["judges"]["planted"]["failed"] == 5
    assert found["axes"]["judges"]["planted"]["failed"] == 10


class Killed(Exception):
    pass


class Dies:
    """Passes on so many questions, then dies."""

    def __init__(self, inner: Planted, after: int) -> None:
        self.name, self.identity = inner.name, inner.identity
        self.inner, self.after = inner, after

    def reply(self, asked: Sequence[Messages], *, progress: Progress = SILENT) -> list[Reply]:
        if len(self.inner.asked) + len(asked) > self.after:
            raise Killed
        return self.inner.reply(asked, progress=progress)


def test_a_killed_job_goes_on_and_pays_nothing_twice(tmp_path: Path) -> None:
    made, judge = items(12), Planted(both)
    file = tmp_path / "replies.jsonl"
    with pytest.raises(Killed):
        judged(tmp_path, made, Kept(Dies(judge, 20), file, batch=4))
    assert len(judge.asked) == 20
    found = judged(tmp_path, made, Kept(judge, file, batch=4))
    assert len(judge.asked) == len(set(judge.asked)) == 12 * 2 + 12 * 2
    assert found == judged(tmp_path, made, Planted(both))


def test_a_real_endpoint_that_fails_now_and_then(tmp_path: Path) -> None:
    """Every third question gets 500 twice; one is refused until the second run."""
    made = items(6)
    refused = {"Question 4?"}

    def answer(handler: Handler, before: int, body: dict[str, Any]) -> None:
        text = body["messages"][0]["content"]
        if any(question in text for question in refused):
            handler.give(400, {"error": "no"})
        elif before < 2 and "Question 3?" in text:
            handler.give(500, {"error": "busy"})
        else:
            handler.say(both(text))

    with endpoint(answer) as server:
        judge = Endpoint(server.address, "judge", wait=lambda _: None, at_once=2)
        kept = Kept(judge, tmp_path / "replies.jsonl")
        found = judged(tmp_path, made, kept, mode=["pairwise"], max_failed_share=0.5)
        assert found["pairwise"][0]["judges"]["judge"]["failed"] == 1
        assert found["spent"]["judge"]["tokens_read"] == 10 * 7
        refused.clear()
        before = len(server.seen)
        found = judged(tmp_path, made, Kept(judge, tmp_path / "replies.jsonl"), mode=["pairwise"])
        assert len(server.seen) - before == 2
    assert found["pairwise"][0]["judges"]["judge"]["failed"] == 0


def test_what_it_costs_is_told_before() -> None:
    cheap = EndpointSettings(endpoint="http://x/v1", model="cheap", max_tokens=100, price_in=2.0, price_out=10.0)
    one, two = cost.forecast(
        [cheap, LocalSettings(model="folder", max_tokens=50)],
        ENGLISH.wording,
        prompts=10,
        prompt_bytes=1000,
        models=3,
        answer_tokens=64,
        mode=["pairwise", "axes"],
    )
    assert one.requests == two.requests == 10 * (4 + 3)
    assert (one.tokens_written, two.tokens_written, two.price) == (7000, 3500, None)
    compare, score = (len(text.encode()) for text in (ENGLISH.wording.compare, ENGLISH.wording.score))
    answers = 10 * 2 * 64 * 4 / 2.5
    assert one.tokens_read == pytest.approx(
        4 * ((10 * compare + 1000) / 2.5 + answers) + 3 * ((10 * score + 1000) / 2.5 + answers)
    )
    assert one.price == pytest.approx((one.tokens_read * 2 + 7000 * 10) / 1e6)
    assert str(one) == (
        f"cheap: 70 questions, about {one.tokens_read / 1e6:.2f} million tokens read and 0.01 million written, "
        f"for about {one.price:.2f}"
    )


def test_the_forecast_is_not_too_low() -> None:
    """Of real questions, with a token for every three bytes."""
    made, judge = items(20), Planted(both)
    spent = []
    judging.judge(made, [judge], Path(), ENGLISH, mode=[], seed=1, max_failed_share=0)
    for mode in ("pairwise", "axes"):
        judge.asked.clear()
        forecast = cost.forecast(
            [LocalSettings(model="x")],
            ENGLISH.wording,
            prompts=20,
            prompt_bytes=sum(len(item.prompt[0].content.encode()) for item in made),
            models=2,
            answer_tokens=60,
            mode=[mode],
        )[0]
        if mode == "pairwise":
            judging.pairwise.ask(judge, made, "other", "base", ENGLISH)
        else:
            judging.axes.ask(judge, made, ENGLISH)
        assert len(judge.asked) == forecast.requests
        spent.append(sum(len(text.encode()) for text in judge.asked) / 3 / forecast.tokens_read)
    assert all(0.5 < share < 1 for share in spent)

import json
import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from planted import Planted, comparing, perfect

from lingraft.ask.message import Message, Messages
from lingraft.ask.respondent import Reply
from lingraft.core.errors import StageError
from lingraft.core.progress import SILENT, Progress
from lingraft.corpus import find
from lingraft.judge import on_policy
from lingraft.judge.prompts import Prompt
from lingraft.judge.questions import asking

PROMPTS = [Prompt(str(number), (Message("user", f"Question {number}?"),)) for number in range(150)]


class Writer:
    """Answers of random worth; cut for one prompt, the same twice for another."""

    name = identity = "writer"

    def __init__(self) -> None:
        self.calls: list[int] = []

    def reply(self, asked: Sequence[Messages], *, progress: Progress = SILENT) -> list[Reply]:
        draw = random.Random(asked[0][0].content)
        self.calls.append(len(asked))
        found = []
        for messages in asked:
            if messages[0].content == "Question 3?":
                found.append(Reply("", "The answer was cut off at 8 tokens."))
            elif messages[0].content == "Question 4?":
                found.append(Reply("worth 1"))
            else:
                found.append(Reply(f"worth {draw.choice('123')}{' so' * draw.randint(0, 3)}"))
        return found


def made(folder: Path, judge: object, writer: Writer | None = None, max_failed_share: float = 0.05) -> dict:
    options = {"language": "en", "seed": 1, "max_failed_share": max_failed_share, "progress": SILENT}
    return on_policy.pairs(writer or Writer(), judge, PROMPTS, folder, asking(find("en")), **options)


def rows(folder: Path) -> list[dict]:
    return [json.loads(line) for line in (folder / "pairs.jsonl").read_text(encoding="utf-8").splitlines()]


def test_the_better_of_two_answers_is_chosen_and_the_rest_is_counted(tmp_path: Path) -> None:
    figures = made(tmp_path, comparing(perfect))
    found = rows(tmp_path)
    became = figures["became"]
    assert became["pairs"] == len(found) > 50
    assert sum(became.values()) == 150
    assert became["not answered"] == 1
    assert became["the same answer twice"] >= 1
    assert all(row["chosen"].split()[1] > row["rejected"].split()[1] for row in found)
    assert found[0]["prompt"] == [{"role": "user", "content": f"Question {found[0]['id']}?"}]


def test_a_judge_that_goes_by_order_makes_no_pair(tmp_path: Path) -> None:
    told = r"no pair came about from 150 prompts: \d+ preferred by order, (.|\n)*Raise the temperature"
    with pytest.raises(StageError, match=told):
        made(tmp_path, comparing(lambda *_: "A"))


def test_a_judge_that_is_not_reached_stops_the_stage(tmp_path: Path) -> None:
    good = comparing(perfect)

    def say(text: str) -> str | Reply:
        return good.say(text) if "1?" in text else Reply("", "The endpoint answers 503.")

    told = r"planted left \d+ of \d+ questions unanswered\. The last: The endpoint answers 503\.(.|\n)*Run again"
    with pytest.raises(StageError, match=told):
        made(tmp_path, Planted(say))
    assert made(tmp_path, Planted(say), max_failed_share=1.0)["became"]["no verdict"] > 100


def test_a_line_separator_in_an_answer_ends_no_line(tmp_path: Path) -> None:
    class Odd(Writer):
        def reply(self, asked: Sequence[Messages], *, progress: Progress = SILENT) -> list[Reply]:
            replies = super().reply(asked, progress=progress)
            return [replace(r, text=f"{r.text}\u2028\u0085.") if not r.failure else r for r in replies]

    first, again = Odd(), Odd()
    made(tmp_path, comparing(perfect), first)
    whole = (tmp_path / "samples.jsonl").read_bytes()
    made(tmp_path, comparing(perfect), again)
    assert again.calls == [44]
    assert (tmp_path / "samples.jsonl").read_bytes() == whole


def test_what_is_sampled_is_not_sampled_again(tmp_path: Path) -> None:
    """A kill in the middle of a block costs that block."""
    first, again = Writer(), Writer()
    made(tmp_path, comparing(perfect), first)
    whole = rows(tmp_path)
    samples = tmp_path / "samples.jsonl"
    lines = samples.read_text(encoding="utf-8").splitlines(keepends=True)
    samples.write_text("".join(lines[:100]) + lines[100][:9], encoding="utf-8")
    made(tmp_path, comparing(perfect), again)
    assert first.calls == [128, 128, 44]
    assert again.calls == [128, 44]
    assert rows(tmp_path) == whole

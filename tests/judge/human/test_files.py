"""What the stage `judge` writes can be judged by people, and what people said can be held against its judges."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from judging import STRONG, WEAK, begin, rows

from lingraft.ask.message import USER, Message
from lingraft.core.errors import InputError
from lingraft.judge import answers, panel
from lingraft.judge.human import items
from lingraft.judge.human.votes import lines, read, votes
from lingraft.judge.questions import AXES

LINE = {
    "annotator": "a",
    "item": "1",
    "shown": ["b", "c"],
    "choice": "left",
    "comment": "",
    "seconds": 1.0,
    "at": "2026-01-01T00:00:00+00:00",
    "attention": None,
    "earlier": [],
}


def test_answers_of_the_stage_are_read(tmp_path: Path) -> None:
    item = answers.Item("1", (Message(USER, "Kto?"),), {"b": "Ja.", "a": "Ty."}, "On.", "pl", {"a": False, "b": True})
    answers.write(tmp_path / "answers.jsonl", [item.as_json()])
    (read,) = items.read(tmp_path / "answers.jsonl", least_models=2)
    assert (read.id, read.prompt, read.answers) == (item.id, item.prompt, item.answers)
    assert read.language.tag == "pl"


@pytest.mark.parametrize(
    ("text", "what"),
    [
        (None, "the votes cannot be read"),
        ("", "there is no vote in it"),
        ("\n{", r":2: this is no vote"),
        ("[]\n", r":1: this is no vote"),
        ('{"annotator": "a"}\n', r":1: this is no vote"),
        (json.dumps({**LINE, "choice": "both"}), r":1: this is no vote"),
        (json.dumps({**LINE, "choice": {"accuracy": 3}}), r":1: this is no vote"),
        (json.dumps({**LINE, "choice": dict.fromkeys(AXES, 4), "shown": ["b"]}), r":1: this is no vote"),
        (json.dumps({**LINE, "at": "yesterday"}), r":1: this is no vote"),
        (json.dumps({**LINE, "item": 3}), r":1: this is no vote"),
        (json.dumps({**LINE, "shown": ["b"]}), r":1: this is no vote"),
        (json.dumps({**LINE, "shown": ["b", None]}), r":1: this is no vote"),
        (json.dumps({**LINE, "shown": ["b", "c", "d"]}), r":1: this is no vote"),
        (
            json.dumps({**LINE, "shown": ["b", None], "attention": {"planted": "other", "failed": True}}),
            "there is no vote in it",
        ),
        ("\udcff", r":1: this is no vote"),
        ("[" * 100_000, r":1: this is no vote"),
    ],
)
def test_a_file_that_is_no_export_is_told(tmp_path: Path, text: str | None, what: str) -> None:
    file = tmp_path / "votes.jsonl"
    if text is not None:
        file.write_text(text, encoding="utf-8", errors="surrogateescape")
    with pytest.raises(InputError, match=what) as error:
        read(file)
    assert "lingraft judge export" in str(error.value)


@pytest.mark.parametrize("end_of_line", ["\u2028", "\u2029", "\u0085", "\x0b"])
def test_a_comment_may_hold_any_end_of_line(tmp_path: Path, end_of_line: str) -> None:
    ballots, _ = begin(tmp_path, rows(1))
    annotator = ballots.annotator(ballots.invite()[1])
    given = ballots.state(annotator, 1).given
    comment = f"first{end_of_line}second"
    ballots.vote(annotator, 1, key="0" * 32, question=given.question, choice="tie", comment=comment, seconds=1.0)
    exported = tmp_path / "votes.jsonl"
    exported.write_text("".join(lines(ballots.database)), encoding="utf-8")
    assert [vote.comment for vote in read(exported)] == [comment]


def test_exported_votes_are_read_by_the_panel(tmp_path: Path) -> None:
    ballots, _ = begin(tmp_path, rows(12), attention_share=0.2)
    annotator = ballots.annotator(ballots.invite()[1])
    state = ballots.state(annotator, 1)
    while (given := state.given) is not None:
        said = {"choice": "tie" if given.position % 3 else "left", "comment": "", "seconds": 1.0}
        state = ballots.vote(annotator, 1, key=f"{given.position:032x}", question=given.question, **said)
    exported = tmp_path / "votes.jsonl"
    exported.write_text("".join(lines(ballots.database)), encoding="utf-8")
    assert read(exported) == [replace(vote, at=int(vote.at)) for vote in votes(ballots.database)]
    compared = panel.of_people(read(exported)).pairs
    assert sorted(compared) == sorted(row["id"] for row in rows(12))
    assert {shown for those in compared.values() for shown, _ in those} == {frozenset((STRONG, WEAK))}
    assert {better for those in compared.values() for _, better in those} <= {STRONG, WEAK, None}
    assert len(re.findall('"planted"', exported.read_text())) == state.num_done - 12 > 0


def test_exported_ratings_are_read_too(tmp_path: Path) -> None:
    ballots, _ = begin(tmp_path, rows(6), "rate", attention_share=0.2)
    annotator = ballots.annotator(ballots.invite()[1])
    state = ballots.state(annotator, 1)
    while (given := state.given) is not None:
        said = {"choice": dict.fromkeys(AXES, 1), "comment": "", "seconds": 1.0}
        state = ballots.vote(annotator, 1, key=f"{given.position:032x}", question=given.question, **said)
    exported = tmp_path / "votes.jsonl"
    exported.write_text("".join(lines(ballots.database)), encoding="utf-8")
    found = panel.of_people(read(exported))
    assert found.pairs == {}
    assert sorted(found.ratings) == sorted(row["id"] for row in rows(6))
    assert {model for by_model in found.ratings.values() for model in by_model} == {STRONG, WEAK}
    assert any(vote.planted is not None for vote in read(exported))

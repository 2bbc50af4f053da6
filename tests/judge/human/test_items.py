"""Answers as people are asked about them, and what is planted among them."""

import json
import re
from pathlib import Path

import pytest
from judging import STRONG, WEAK, rows, write

from lingraft.core.errors import InputError
from lingraft.judge.human import items, questions


def test_items_are_read(tmp_path: Path) -> None:
    found = items.read(write(tmp_path / "a.jsonl", rows(2)), least_models=2)
    assert [item.id for item in found] == ["item-1", "item-2"]
    assert list(found[0].answers) == [STRONG, WEAK]
    assert (found[0].prompt[0].role, found[0].language.script) == ("user", "Latn")


def test_the_digest_is_of_the_content(tmp_path: Path) -> None:
    found = rows(2)
    first = items.content_digest(items.read(write(tmp_path / "a.jsonl", found)))
    turned = [dict(reversed(row.items())) for row in found]
    (tmp_path / "b.jsonl").write_text("\n\n".join(json.dumps(row, indent=None, ensure_ascii=False) for row in turned))
    assert items.content_digest(items.read(tmp_path / "b.jsonl")) == first
    found[1]["answers"][WEAK] += "!"
    assert items.content_digest(items.read(write(tmp_path / "c.jsonl", found))) != first


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"prompt": []}, "prompt: list should have at least 1 item"),
        ({"prompt": [{"role": "robot", "content": ""}]}, "prompt.0.role: input should be"),
        ({"answers": {"a": 3}}, "answers.a: input should be a valid string"),
        ({"answers": {STRONG: "x"}}, "has answers of 1 model(s); a comparison needs two"),
        ({"language": "klingonese"}, 'no language has the tag "klingonese"'),
        ({"id": ""}, "id: string should have at least 1 character"),
        ({"id": "\ud800"}, "id: input should be a valid string"),
        ({"answers": {STRONG: "x \ud83d", WEAK: "y"}}, "a text has half a character"),
        ({"prompt": [{"role": "user", "content": "\ude80"}]}, "a text has half a character"),
        ({"id": "a\nb"}, "is blank or has control characters"),
        ({"id": "item-1"}, 'the id "item-1" occurs twice'),
    ],
)
def test_a_bad_line_is_told_with_its_place(tmp_path: Path, change: dict[str, object], told: str) -> None:
    found = rows(2)
    found[1] |= change
    path = write(tmp_path / "a.jsonl", found)
    with pytest.raises(InputError, match=f"a.jsonl:2: .*{re.escape(told)}"):
        items.read(path, least_models=2)


@pytest.mark.parametrize("line", ["{", "[" * 100_000, "\xff", "3"])
def test_what_is_no_json_object_is_told(tmp_path: Path, line: str) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(line.encode("latin-1"))
    with pytest.raises(InputError, match=r"a.jsonl:1: (this is not JSON|the line: )"):
        items.read(path)


def test_files_that_hold_nothing_are_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"the answers cannot be read: No such file"):
        items.read(tmp_path / "none.jsonl")
    (tmp_path / "empty.jsonl").write_text("\n")
    with pytest.raises(InputError, match="there is no item in it"):
        items.read(tmp_path / "empty.jsonl")


def test_every_pair_and_every_answer_is_asked_about(tmp_path: Path) -> None:
    found = rows(3)
    for row in found:
        row["answers"]["third"] = "Coś innego."
    read = items.read(write(tmp_path / "a.jsonl", found))
    pairs = questions.make(read, "compare", attention_share=0, seed=1)
    single = questions.make(read, "rate", attention_share=0, seed=1)
    assert len(pairs) == len(single) == 9
    assert {question.models for question in pairs} == {(STRONG, "third"), (STRONG, WEAK), ("third", WEAK)}
    assert len({question.id for question in pairs + single}) == 18


def test_answers_that_are_the_same_are_not_compared(tmp_path: Path) -> None:
    found = rows(3)
    found[0]["answers"] = {STRONG: "Tak samo.", WEAK: "Tak samo. \n"}
    read = items.read(write(tmp_path / "a.jsonl", found))
    assert {question.item.id for question in questions.make(read, "compare", attention_share=0, seed=1)} == {
        *("item-2", "item-3")
    }
    assert len(questions.make(read, "rate", attention_share=0, seed=1)) == 6
    assert questions.alike(read) == {json.dumps([STRONG, WEAK]): 1}
    with pytest.raises(InputError, match="there is nothing to compare: all answers to a prompt are the same"):
        questions.make(read[:1], "compare", attention_share=0, seed=1)


@pytest.mark.parametrize("mode", ["compare", "rate"])
def test_planted_questions_have_their_share_and_a_known_judgment(tmp_path: Path, mode: questions.Mode) -> None:
    read = items.read(write(tmp_path / "a.jsonl", rows(20)))
    made = questions.make(read, mode, attention_share=0.2, seed=3)
    planted = [question for question in made if question.planted]
    assert len(planted) / len(made) == pytest.approx(0.2, abs=0.02)
    assert made == questions.make(read, mode, attention_share=0.2, seed=3)
    assert {question.planted for question in planted} == {questions.ANOTHER, questions.SHUFFLED}
    for question in planted:
        own, spoiled = question.item.answers.values(), question.texts[-1]
        assert spoiled not in own
        if question.planted == questions.ANOTHER:
            assert any(spoiled in item.answers.values() for item in read)
        else:
            assert sorted(spoiled.split()) in [sorted(text.split()) for text in own]
        if mode == "compare":
            assert question.texts[0] == question.item.answers[question.models[0]]


def test_scripts_without_spaces_are_shuffled_by_characters(tmp_path: Path) -> None:
    row = {**rows(1)[0], "language": "ja", "answers": {"a": "パンを焼くには粉と水が要る", "b": "粉"}}
    read = items.read(write(tmp_path / "a.jsonl", [row]))
    (planted,) = [
        question for question in questions.make(read, "rate", attention_share=0.1, seed=1) if question.planted
    ]
    assert sorted(planted.texts[0]) == sorted(row["answers"]["a"])


def test_where_nothing_can_be_planted_it_is_told(tmp_path: Path) -> None:
    read = items.read(write(tmp_path / "a.jsonl", [{**rows(1)[0], "answers": {"a": "tak", "b": "nie"}}]))
    with pytest.raises(InputError, match=r"no attention check can be made(.|\n)*--attention 0"):
        questions.make(read, "compare", attention_share=0.1, seed=1)

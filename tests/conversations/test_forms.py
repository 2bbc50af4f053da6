"""Every form, by the smallest rows that have it."""

import json
import random
import re
from pathlib import Path
from typing import Any

import pytest

from lingraft.ask.message import ASSISTANT, SYSTEM, USER, Message
from lingraft.conversations.checks import texts
from lingraft.conversations.forms import FORMS, form_of, records
from lingraft.conversations.record import Conversation, Preference, Record, Verdict
from lingraft.conversations.turns import turn
from lingraft.corpus.document import Unusable

ASKED, SAID = Message(USER, "Q"), Message(ASSISTANT, "A")
Q, A, B = ({"role": role, "content": text} for role, text in (("user", "Q"), ("assistant", "A"), ("assistant", "B")))
HUMAN, GPT, OTHER = ({"from": role, "value": text} for role, text in (("human", "Q"), ("gpt", "A"), ("gpt", "B")))
SYSTEM_TURN = Message(SYSTEM, "S")


def read(row: dict[str, Any]) -> list[Record]:
    return records(row, form_of(row))


@pytest.mark.parametrize(
    ("form", "row", "messages"),
    [
        ("alpaca", {"instruction": "Q", "output": "A"}, (ASKED, SAID)),
        ("alpaca", {"instruction": "Q", "input": "", "output": "A", "text": "both"}, (ASKED, SAID)),
        ("alpaca", {"instruction": "Q", "input": "x", "output": "A"}, (Message(USER, "Q\nx"), SAID)),
        ("alpaca", {"instruction": "", "input": "x", "output": "A"}, (Message(USER, "x"), SAID)),
        ("alpaca", {"instruction": "Q", "input": "<noinput>", "output": "A"}, (ASKED, SAID)),
        ("alpaca", {"instruction": "Q", "input": "`< No input >`", "output": "A"}, (ASKED, SAID)),
        ("alpaca", {"instruction": "Q", "input": "（无输入）", "output": "A"}, (ASKED, SAID)),
        ("alpaca", {"instruction": "Q", "input": "(none)", "output": "A"}, (Message(USER, "Q\n(none)"), SAID)),
        ("alpaca", {"instruction": "Q", "context": "c", "response": "A"}, (Message(USER, "Q\nc"), SAID)),
        ("alpaca", {"instruction": "Q", "output": "A", "system": "S"}, (SYSTEM_TURN, ASKED, SAID)),
        ("alpaca", {"instruction": "Q", "output": "A", "history": [["Q", "A"]]}, (ASKED, SAID, ASKED, SAID)),
        ("seed_tasks", {"instruction": "Q", "instances": [{"input": "", "output": "A"}]}, (ASKED, SAID)),
        ("prompt_completion", {"prompt": "Q", "completion": "A"}, (ASKED, SAID)),
        ("prompt_completion", {"prompt": [Q], "completion": [A]}, (ASKED, SAID)),
        ("prompt_completion", {"question": "Q", "answer": "A"}, (ASKED, SAID)),
        ("messages", {"messages": [Q, A]}, (ASKED, SAID)),
        ("messages", {"id": "7", "messages": [Q, A], "label": None}, (ASKED, SAID)),
        ("messages", {"messages": [{"role": "developer", "content": "S"}, Q, A]}, (SYSTEM_TURN, ASKED, SAID)),
        (
            "messages",
            {"messages": [{"role": "user", "content": [{"type": "text", "text": "Q"}, "x"]}, A]},
            (Message(USER, "Q\n\nx"), SAID),
        ),
        ("messages", {"messages": [{"role": "user", "content": None}, A]}, (Message(USER, ""), SAID)),
        ("sharegpt", {"conversations": [HUMAN, GPT]}, (ASKED, SAID)),
        ("sharegpt", {"conversations": [HUMAN, GPT], "system": "S", "tools": "[]"}, (SYSTEM_TURN, ASKED, SAID)),
        (
            "sharegpt",
            {"conversations": [{"from": "system", "value": "S"}, HUMAN, GPT], "system": "other"},
            (SYSTEM_TURN, ASKED, SAID),
        ),
    ],
)
def test_a_conversation(form: str, row: dict[str, Any], messages: tuple[Message, ...]) -> None:
    assert form_of(row) == form
    assert read(row) == [Conversation("", messages)]


@pytest.mark.parametrize(
    ("form", "row", "prompt"),
    [
        ("preference", {"prompt": "Q", "chosen": "A", "rejected": "B"}, (ASKED,)),
        ("preference", {"prompt": [Q], "chosen": [A], "rejected": [B]}, (ASKED,)),
        ("preference", {"prompt": "Q", "chosen": [Q, A], "rejected": [Q, B]}, (ASKED,)),
        ("preference", {"prompt": [Q], "chosen": [Q, A], "rejected": [Q, B]}, (ASKED,)),
        ("preference", {"prompt": "Q", "chosen": [Q, A, Q, A], "rejected": [Q, A, Q, B]}, (ASKED, SAID, ASKED)),
        ("preference", {"prompt": "\n\nHuman: Q\n\nAssistant:", "chosen": "A", "rejected": "B"}, (ASKED,)),
        ("preference", {"system": "S", "question": "Q", "chosen": "A", "rejected": "B"}, (SYSTEM_TURN, ASKED)),
        (
            "preference",
            {"instruction": "Q", "input": "x", "chosen": "A", "rejected": "B"},
            (Message(USER, "Q\nx"),),
        ),
        ("hh", {"chosen": "\n\nHuman: Q\n\nAssistant: A", "rejected": "\n\nHuman: Q\n\nAssistant: B"}, (ASKED,)),
        (
            "hh",
            {
                "chosen": "\n\nHuman: Q\n\nAssistant: A\n\nHuman: Q\n\nAssistant: A",
                "rejected": "\n\nHuman: Q\n\nAssistant: A\n\nHuman: Q\n\nAssistant: B",
            },
            (ASKED, SAID, ASKED),
        ),
        ("hh", {"chosen": [Q, A], "rejected": [Q, B]}, (ASKED,)),
        ("sharegpt_preference", {"conversations": [HUMAN], "chosen": GPT, "rejected": OTHER}, (ASKED,)),
        (
            "scored",
            {
                "instruction": "Q",
                "completions": [
                    {"response": "x", "overall_score": 5},
                    {"response": "A", "overall_score": 8.5},
                    {"response": "none", "overall_score": None},
                    {"response": "B", "overall_score": "2"},
                ],
            },
            (ASKED,),
        ),
    ],
)
def test_a_preference(form: str, row: dict[str, Any], prompt: tuple[Message, ...]) -> None:
    assert form_of(row) == form
    assert read(row) == [Preference("", prompt, "A", "B")]


@pytest.mark.parametrize(
    ("form", "row"),
    [
        ("kto", {"messages": [Q, A], "label": True}),
        ("kto", {"conversations": [HUMAN, GPT], "kto_tag": True}),
        ("kto_prompt", {"prompt": "Q", "completion": "A", "label": 1}),
        ("kto_prompt", {"prompt": [Q], "completion": [A], "label": True}),
    ],
)
def test_a_verdict(form: str, row: dict[str, Any]) -> None:
    assert form_of(row) == form
    assert read(row) == [Verdict("", (ASKED,), "A", True)]
    assert read(row | {"label": False, "kto_tag": False})[0].good is False


@pytest.mark.parametrize(
    "record",
    [
        Conversation("1", (SYSTEM_TURN, ASKED, SAID)),
        Preference("1", (SYSTEM_TURN, ASKED, SAID, ASKED), "A", "B"),
        Verdict("1", (ASKED,), "A", False),
    ],
)
def test_what_a_stage_wrote_is_read_again(record: Record) -> None:
    (found,) = read(json.loads(json.dumps(record.as_json())))
    assert found.as_json() | {"id": "1"} == record.as_json()


def test_a_seed_task_may_have_several_cases() -> None:
    cases = [{"input": "x", "output": "A"}, {"input": "", "output": "B"}]
    assert [found.answers for found in read({"instruction": "Q", "instances": cases})] == [("A",), ("B",)]


@pytest.mark.parametrize(
    ("row", "reason", "detail"),
    [
        ({"text": "x", "meta": 1}, "no known form", "it has the keys text, meta"),
        ({"instruction": "Q", "instances": []}, "no known form", "nothing is in it"),
        ({"instruction": "Q", "instances": [1]}, "no list of turns", "no list of objects"),
        ({"instruction": "Q", "output": "A", "history": ["x"]}, "no list of turns", "`history` is no list"),
        ({"instruction": "Q", "output": {"a": 1}}, "more than text", "dict"),
        ({"messages": []}, "no list of turns", "but nothing"),
        ({"messages": "Q"}, "no list of turns", "but str"),
        ({"messages": [1]}, "no list of turns", "a turn is int"),
        ({"messages": [Q, {"role": "tool", "content": "x"}]}, "uses tools", ""),
        ({"messages": [Q, {"role": "assistant", "content": None, "tool_calls": [{}]}]}, "uses tools", ""),
        ({"conversations": [HUMAN, {"from": "observation", "value": "x"}]}, "uses tools", ""),
        ({"conversations": [HUMAN, GPT], "tools": '[{"name": "f"}]'}, "uses tools", ""),
        ({"messages": [{"role": "narrator", "content": "x"}]}, "a role that is not known", "'narrator'"),
        ({"messages": [{"content": "x"}]}, "a role that is not known", "None"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, "more than text", "image_url"),
        ({"chosen": "A", "rejected": [Q, B]}, "the two answers follow different prompts", ""),
        ({"prompt": "Q", "chosen": [Q, A], "rejected": [A, B]}, "the two answers follow different prompts", ""),
        ({"chosen": "\n\nHuman: Q", "rejected": "x\n\nHuman: Q"}, "the two answers follow", ""),
        ({"prompt": "Q", "completions": [{"response": "A", "score": 1}]}, "no answer scored better", ""),
        ({"prompt": "Q", "completions": [{"score": float("nan")}, {"score": 1}]}, "no answer scored better", ""),
        ({"prompt": "Q", "completions": ["A", "B"]}, "no list of turns", "no list of objects"),
        ({"messages": [Q, A], "label": "good"}, "the label is neither true nor false", "'good'"),
    ],
)
def test_a_row_that_holds_none(row: dict[str, Any], reason: str, detail: str) -> None:
    with pytest.raises(Unusable) as error:
        read(row)
    assert error.value.reason.startswith(reason)
    assert detail in error.value.detail


def test_a_form_given_by_name_must_fit() -> None:
    row = {"instruction": "Q", "output": "A", "messages": [Q, A]}
    assert form_of(row) == "messages"
    assert records(row, "alpaca") == [Conversation("", (ASKED, SAID))]
    with pytest.raises(Unusable) as error:
        records(row, "kto")
    assert error.value.detail == "as kto it needs messages|conversations and label|kto_tag"


def test_an_answer_of_nobody_is_left_empty_for_the_checks() -> None:
    assert read({"messages": [Q], "label": True}) == [Verdict("", (ASKED,), "", True)]
    assert read({"chosen": [Q, A, Q], "rejected": [Q, A, Q]})[0].chosen == ""


def test_no_row_of_json_breaks_a_reader() -> None:
    """Whatever stands under the keys, a reader answers with records or Unusable."""
    draw = random.Random(5)
    more = ["input", "history", "system", "tools", "context", "instruction", "prompt", "chosen", "rejected"]
    inner = [Q, A, HUMAN, GPT, {"role": {}, "content": 1}, {"from": []}, {"tool_calls": 1}, {}, None, 1, "x", [], [[]]]
    inner += [{"response": "A", "score": 1}, {"response": 3, "score": [1]}, {"input": 1, "output": None}]
    inner += ["\n\nHuman: Q\n\nAssistant: A", "Human: ", True, 0.5]
    read_rows = 0
    for form in list(FORMS.values()) * 300:
        names = [*draw.sample(more, 2), *(draw.choice(key.split("|")) for key in form.keys)]
        row = {name: draw.choice([draw.choice(inner), draw.sample(inner, 3), "x"]) for name in names}
        try:
            found = read(row)
        except Unusable:
            continue
        read_rows += 1
        assert all(isinstance(record, Conversation | Preference | Verdict) for record in found)
        assert all(isinstance(text, str) for record in found for text in texts(record))
    assert read_rows > 50


def test_the_page_shows_every_form() -> None:
    page = (Path(__file__).parents[2] / "docs" / "conversations.md").read_text(encoding="utf-8")
    table = re.findall(r"^\| `(\w+)` \| (.*?) \| ", page, re.M)
    assert table == [
        (name, ", ".join(f"`{key}`" for key in form.keys).replace("|", r"\|")) for name, form in FORMS.items()
    ]
    (examples,) = re.findall(r"```jsonl\n(.*?)```", page, re.S)
    rows = [json.loads(line) for line in examples.splitlines()]
    assert [form_of(row) for row in rows] == list(FORMS)
    assert all(read(row) for row in rows)


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"weight": 0}, "has turns that are not to be learned from"),
        ({"reasoning_content": "hm"}, "has reasoning apart"),
    ],
)
def test_turns_that_are_more_than_their_text(more: dict, why: str) -> None:
    with pytest.raises(Unusable, match=why):
        turn({"role": "assistant", "content": "Tak.", **more})

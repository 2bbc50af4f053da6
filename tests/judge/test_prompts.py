"""Prompts from files and from held-out conversations, and what is wrong with them."""

import gzip
import json
from pathlib import Path

import pytest

from lingraft.ask.message import Message
from lingraft.core.errors import InputError
from lingraft.judge.prompts import HELD_OUT, Prompt, read

USER = {"role": "user", "content": "Ile nóg ma pająk?"}
ASSISTANT = {"role": "assistant", "content": "Osiem."}
ASKED = (Message("user", "Ile nóg ma pająk?"),)


def written(folder: Path, *rows: object, name: str = "prompts.jsonl") -> Path:
    file = folder / name
    text = "".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows)
    file.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
    return file


@pytest.mark.parametrize("name", ["prompts.jsonl", "prompts.jsonl.gz"])
def test_every_form(tmp_path: Path, name: str) -> None:
    again = {"role": "user", "content": "A mucha?"}
    rows = [
        {"prompt": "Ile nóg ma pająk?"},
        "",
        {"id": "b", "prompt": [USER], "reference": "Osiem."},
        {"id": "c", "messages": [USER, ASSISTANT]},
        {"id": "d", "messages": [USER, ASSISTANT, again]},
        {"id": "e", "prompt": [USER], "chosen": "Osiem.", "rejected": "Sześć."},
        {"id": "f", "prompt": [USER], "answer": "Osiem.", "good": True},
        {"id": "g", "prompt": [USER], "answer": "Sześć.", "good": False},
    ]
    assert read(written(tmp_path, *rows, name=name)) == [
        Prompt("1", ASKED),
        Prompt("b", ASKED, "Osiem."),
        Prompt("c", ASKED, "Osiem."),
        Prompt("d", (*ASKED, Message("assistant", "Osiem."), Message("user", "A mucha?"))),
        Prompt("e", ASKED, "Osiem."),
        Prompt("f", ASKED, "Osiem."),
        Prompt("g", ASKED),
    ]


def test_held_out_conversations_of_an_artifact(tmp_path: Path) -> None:
    written(tmp_path, *({"id": str(n), "messages": [USER, ASSISTANT]} for n in range(10)), name=HELD_OUT)
    assert len(read(tmp_path)) == 10
    assert [prompt.id for prompt in read(tmp_path, 5)] == ["0", "2", "4", "6", "8"]
    assert len(read(tmp_path, 50)) == 10


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ('{"prompt": ', r":2: this is not JSON: .*\n  A line has the form"),
        ([1], 'neither "prompt" nor "messages"'),
        ({"text": "x"}, 'neither "prompt" nor "messages"'),
        ({"prompt": 3}, "neither a text nor a list"),
        ({"prompt": "  "}, "this is no turn"),
        ({"prompt": [{"role": "bot", "content": "x"}]}, r'this is no turn: \{"role": "bot"'),
        ({"prompt": [{"role": "user", "content": None}]}, "this is no turn"),
        ({"messages": [ASSISTANT]}, "no user says anything"),
        ({"messages": []}, "no user says anything"),
        ({"prompt": [USER, ASSISTANT]}, "does not end with the user's turn"),
        ({"prompt": [USER], "reference": 3}, "the reference is no text"),
        ({"id": "1", "prompt": "x"}, 'the id "1" occurs twice'),
        ({"id": " ", "prompt": "x"}, r":2: the id is blank or has control characters\."),
        ({"id": "a\tb", "prompt": "x"}, "the id is blank or has control characters"),
        ({"id": "\ud83d", "prompt": "x"}, "the id is blank or has control characters"),
        ({"prompt": "x \ud83d"}, r":2: a text has half a character \(half a surrogate pair, such as \\ud83d\)"),
        ({"prompt": "x", "reference": "\udc00"}, "a text has half a character"),
    ],
)
def test_a_line_that_is_no_prompt(tmp_path: Path, row: object, said: str) -> None:
    with pytest.raises(InputError, match=said):
        read(written(tmp_path, {"prompt": "x"}, row))


def test_a_file_that_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"the prompts cannot be read: .*No such file"):
        read(tmp_path / "no.jsonl")
    (tmp_path / "x.jsonl.gz").write_bytes(b"no gzip")
    with pytest.raises(InputError, match=r"the prompts cannot be read: .*[Gg]zip"):
        read(tmp_path / "x.jsonl.gz")
    (tmp_path / "x.jsonl").write_bytes(b"\xff\xfe")
    with pytest.raises(InputError, match=r"the prompts cannot be read: .*utf-8"):
        read(tmp_path / "x.jsonl")
    with pytest.raises(InputError, match="there are no prompts in it"):
        read(written(tmp_path, ""))

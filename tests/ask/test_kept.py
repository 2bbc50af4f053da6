import fcntl
import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from loopback import Handler, endpoint

from lingraft.ask.endpoint import Endpoint
from lingraft.ask.kept import Kept
from lingraft.ask.message import USER, Message, Messages
from lingraft.ask.respondent import Reply
from lingraft.core.errors import StoreError
from lingraft.core.progress import SILENT, Progress


class Counting:
    """Answers with the text itself, fails where that begins with `bad`, and remembers what it was asked."""

    name = "counting"

    def __init__(self, identity: str = "a") -> None:
        self.identity = identity
        self.asked: list[list[str]] = []

    def reply(self, asked: Sequence[Messages], *, progress: Progress = SILENT) -> list[Reply]:
        texts = [messages[-1].content for messages in asked]
        self.asked.append(texts)
        return [
            Reply("", "It is bad.") if text.startswith("bad") else Reply(f"<{text}>", None, (1, 2)) for text in texts
        ]


def questions(*texts: str) -> list[Messages]:
    return [(Message(USER, text),) for text in texts]


def test_nothing_is_asked_twice(tmp_path: Path) -> None:
    model = Counting()
    kept = Kept(model, tmp_path / "deep" / "kept.jsonl", batch=2)
    first = kept.reply(questions("a", "b", "a", "bad", "ż"))
    assert [reply.text for reply in first] == ["<a>", "<b>", "<a>", "", "<ż>"]
    assert model.asked == [["a", "b"], ["bad", "ż"]]
    again = Counting()
    assert Kept(again, tmp_path / "deep" / "kept.jsonl").reply(questions("a", "b", "a", "bad", "ż")) == first
    assert again.asked == [["bad"]]  # failures are not kept
    other = Counting("b")
    Kept(other, tmp_path / "deep" / "kept.jsonl").reply(questions("a"))
    assert other.asked == [["a"]]


def test_half_a_last_line_is_dropped_and_asked_again(tmp_path: Path) -> None:
    file = tmp_path / "kept.jsonl"
    Kept(Counting(), file).reply(questions("a", "b"))
    whole = file.read_bytes()
    for size in range(len(whole) - 1, len(whole) // 2 + 1, -7):
        file.write_bytes(whole[:size])
        model = Counting()
        assert [reply.text for reply in Kept(model, file).reply(questions("a", "b"))] == ["<a>", "<b>"]
        assert model.asked == [["b"]]
        assert file.read_bytes() == whole


def test_two_processes_share_a_file(tmp_path: Path) -> None:
    """What one has written half by now is not cut off by another that begins."""
    file = tmp_path / "kept.jsonl"
    Kept(Counting(), file).reply(questions("a"))
    whole = file.read_bytes()
    with file.open("ab") as writing:
        fcntl.flock(writing, fcntl.LOCK_EX)
        writing.write(b'{"key": ')
        writing.flush()
        other = subprocess.Popen([sys.executable, "-c", OTHER, str(file)], stdout=subprocess.PIPE, text=True)
        assert other.stdout is not None
        assert other.stdout.readline() == "ready\n"
        writing.write(b'"x", "text": "y", "tokens": null}\n')
    assert other.communicate()[0] == "2\n"
    assert file.read_bytes().startswith(whole + b'{"key": "x"')


def test_half_a_line_that_another_process_left_later(tmp_path: Path) -> None:
    file = tmp_path / "kept.jsonl"
    first = Kept(Counting(), file)
    first.reply(questions("a"))
    with file.open("ab") as killed:
        killed.write(b'{"key": "x", "text": "' + b"y" * 200_000)
    first.reply(questions("b"))
    assert len(file.read_bytes().splitlines()) == 2
    again = Counting()
    Kept(again, file).reply(questions("a", "b"))
    assert again.asked == []


def test_another_damaged_line_is_told(tmp_path: Path) -> None:
    file = tmp_path / "kept.jsonl"
    Kept(Counting(), file).reply(questions("a", "b"))
    first, second = file.read_text().splitlines()
    for damaged in (first[:20], "5", json.dumps({"key": "x"})):
        file.write_text(f"{damaged}\n{second}\n")
        with pytest.raises(StoreError, match=r"kept.jsonl:1: this line of kept answers is damaged"):
            Kept(Counting(), file)


def test_a_bar_goes_over_all_batches(tmp_path: Path) -> None:
    class Bar(Progress):
        starts: list[tuple[str, float | None]] = []  # noqa: RUF012
        done = 0.0

        def start(self, what: str, total: float | None = None, unit: str = "") -> None:
            self.starts.append((what, total))

        def advance(self, amount: float = 1) -> None:
            self.done += amount

    with endpoint(lambda handler, _, body: handler.say(body["messages"][0]["content"])) as server:
        bar = Bar()
        model = Endpoint(server.address, "tiny")
        Kept(model, tmp_path / "kept.jsonl", batch=2).reply(questions("a"))
        Kept(model, tmp_path / "kept.jsonl", batch=2).reply(questions(*"abcde"), progress=bar)
    assert bar.starts == [("asking tiny", 5)]
    assert bar.done == 5


OTHER = """
import sys
from pathlib import Path
from lingraft.ask.kept import Kept
class Silent:
    name = identity = "a"
print("ready", flush=True)
print(len(Kept(Silent(), Path(sys.argv[1]))._known))
"""
CODE = """
import sys
from pathlib import Path
from typing import Any
from lingraft.ask.endpoint import Endpoint
from lingraft.ask.kept import Kept
from lingraft.ask.message import USER, Message
address, file = sys.argv[1:]
kept = Kept(Endpoint(address, "tiny", at_once=2), Path(file), batch=4)
for reply in kept.reply([(Message(USER, str(n)),) for n in range(20)]):
    print(reply.text)
"""


def test_killed_in_the_middle_and_gone_on(tmp_path: Path) -> None:
    """The twelfth question kills the process that asks it."""
    running: list[subprocess.Popen[str]] = []
    killed: list[bool] = []

    def answer(handler: Handler, _: int, body: dict[str, Any]) -> None:
        text = body["messages"][0]["content"]
        if text == "11" and not killed:
            killed.append(True)
            os.kill(running[0].pid, signal.SIGKILL)
            running[0].wait()
        handler.say(f"number {text}")

    with endpoint(answer) as server:
        command = [sys.executable, "-c", CODE, server.address, str(tmp_path / "kept.jsonl")]
        running.append(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
        output, _ = running[0].communicate()
        assert running[0].returncode == -signal.SIGKILL
        assert output == ""
        before = [body["messages"][0]["content"] for body in server.seen]
        again = subprocess.run(command, capture_output=True, text=True, check=True)
        after = [body["messages"][0]["content"] for body in server.seen[len(before) :]]
    assert again.stdout.splitlines() == [f"number {n}" for n in range(20)]
    assert sorted(map(int, after)) == list(range(8, 20))  # the two whole batches before are not asked again

"""`lingraft judge`: links, exports, results and deletion on the command line."""

import json
import os
import pty
import re
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import Result
from judging import begin, rows, write
from typer.testing import CliRunner

from lingraft.cli import app
from lingraft.judge.human import database, export
from lingraft.judge.human.ballots import Ballots


@pytest.fixture
def ballots(tmp_path: Path) -> Path:
    """A file with the votes of one annotator, called anna."""
    kept, _ = begin(tmp_path, rows(2))
    annotator = kept.annotator(kept.invite("anna")[1])
    state = kept.state(annotator, 2)
    said = {"choice": "left", "comment": "dobrze", "seconds": 3.0}
    kept.vote(annotator, 2, key="0" * 32, question=state.given.question, **said)
    kept.database.close()
    return tmp_path / "ballots.sqlite"


def call(*arguments: object, exit_code: int = 0, typed: str | None = None) -> Result:
    result = CliRunner().invoke(app, ["judge", *map(str, arguments)], input=typed)
    assert result.exit_code == exit_code, result.output
    return result


def test_links_are_printed_once_and_work(ballots: Path) -> None:
    told = call("links", ballots, "--count", 2, "--url", "https://judge.example.org/").stdout
    links = re.findall(r"^(\S+)  https://judge.example.org/#(\S{32})$", told, re.MULTILINE)
    assert [name for name, _ in links] == ["annotator-2", "annotator-3"]
    kept = Ballots(ballots)
    assert None not in [kept.annotator(token) for _, token in links]
    named = call("links", ballots, "--name", "ewa").stdout
    assert re.fullmatch(r"ewa  http://127.0.0.1:8450/#\S{32}\n", named)
    renewed = call("links", ballots, "--renew", "ewa").stdout
    assert kept.annotator(named.split("#")[1].strip()) is None
    assert kept.annotator(renewed.split("#")[1].strip()) is not None


def test_votes_are_exported_and_counted(ballots: Path, tmp_path: Path) -> None:
    (line,) = call("export", ballots).stdout.splitlines()
    row = json.loads(line)
    assert row["better"] == row["shown"][0]
    assert (row["annotator"], row["choice"], row["comment"], row["seconds"]) == ("anna", "left", "dobrze", 3.0)
    assert (row["attention"], row["earlier"]) == (None, [])
    to = tmp_path / "votes.jsonl"
    assert call("export", ballots, "--to", to).stdout == f"1 votes in {to}\n"
    assert to.read_text() == line + "\n"
    assert json.loads(call("results", ballots).stdout)["pairs"][0]["num_votes"] == 1


@pytest.mark.parametrize("end", ["", "-wal", "-shm"])
@pytest.mark.parametrize("by_link", [False, True])
def test_an_export_is_not_written_over_the_ballots(ballots: Path, tmp_path: Path, end: str, by_link: bool) -> None:
    before, to = ballots.read_bytes(), Path(f"{ballots}{end}")
    if by_link:
        (tmp_path / "link").symlink_to(to)
        to = tmp_path / "link"
    assert "the votes would be written over the ballots" in call("export", ballots, "--to", to, exit_code=2).stderr
    assert ballots.read_bytes() == before


def test_an_export_is_written_whole_and_for_its_owner_alone(ballots: Path, tmp_path: Path) -> None:
    to = tmp_path / "votes.jsonl"
    to.write_text("earlier")
    call("export", ballots, "--to", to)
    assert to.stat().st_mode & 0o777 == 0o600
    assert json.loads(to.read_text())["annotator"] == "anna"
    assert {path.name for path in tmp_path.iterdir()} == {"votes.jsonl", "answers.jsonl", "ballots.sqlite"}
    (tmp_path / "folder").mkdir()
    told = call("export", ballots, "--to", tmp_path / "folder", exit_code=2).stderr
    assert "this is no file that could be written" in told
    written = to.read_text()
    with pytest.raises(KeyboardInterrupt):
        export.write(_stopped(), to, ballots=ballots)
    assert to.read_text() == written
    assert len(list(tmp_path.iterdir())) == 4


def _stopped() -> Iterator[str]:
    yield "half"
    raise KeyboardInterrupt


def test_what_an_annotator_wrote_does_not_steer_a_terminal(tmp_path: Path) -> None:
    comment = "zły\x7f \u009b31m\u202e \U000e0041 \u2028"
    kept, _ = begin(tmp_path, rows(1))
    annotator = kept.annotator(kept.invite("anna")[1])
    question = kept.state(annotator, 2).given.question
    kept.vote(annotator, 2, key="0" * 32, question=question, choice="tie", comment=comment, seconds=1.0)
    kept.database.close()
    master, slave = pty.openpty()
    command = [sys.executable, "-m", "lingraft", "judge", "export", str(tmp_path / "ballots.sqlite")]
    subprocess.run(command, stdout=slave, check=True)
    os.close(slave)
    shown = os.read(master, 1 << 16).decode()
    os.close(master)
    assert r"zły\u007f \u009b31m\u202e \udb40\udc41 \u2028" in shown
    assert json.loads(shown)["comment"] == comment
    assert json.loads(call("export", tmp_path / "ballots.sqlite").stdout)["comment"] == comment
    assert comment in call("export", tmp_path / "ballots.sqlite").stdout


def test_an_annotator_is_deleted(ballots: Path) -> None:
    assert call("delete", ballots, "--annotator", "anna", typed="n\n", exit_code=1).output.startswith(
        "Delete everything"
    )
    assert call("delete", ballots, "--annotator", "anna", "--yes").stdout == "deleted anna: 1 votes\n"
    assert call("delete", ballots, "--all", "--yes").stdout == "deleted every annotator: 0 votes\n"
    assert call("export", ballots).stdout == ""


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["serve", "none.jsonl"], "none.jsonl: the answers cannot be read: No such file or directory."),
        (["serve", "one.jsonl"], 'one.jsonl:1: the item "item-1" has answers of 1 model(s); a comparison needs two.'),
        (
            ["serve", "answers.jsonl", "--ballots", "ballots.sqlite", "--mode", "rate", "--attention", "0"],
            "begun with mode",
        ),
        (
            ["serve", "other.jsonl", "--ballots", "ballots.sqlite", "--attention", "0"],
            "it holds votes on other answers.",
        ),
        (
            ["serve", "answers.jsonl", "--port", "TAKEN"],
            "Address already in use.\n  Another server may be running there",
        ),
        (["serve", "answers.jsonl", "--host", "no.such.host.invalid"], "nothing can be served at no.such.host.invalid"),
        (
            ["serve", "answers.jsonl", "--host", "0.0.0.0"],
            "0.0.0.0 is every address of this machine, and links need one.",
        ),
        (["serve", "answers.jsonl", "--url", "judge.example.org"], '"judge.example.org" is no address of a page.'),
        (["links", "none.sqlite"], "none.sqlite: there are no ballots here."),
        (["links", "answers.jsonl"], "answers.jsonl: this is no file of ballots"),
        (["links", "ballots.sqlite", "--name", "anna"], 'there is an annotator "anna" already.'),
        (
            ["links", "ballots.sqlite", "--name", "x", "--renew", "anna"],
            "--count, --name and --renew go one at a time.",
        ),
        (
            ["export", "ballots.sqlite", "--to", "no/folder.jsonl"],
            "the votes cannot be written: No such file or directory.",
        ),
        (["delete", "ballots.sqlite"], "it is not said whose votes."),
        (
            ["delete", "ballots.sqlite", "--annotator", "ewa", "--yes"],
            'there is no annotator "ewa".\n  There are: anna.',
        ),
    ],
)
def test_mistakes_are_told(
    ballots: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], told: str
) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "other.jsonl", rows(3))
    one = rows(1)[0]
    write(tmp_path / "one.jsonl", [one | {"answers": {"a": one["answers"].popitem()[1]}}])
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        result = call(*(port if argument == "TAKEN" else argument for argument in arguments), exit_code=2)
    assert told in result.stderr


@pytest.mark.parametrize(
    "arguments",
    [["links", "FILE"], ["delete", "FILE", "--annotator", "anna", "--yes"], ["serve", "ANSWERS", "--ballots", "FILE"]],
)
def test_ballots_that_another_process_holds_are_told(
    ballots: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    monkeypatch.setattr(database, "_BUSY_SECONDS", 0)
    places = {"FILE": ballots, "ANSWERS": ballots.with_name("answers.jsonl")}
    other = sqlite3.connect(ballots, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    told = call(*(places.get(word, word) for word in arguments), exit_code=2).stderr
    other.close()
    assert f"{ballots}: the ballots cannot be opened or written: database is locked." in told
    assert "Try again when no other process holds them" in told
    assert call("links", ballots).stdout.startswith("annotator-2  ")


@pytest.mark.parametrize("named", [False, True])
def test_ballots_do_not_lie_in_an_artifact(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, named: bool) -> None:
    artifact = tmp_path / "store" / "judgement"
    artifact.mkdir(parents=True)
    (artifact / "artifact.json").write_text("{}")
    write(artifact / "answers.jsonl", rows(2))
    (tmp_path / "run").symlink_to(artifact)
    monkeypatch.chdir(tmp_path)
    more = ["--ballots", "run/mine.sqlite"] if named else []
    told = call("serve", "run/answers.jsonl", *more, exit_code=2).stderr
    assert "the ballots would lie in a finished artifact of the store" in told
    assert f"--ballots {'mine' if named else 'answers.compare'}.sqlite" in told
    assert len(list(artifact.iterdir())) == 2


def test_other_hosts_are_warned_of_and_an_end_is_an_end(tmp_path: Path) -> None:
    answers = write(tmp_path / "answers.jsonl", rows(30))
    command = [sys.executable, "-m", "lingraft", "judge", "serve", str(answers), "--host", "0.0.0.0", "--port", "0"]
    command += ["--url", "https://judge.example.org"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    told = [process.stdout.readline() for _ in range(3)]
    process.terminate()
    _, warned = process.communicate()
    assert told[0].startswith("32 questions from ")  # 30 and two that are planted
    assert told[1].startswith("annotator-1  https://judge.example.org/#")
    assert told[2].startswith("serving at https://judge.example.org;")
    assert warned.startswith("warning: 0.0.0.0 can be reached from other machines")
    assert "Traceback" not in warned
    more = call("links", tmp_path / "answers.compare.sqlite").stdout  # the address is remembered
    assert more.startswith("annotator-2  https://judge.example.org/#")

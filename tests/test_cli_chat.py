"""`lingraft chat` on the command line: one question, a pipe, and a terminal."""

import json
import os
import pty
import select
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import Result
from scripted import save_scripted
from typer.testing import CliRunner

from lingraft.ask.pieces import Piece, Pieces
from lingraft.cli import app


@pytest.fixture(autouse=True)
def _somewhere_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def model(tiny_base: Path, tmp_path: Path) -> Path:
    return save_scripted(tiny_base, tmp_path / "one", "abc żó")


def call(*arguments: object, typed: str = "", exit_code: int = 0) -> Result:
    result = CliRunner().invoke(app, ["chat", *map(str, arguments)], input=typed)
    assert result.exit_code == exit_code, result.output
    return result


def test_one_question(model: Path) -> None:
    result = call("one", "--prompt", "Hi", "--temperature", 0)
    assert result.stdout == "abc żó\n"
    assert result.stderr.endswith(" bytes a token\n")
    assert call("one", "--prompt", "Hi", "--temperature", 0, "--max-new-tokens", 2).stdout == "ab\n"


def test_two_models_one_after_the_other(model: Path, tiny_base: Path, tmp_path: Path) -> None:
    save_scripted(tiny_base, tmp_path / "base", "xyz")
    told = call("one", "--against", "base", "--prompt", "Hi", "--system", "Be brief.", "--temperature", 0)
    assert told.stdout == "base\nxyz\none\nabc żó\n"
    assert told.stderr.count("bytes a token") == 2


def test_what_is_no_utf_8(model: Path) -> None:
    told = CliRunner().invoke(app, ["chat", "one"], input=b"x \xff")
    assert (told.exit_code, told.stderr.partition("\n")[0]) == (2, "the text is no UTF-8.")
    for options in (["--prompt", "x \udcff"], ["--prompt", "x", "--system", "\udcff"]):
        assert call("one", *options, exit_code=2).stderr.startswith("the text is no UTF-8.")


def test_what_a_template_says_cannot_steer_the_terminal(model: Path) -> None:
    (model / "chat_template.jinja").write_text("{{ raise_exception('\\x1b]0;pwned\\x07') }}", encoding="utf-8")
    told = call("one", "--prompt", "Hi", exit_code=2).stderr
    assert "␛]0;pwned␇" in told
    assert "\x1b" not in told


def test_tokens_are_shown(model: Path) -> None:
    assert call("one", "--prompt", "Hi", "--temperature", 0, "--tokens").stdout == "a│b│c│ │ż│ó\n"


def test_what_a_run_calls_new_is_new(model: Path, tiny_base: Path, tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    from lingraft.ask.speaker import new_ids

    tokenizer = AutoTokenizer.from_pretrained(model)
    assert new_ids(model, tokenizer, None) == frozenset()
    (model / "artifact.json").write_text(json.dumps({"figures": {"new_ids": [[3, 5], [9, 10]]}}), encoding="utf-8")
    assert new_ids(model, tokenizer, None) == {3, 4, 9}
    other = AutoTokenizer.from_pretrained(tiny_base)
    assert new_ids(model, tokenizer, other) == frozenset()
    tokenizer.add_tokens(["Zażółć"])
    assert new_ids(model, tokenizer, other) == {400}


@pytest.mark.parametrize(
    ("arguments", "typed", "said"),
    [
        (("./none", "--prompt", "Hi"), "", 'there is no folder "./none"'),
        (("one",), " \n", "there is no question.\n  Give one with --prompt, from a pipe, or in a terminal."),
        (("one", "--prompt", ""), "Hi", "there is no question."),
        (("one", "--against", "copy/one"), "Hi", "two models have the same name."),
        (("bare",), "Hi", "the base has no tokenizer.json."),
        (("one",), "Hi " * 300, "the context of one is full: the conversation has "),
    ],
)
def test_mistakes_are_told(arguments: tuple[str, ...], typed: str, said: str, model: Path, tmp_path: Path) -> None:
    shutil.copytree(model, tmp_path / "copy" / "one")
    shutil.copytree(model, tmp_path / "bare", ignore=shutil.ignore_patterns("tokenizer*"))
    assert said in call(*arguments, typed=typed, exit_code=2).stderr


def test_one_question_stopped_by_ctrl_c(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    take = Pieces.take

    def pressed(pieces: Pieces, token: int) -> Piece | None:
        if len(pieces.ids) == 1:
            signal.raise_signal(signal.SIGINT)
        return take(pieces, token)

    monkeypatch.setattr(Pieces, "take", pressed)
    result = call("one", "--prompt", "Hi", "--temperature", 0, exit_code=130)
    assert result.stdout == "ab\n"
    assert result.stderr.endswith("; stopped\n")


def test_ctrl_c_before_there_is_an_answer(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lingraft.stages.base.folder_of", lambda *_: signal.raise_signal(signal.SIGINT))
    assert call("one", "--prompt", "Hi", exit_code=130).output == ""


def test_a_pipe(model: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "lingraft", "chat", model, "--temperature", "0"],
        input="Cześć,\nco słychać?\n",
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "abc żó\n"
    assert done.stderr.endswith(" bytes a token\n")


def test_a_terminal(tiny_base: Path, tmp_path: Path) -> None:
    """Ctrl-C in an answer that never ends, Ctrl-C in a line that is typed, a command, Ctrl-D."""
    folder = save_scripted(tiny_base, tmp_path / "m", "abcxyz", positions=1_000_000, endless=True)
    pid, terminal = pty.fork()
    if not pid:
        os.environ |= {"TERM": "xterm", "COLUMNS": "80", "LINES": "24"}
        settings = ["--temperature", "0", "--max-new-tokens", "900000"]
        os.execv(sys.executable, [sys.executable, "-m", "lingraft", "chat", str(folder), *settings])

    def until(mark: bytes, seen: bytes = b"", *, again: bytes = b"") -> bytes:
        """What is shown until `mark`; `again` is typed where nothing comes for long."""
        while mark not in seen:
            if again and not select.select([terminal], [], [], 10)[0]:
                type_in(again)
            else:
                seen += os.read(terminal, 1 << 16)
        return seen

    def type_in(text: bytes) -> None:
        os.write(terminal, text)

    assert b"m; /help shows what can be typed, Ctrl-D ends" in until(b"> ")
    type_in(b"Hi\n")
    until(b"abcxyzabcxyz")
    type_in(b"\x03")
    assert b"tokens/s" in until(b"> ", until(b"; stopped"))
    type_in(b"never asked")
    until(b"never asked")
    type_in(b"\x03")
    # Python's readline misses a Ctrl-C that comes between the echo of a letter and its waiting for the next.
    until(b"> ", again=b"\x03")
    type_in(b"/temperature 1\n")
    until(b"> ", until(b"\x1b[2mtemperature 1").partition(b"\x1b[2mtemperature 1")[2])
    type_in(b"\x04")
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    os.close(terminal)

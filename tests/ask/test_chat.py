import io
import json
import signal
from pathlib import Path

import pytest
from rich.console import Console
from scripted import Listener, save_scripted, speaker

from lingraft.ask import terminal
from lingraft.ask.chat import HELP, Chat, converse
from lingraft.ask.pieces import Piece
from lingraft.ask.speaker import Sampling
from lingraft.ask.terminal import Terminal
from lingraft.core.errors import InputError

GREEDY = Sampling(temperature=0.0, max_new_tokens=60)


@pytest.fixture
def plain(tiny_base: Path, tmp_path: Path) -> Path:
    return save_scripted(tiny_base, tmp_path / "one", "abc żó")


@pytest.fixture
def other(tiny_base: Path, tmp_path: Path) -> Path:
    return save_scripted(tiny_base, tmp_path / "two", "xyz")


def saved(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_two_models_have_the_same_questions_and_their_own_answers(plain: Path, other: Path, tmp_path: Path) -> None:
    listener = Listener()
    chat = Chat([speaker(plain), speaker(other)], listener, GREEDY, system="Be brief.")
    for line in ("Cześć", "", "And now?", f"/save {tmp_path / 'out.jsonl'}"):
        assert chat.take(line)
    asked = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Cześć"},
        {"role": "assistant", "content": "ANSWER"},
        {"role": "user", "content": "And now?"},
        {"role": "assistant", "content": "ANSWER"},
    ]
    first, second = saved(tmp_path / "out.jsonl")
    for row, name, answer in ((first, "one", "abc żó"), (second, "two", "xyz")):
        expected = [{**message, "content": message["content"].replace("ANSWER", answer)} for message in asked]
        assert row == {"id": name, "messages": expected}
    assert listener.ended == ["whole"] * 4
    assert chat.take("/save " + str(tmp_path / "out.jsonl"))
    assert len(saved(tmp_path / "out.jsonl")) == 4  # added, nothing is lost


def test_commands(plain: Path, tmp_path: Path) -> None:
    listener = Listener()
    chat = Chat([speaker(plain)], listener, Sampling(temperature=5.0, max_new_tokens=40))
    file = tmp_path / "out.jsonl"
    for line in ("one", "two", "/undo", "/temperature 0", "three", "/system Be kind.", f"/save {file}", "/system"):
        assert chat.take(line)
    (row,) = saved(file)
    assert [message["content"] for message in row["messages"]][::2] == [
        "Be kind.",
        row["messages"][2]["content"],
        ("abc żó"),
    ]
    assert [message["content"] for message in row["messages"]][1::2] == ["one", "three"]
    assert listener.told == [
        "taken back: two",
        "temperature 0",
        "the models are told so first",
        f"saved in {file}",
        "no system message",
    ]
    listener.told.clear()
    for line in ("/tokens", "/tokens", "/help", "/reset", "/undo"):
        assert chat.take(line)
    assert listener.tokens is False
    assert listener.told == [
        "each token is colored",
        "tokens are not colored",
        HELP,
        "a new conversation",
        "there is no question to take back.",
    ]
    assert not chat.take("/quit")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("/jump", 'there is no command "/jump".\n  /help shows them.'),
        ("/temperature hot", '"hot" is no temperature.\n  Give a number from 0 to 10: /temperature 0.7'),
        ("/temperature -1", '"-1" is no temperature.'),
        ("/temperature nan", '"nan" is no temperature.'),
        ("/undo", "there is no question to take back."),
        ("/save", "there is no file named.\n  /save conversation.jsonl"),
        ("/save x.jsonl", "there is nothing to save yet."),
    ],
)
def test_mistakes_are_told_and_change_nothing(line: str, said: str, plain: Path) -> None:
    listener = Listener()
    chat = Chat([speaker(plain)], listener, GREEDY)
    assert chat.take(line)
    assert listener.told[0].startswith(said)
    assert chat.take("Hi")
    assert "".join(piece.text for piece in listener.pieces[0]) == "abc żó"


def test_a_file_that_cannot_be_written(plain: Path, tmp_path: Path) -> None:
    listener = Listener()
    chat = Chat([speaker(plain)], listener, GREEDY)
    chat.take("Hi")
    chat.take(f"/save {tmp_path / 'no' / 'folder.jsonl'}")
    assert "folder.jsonl: the file cannot be written: No such file or directory." in listener.told[-1]


def test_a_full_context_is_told_and_nothing_is_cut(plain: Path, tmp_path: Path) -> None:
    listener = Listener()
    chat = Chat([speaker(plain, context_tokens=70)], listener, GREEDY)
    chat.take("Hi")
    chat.take("Hello again, and a long story besides: the market opened at six, and by seven the bread was gone.")
    assert listener.told[-1].startswith("the context of one is full: the conversation has ")
    assert listener.told[-1].endswith(
        "tokens, and it reads 70.\n  /reset begins anew, /undo takes the last question back."
    )
    chat.take(f"/save {tmp_path / 'out.jsonl'}")
    assert len(saved(tmp_path / "out.jsonl")[0]["messages"]) == 2
    chat.take("/reset")
    chat.take("Hi")
    assert listener.ended == ["whole", "whole"]


def test_a_model_without_a_template_is_told_of(tiny_base: Path, tmp_path: Path) -> None:
    who = speaker(save_scripted(tiny_base, tmp_path / "m", "ab", template=None))
    listener = Listener()
    chat = Chat([who], listener, GREEDY)
    assert listener.told == ["m has no chat template: it goes on with your text as it stands."]
    chat.take("/system Be brief.")
    assert listener.told[-1] == "m has no chat template, and so no place for a system message."
    with pytest.raises(InputError, match="m has no chat template, and so no place for a system message"):
        Chat([who], listener, GREEDY, system="Be brief.")


def test_nothing_to_read(tiny_base: Path, tmp_path: Path) -> None:
    who = speaker(save_scripted(tiny_base, tmp_path / "m", "ab", template="{# nothing #}"))
    with pytest.raises(InputError, match="there is nothing to read for m"):
        Chat([who], Listener(), GREEDY).ask("Hi")


def test_ctrl_c_stops_the_answer_and_keeps_what_was_said(plain: Path, other: Path, tmp_path: Path) -> None:
    listener = Listener(lambda count: signal.raise_signal(signal.SIGINT) if count == 2 else None)
    before = signal.getsignal(signal.SIGINT)
    chat = Chat([speaker(plain), speaker(other)], listener, GREEDY)
    assert chat.take("Hi")
    assert listener.ended == ["stopped", "stopped"]
    assert signal.getsignal(signal.SIGINT) is before
    chat.take(f"/save {tmp_path / 'out.jsonl'}")
    assert saved(tmp_path / "out.jsonl")[0]["messages"][1]["content"] == "ab"
    assert not chat.ask("Again")


def test_a_second_ctrl_c_does_not_wait(plain: Path) -> None:
    who, listener = speaker(plain), Listener()

    def twice(*_: object) -> None:
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)

    handle = who._model.model.layers[0].register_forward_pre_hook(twice)
    chat = Chat([who], listener, GREEDY)
    assert chat.take("Hi")
    assert listener.told == ["stopped"]
    handle.remove()
    assert chat.take("Hi")
    assert listener.ended == ["whole"]


def test_what_is_typed_until_it_ends(plain: Path) -> None:
    listener, lines = Listener(), iter(["Hi", KeyboardInterrupt, "/tokens", EOFError, "never read"])

    def read() -> str:
        line = next(lines)
        if isinstance(line, str):
            return line
        raise line

    converse(Chat([speaker(plain)], listener, GREEDY), read)
    assert listener.ended == ["whole"]
    assert listener.told == ["each token is colored"]
    assert next(lines) == "never read"
    converse(Chat([speaker(plain)], listener, GREEDY), iter(["/quit"]).__next__)


def screen(*, terminal: bool = True, width: int = 80, height: int = 24, tokens: bool = False) -> Terminal:
    out = Console(
        file=io.StringIO(),
        force_terminal=terminal,
        width=width,
        height=height,
        highlight=False,
        color_system="truecolor" if terminal else None,
        legacy_windows=False,
        _environ={},
    )
    return Terminal(out, out, tokens=tokens)


def printed(shown: Terminal) -> str:
    return shown._out.file.getvalue()


def test_an_answer_is_written_as_it_comes(plain: Path) -> None:
    shown = screen(terminal=False)
    Chat([speaker(plain)], shown, GREEDY).take("Hi")
    answer, told = printed(shown).splitlines()
    assert answer == "abc żó"
    assert told.endswith(" bytes a token")


HOSTILE = "[red]\x1bcX\x07\u202e"


@pytest.mark.parametrize("terminal", [True, False])
@pytest.mark.parametrize("two", [True, False])
@pytest.mark.parametrize("tokens", [True, False])
def test_nothing_that_a_model_writes_reaches_the_terminal_raw(
    tokens: bool, two: bool, terminal: bool, tiny_base: Path, tmp_path: Path
) -> None:
    bad = save_scripted(tiny_base, tmp_path / "[b]bad\x1b]0;x\x07", HOSTILE)
    good = save_scripted(tiny_base, tmp_path / "good", "xyz")
    shown = screen(terminal=terminal, tokens=tokens)
    speakers = [speaker(bad), speaker(good)] if two else [speaker(bad)]
    Chat(speakers, shown, GREEDY).take("Hi")
    text = printed(shown)
    assert not {"\x07", "\u202e", "\x1bc", "\x1b]"} & {text[at : at + n] for n in (1, 2) for at in range(len(text))}
    seen = "".join(part.partition("m")[2] if at else part for at, part in enumerate(text.split("\x1b[")))
    seen = seen.replace("│", "")
    assert "[red]␛cX␇⟨U+202E⟩" in seen
    if two:
        assert "[b]bad␛]0;x␇" in seen


def test_tokens_are_told_apart_by_color(tiny_base: Path, tmp_path: Path) -> None:
    folder = save_scripted(tiny_base, tmp_path / "m", "ab\nc")
    tokenizer = speaker(folder).tokenizer
    shown = screen(tokens=True)
    Chat([speaker(folder, new_ids=[tokenizer.convert_tokens_to_ids("b")])], shown, GREEDY).take("Hi")
    text = printed(shown)
    grey, light, green = (f"\x1b[{style}m" for style in ("48;5;237", "48;5;241", "30;48;5;120"))
    assert text.startswith(f"{grey}a\x1b[0m{green}b\x1b[0m{grey}↵\x1b[0m\n")
    assert f"{light}c\x1b[0m" in text


def test_without_colors_a_line_stands_between_tokens(tiny_base: Path, tmp_path: Path) -> None:
    shown = screen(terminal=False, tokens=True)
    Chat([speaker(save_scripted(tiny_base, tmp_path / "m", "abc"))], shown, GREEDY).take("Hi")
    assert printed(shown).startswith("a│b│c\n")


def test_two_answers_stand_side_by_side(plain: Path, other: Path) -> None:
    shown = screen()
    Chat([speaker(plain), speaker(other)], shown, GREEDY).take("Hi")
    last = printed(shown).rpartition("\x1b[2K")[2].splitlines()
    assert any("abc żó" in line and line.index("xyz") > line.index("abc") + 36 for line in last)
    assert any("one" in line and "two" in line for line in last)
    assert sum(line.count("tokens/s") for line in last) == 2


def test_in_a_narrow_terminal_they_stand_below_each_other(plain: Path, other: Path) -> None:
    shown = screen(width=60)
    Chat([speaker(plain), speaker(other)], shown, GREEDY).take("Hi")
    lines = printed(shown).splitlines()
    assert [line for line in lines if "abc" in line or "xyz" in line] == ["abc żó", "xyz"]


def test_a_long_answer_shows_its_end_while_it_grows_and_all_of_it_at_last(
    tiny_base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    letters = "abcdefghijklmnopqrstuvwxyz"
    long = save_scripted(tiny_base, tmp_path / "long", "".join(letters))
    shown = screen(width=76, height=8)
    texts: list[int] = []
    end = terminal._end
    monkeypatch.setattr(terminal, "_end", lambda *given: texts.append(given[3]) or end(*given[:2], 3, given[3]))
    Chat([speaker(long), speaker(save_scripted(tiny_base, tmp_path / "b", "x"))], shown, GREEDY).take("Hi")
    growing, last = printed(shown).rpartition("\x1b[2K")[::2]
    assert letters in last
    assert letters not in growing
    assert set(texts) == {4, None}


def test_pieces_that_hold_markup_are_text() -> None:
    assert screen()._colored(Piece("[link=file:///]x[/link]", 1), 0).plain == "[link=file:///]x[/link]"

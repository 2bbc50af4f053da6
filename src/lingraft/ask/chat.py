"""A conversation with one model or two at once, by what a person types."""

import json
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

from lingraft.core.errors import InputError

from .message import ASSISTANT, SYSTEM, USER, Message
from .speaker import Sampling, Speaker, Writing

HELP = """\
/reset            begin anew
/undo             take the last question and its answers back
/system TEXT      what the models are told first; without a text, nothing
/temperature 0.7  how freely they write; 0 takes the likeliest token
/tokens           color each token, or stop that; new ones in a color of their own
/save FILE        add the conversation to a file, a line of JSON for each model
/help             this
/quit             end, as Ctrl-D does; Ctrl-C stops an answer"""


class Screen(Protocol):
    """Where answers are shown."""

    tokens: bool
    """Whether each token is colored."""

    def show(self, writings: Sequence[Writing], stopped: Callable[[], bool]) -> None:
        """Show answers as they come, until `stopped`, and after each how it went."""
        ...

    def tell(self, text: str) -> None:
        """Show a line of the program itself."""
        ...


@dataclass
class Turn:
    """What was asked, and what each model answered."""

    asked: str
    answers: dict[str, str] = field(default_factory=dict)


class Chat:
    """A conversation that every model has on its own, with the same questions.

    Raises InputError where a system message is given to a model that cannot have one.
    """

    def __init__(
        self, speakers: Sequence[Speaker], screen: Screen, sampling: Sampling, *, system: str | None = None
    ) -> None:
        self._speakers, self._screen, self._sampling = speakers, screen, sampling
        self._turns: list[Turn] = []
        self._system: str | None = None
        self._num_answers = 0
        self._stopped = False
        if system:
            self._set_system(system)
        for speaker in speakers:
            if not speaker.has_template:
                screen.tell(f"{speaker.name} has no chat template: it goes on with your text as it stands.")

    def take(self, line: str) -> bool:
        """Do what a line says; whether the conversation goes on. A mistake is told, and nothing is changed."""
        if not line.strip():
            return True
        try:
            if line.startswith("/"):
                return self._command(line)
            self.ask(line)
        except InputError as error:
            self._screen.tell(str(error))
        return True

    def ask(self, text: str) -> bool:
        """Put a question to every model and show the answers; whether none was stopped.

        Raises InputError where the conversation does not fit a model's context, and leaves the question out.
        """
        _check_text(text)
        asked = Turn(text)
        writings = [self._writing(speaker, asked) for speaker in self._speakers]
        self._num_answers += 1
        try:
            with self._stoppable():
                self._screen.show(writings, lambda: self._stopped)
        except KeyboardInterrupt:  # a second one, while a model was reading
            self._screen.tell("stopped")
        for writing in writings:
            writing.stop()
            asked.answers[writing.speaker.name] = writing.text
        self._turns.append(asked)
        return all(writing.ended != "stopped" for writing in writings)

    def _writing(self, speaker: Speaker, asked: Turn) -> Writing:
        prompt, room = speaker.prompt(self._messages(speaker.name, [*self._turns, asked])), speaker.context_tokens
        if not prompt:
            raise InputError(f"there is nothing to read for {speaker.name}.")
        if room is not None and len(prompt) >= room:
            raise InputError(
                f"the context of {speaker.name} is full: the conversation has {len(prompt)} tokens, and it reads "
                f"{room}.",
                remedy="/reset begins anew, /undo takes the last question back.",
            )
        return Writing(speaker, prompt, replace(self._sampling, seed=self._sampling.seed + self._num_answers))

    def _messages(self, name: str, turns: Sequence[Turn]) -> list[Message]:
        messages = [Message(SYSTEM, self._system)] if self._system else []
        for turn in turns:
            messages.append(Message(USER, turn.asked))
            if name in turn.answers:
                messages.append(Message(ASSISTANT, turn.answers[name]))
        return messages

    def _command(self, line: str) -> bool:
        name, _, rest = line[1:].partition(" ")
        commands: Mapping[str, Callable[[str], None]] = {
            "reset": self._reset,
            "undo": self._undo,
            "system": self._set_system,
            "temperature": self._set_temperature,
            "tokens": self._color,
            "save": self._save,
            "help": lambda _: self._screen.tell(HELP),
        }
        if name == "quit":
            return False
        if name not in commands:
            raise InputError(f'there is no command "/{name}".', remedy="/help shows them.")
        commands[name](rest.strip())
        return True

    def _reset(self, _: str) -> None:
        self._turns.clear()
        self._screen.tell("a new conversation")

    def _undo(self, _: str) -> None:
        if not self._turns:
            raise InputError("there is no question to take back.")
        self._screen.tell(f"taken back: {self._turns.pop().asked}")

    def _set_system(self, text: str) -> None:
        """Raises InputError where a model cannot have a system message; the one before stays."""
        _check_text(text)
        for speaker in self._speakers:
            if text and not speaker.has_template:
                raise InputError(f"{speaker.name} has no chat template, and so no place for a system message.")
            speaker.prompt([Message(SYSTEM, text), Message(USER, "?")] if text else [Message(USER, "?")])
        self._system = text or None
        self._screen.tell("the models are told so first" if text else "no system message")

    def _set_temperature(self, text: str) -> None:
        try:
            value = float(text)
        except ValueError:
            value = -1.0
        if not 0 <= value <= 10:
            raise InputError(f'"{text}" is no temperature.', remedy="Give a number from 0 to 10: /temperature 0.7")
        self._sampling = replace(self._sampling, temperature=value)
        self._screen.tell(f"temperature {value:g}")

    def _color(self, _: str) -> None:
        self._screen.tokens = not self._screen.tokens
        self._screen.tell("each token is colored" if self._screen.tokens else "tokens are not colored")

    def _save(self, file: str) -> None:
        if not file:
            raise InputError("there is no file named.", remedy="/save conversation.jsonl")
        if not self._turns:
            raise InputError("there is nothing to save yet.")
        path = Path(file).expanduser()
        rows = []
        for speaker in self._speakers:
            messages = [message.as_json() for message in self._messages(speaker.name, self._turns)]
            rows.append(json.dumps({"id": speaker.name, "messages": messages}, ensure_ascii=False) + "\n")
        try:
            with path.open("a", encoding="utf-8") as opened:
                opened.writelines(rows)
        except OSError as error:
            raise InputError(f"the file cannot be written: {error.strerror}.", where=path) from error
        self._screen.tell(f"saved in {path}")

    @contextmanager
    def _stoppable(self) -> Iterator[None]:
        """Ctrl-C lets the token that is on its way be read, and stops then; pressed again it stops at once."""
        self._stopped = False

        def stop(number: int, frame: object) -> None:
            if self._stopped:
                raise KeyboardInterrupt
            self._stopped = True

        before = signal.signal(signal.SIGINT, stop)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, before)


def _check_text(text: str) -> None:
    """Bytes that are no UTF-8 come from a terminal or the command line as half characters."""
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise InputError("the text is no UTF-8.", remedy="Set the terminal, or convert the file, to UTF-8.")


def converse(chat: Chat, read: Callable[[], str]) -> None:
    """Take what is typed until it ends; Ctrl-C forgets the line that is being typed."""
    while True:
        try:
            if not chat.take(read()):
                return
        except EOFError:
            return
        except KeyboardInterrupt:
            continue

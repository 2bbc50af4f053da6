"""What a judge is asked, and how its verdict is read.

Answers are hostile: a model may have learned to write "Verdict: A". What is judged stands between lines with a mark
that is a hash of all of it, so that no answer can hold it, and a verdict counts only beside that mark, or where the
whole reply is nothing else.
"""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import langcodes
from pydantic import BaseModel, ConfigDict
from ruamel.yaml import YAML

from lingraft.ask.message import ASSISTANT, SYSTEM, USER, Message, Messages
from lingraft.corpus.language import Language

AXES = ("accuracy", "fluency", "informativeness", "coherence", "harmlessness")
"""Of LLM-Eval (Zhao et al. 2024, LLaMA Beyond English, arXiv 2401.01055), each from 0 to 3; the last stands apart."""
BEST = 3
FIRST, SECOND, TIE = "A", "B", "TIE"
FOLDER = Path(__file__).with_name("languages")
MARK_DIGITS = 12
_SLOT = re.compile(r"\{(\w+)\}")
_FRINGE = r"[ \t\r*_`>#\"'\[\](){}.。।]*"
"""What judges put around a verdict on its line: Markdown, quotes, brackets."""
_SCORE = re.compile(rf"\b({'|'.join(AXES)})\b{_FRINGE}[:=]{_FRINGE}([0-3])(?:\.0+)?(?![\d.]*\d)")
_BESIDE_SCORES = " \t\r*_`>#\"'[](){}.。।,;|•-"
"""What a line of scores may hold beside them."""


class Wording(BaseModel):
    """The words of a judge's questions in one language."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    system: str
    user: str
    assistant: str
    conversation: str
    answer: str
    reference: str
    compare: str
    compare_again: str
    score: str
    score_again: str


@dataclass(frozen=True)
class Asking:
    """The wording of questions about answers that should be in `language`."""

    wording: Wording
    language: Language
    is_native: bool
    """Whether the questions are in that language; else they are in English."""


@dataclass(frozen=True)
class Question:
    """What is put to a judge."""

    mark: str
    text: str
    again: str
    """What is added to it when the reply could not be read."""

    @property
    def messages(self) -> Messages:
        """One message alone: many templates know no system message."""
        return (Message(USER, self.text),)

    @property
    def sharper(self) -> Messages:
        """Asked once more, with less room."""
        return (Message(USER, f"{self.text}\n{self.again}"),)


@cache
def asking(language: Language) -> Asking:
    """The questions in the language where they have been written, else in English."""
    file = FOLDER / f"{langcodes.Language.get(language.tag).language}.yaml"
    is_native = file.exists()
    data = YAML(typ="safe", pure=True).load(file if is_native else FOLDER / "en.yaml")
    return Asking(Wording(**data), language, is_native)


def compare(asked: Asking, prompt: Messages, first: str, second: str) -> Question:
    """Which of two answers is better; the first is shown as A."""
    words = asked.wording
    return _question(
        asked,
        {
            "conversation": (words.conversation, _conversation(words, prompt)),
            "first": (f"{words.answer} {FIRST}", first),
            "second": (f"{words.answer} {SECOND}", second),
        },
        words.compare,
        words.compare_again,
    )


def score(asked: Asking, prompt: Messages, answer: str, reference: str | None = None) -> Question:
    """How good an answer is on each of the axes, perhaps beside a good one."""
    words = asked.wording
    shown = {"conversation": (words.conversation, _conversation(words, prompt)), "answer": (words.answer, answer)}
    if reference is not None:
        shown["reference"] = (words.reference, reference)
    return _question(asked, shown, words.score, words.score_again)


def verdict(reply: str, mark: str) -> str | None:
    """`A`, `B` or `TIE`; None where the reply has none. Of several the last counts."""
    known = f"({FIRST}|{SECOND}|{TIE})"
    lines = re.findall(rf"^{_FRINGE}{mark}{_FRINGE}[:=-]?{_FRINGE}{known}{_FRINGE}$", reply, re.IGNORECASE | re.M)
    if lines:
        return lines[-1].upper()
    whole = re.fullmatch(rf"{_FRINGE}{known}{_FRINGE}", reply.strip(), re.IGNORECASE)
    return whole[1].upper() if whole else None


def scores(reply: str, mark: str) -> dict[str, int] | None:
    """The five scores; None where one is missing, told twice or none of 0 to 3.

    They stand in a JSON object that holds the mark, on the line that begins with the mark and those right below it, or
    are the whole reply as JSON. What a reply repeats of the material, between its two marked lines, is not read.
    """
    own = re.sub(rf"\[{mark} [^\]\n]*\].*?(?:\[/{mark} [^\]\n]*\]|\Z)", "", reply, flags=re.DOTALL)
    objects = [part for part in re.findall(r"\{[^{}]*", own) if re.search(rf'"mark"\s*:\s*"{mark}"', part)]
    after = re.split(rf"^{_FRINGE}{mark}", own, flags=re.MULTILINE)[1:]
    for part in [*reversed(objects), *map(_lines_of_scores, reversed(after))]:
        told = _SCORE.findall(part)
        if sorted(axis for axis, _ in told) == sorted(AXES):
            return {axis: int(dict(told)[axis]) for axis in AXES}
    try:
        whole = json.loads(reply)
    except ValueError:
        return None
    if isinstance(whole, dict) and all(type(whole.get(axis)) is int and 0 <= whole[axis] <= BEST for axis in AXES):
        return {axis: whole[axis] for axis in AXES}
    return None


def _lines_of_scores(text: str) -> str:
    """The first lines, as long as they hold scores and nothing else."""
    lines = text.split("\n")
    others = (place for place, line in enumerate(lines) if _SCORE.sub("", line).strip(f"{_BESIDE_SCORES}:="))
    return "\n".join(lines[: next(others, None)])


def _question(asked: Asking, shown: Mapping[str, tuple[str, str]], text: str, again: str) -> Question:
    mark = _mark([part for label_and_text in shown.values() for part in label_and_text])
    slots = {name: f"[{mark} {label}]\n{body}\n[/{mark} {label}]" for name, (label, body) in shown.items()}
    slots |= {"mark": mark, "language": asked.language.name}

    def filled(template: str) -> str:
        # One pass, so that what an answer holds is never taken for a slot.
        return _SLOT.sub(lambda slot: slots[slot[1]], template)

    if "reference" not in shown:
        text = text.replace("{reference}\n\n", "")
    return Question(mark, filled(text), filled(again))


def _mark(shown: Sequence[str]) -> str:
    salt = 0
    while True:
        made = json.dumps([salt, *shown], ensure_ascii=True)
        mark = hashlib.sha256(made.encode()).hexdigest()[:MARK_DIGITS]
        if not any(mark in text for text in shown):
            return mark
        salt += 1


def _conversation(words: Wording, prompt: Messages) -> str:
    if len(prompt) == 1 and prompt[0].role == USER:
        return prompt[0].content
    names = {SYSTEM: words.system, USER: words.user, ASSISTANT: words.assistant}
    return "\n\n".join(f"{names[message.role]}: {message.content}" for message in prompt)

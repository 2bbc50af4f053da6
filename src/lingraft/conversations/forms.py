"""The forms that instructions and preferences come in, and the records that their rows hold.

A form is told by the keys of a row, or named in the recipe. Nothing is judged here: what is wrong with a record that
was read is found by `checks`. The keys of a form that is known elsewhere are cited beside it.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Any

from lingraft.ask.message import ASSISTANT, USER, Message
from lingraft.corpus.document import Unusable
from lingraft.corpus.formats import names_of

from .record import Conversation, Preference, Record, Verdict
from .turns import NO_TURNS, dialog, no_tools, string, turn, turns, with_system

UNKNOWN_FORM = "no known form"
PROMPTS_DIFFER = "the two answers follow different prompts"
NO_LABEL = "the label is neither true nor false"
NO_CHOICE = "no answer scored better than another"
NO_INPUT = frozenset(("", "noinput", "no input", "无输入"))
"""What Alpaca and its translations have in `input` where there is none, without the signs around it."""
SIGNS = " \n`<>()（）.。"

Row = Mapping[str, Any]


def _alpaca(row: Row) -> list[Record]:
    return [Conversation("", with_system(row, (*_instruction(row), _says(string(row, "output", "response")))))]


def _seed(row: Row) -> list[Record]:
    return [
        record for case in _rows(row["instances"]) for record in _alpaca({**case, "instruction": row["instruction"]})
    ]


def _answered(row: Row) -> list[Record]:
    asked = _prompt(row, "prompt", "question")
    return [Conversation("", with_system(row, (*asked, _answer(row, "completion", "response", "answer"))))]


def _turns(key: str) -> Callable[[Row], list[Record]]:
    def read(row: Row) -> list[Record]:
        no_tools(row)
        return [Conversation("", with_system(row, turns(row[key])))]

    return read


def _pair(row: Row) -> list[Record]:
    """A prompt and two answers, each a text, a message, or a list of messages that may begin with the prompt."""
    no_tools(row)
    (before, chosen), (other, rejected) = _end(row["chosen"]), _end(row["rejected"])
    if before != other:
        raise Unusable(PROMPTS_DIFFER)
    asked = turns(row["conversations"]) if row.get("conversations") else _instruction_or_prompt(row)
    # Answers that are whole conversations begin with the prompt; a prompt that is a text then names it again.
    whole = before[: len(asked)] == asked or (before and isinstance(row.get("prompt"), str))
    prompt = before if whole else asked + before
    return [Preference("", with_system(row, prompt), chosen, rejected)]


def _scored(row: Row) -> list[Record]:
    """UltraFeedback as it was first published: the best answer against the worst."""
    found = {}
    for answer in _rows(row["completions"]):
        score = _score(answer)
        if score is not None:
            found.setdefault(score, string(answer, "response"))
    if len(found) < 2:
        raise Unusable(NO_CHOICE)
    return [Preference("", with_system(row, _instruction_or_prompt(row)), found[max(found)], found[min(found)])]


def _judged(row: Row) -> list[Record]:
    """KTO: an answer and whether it is wanted."""
    no_tools(row)
    good = next(row[key] for key in ("label", "kto_tag", "good") if row.get(key) is not None)
    if not isinstance(good, bool | int) or good not in (0, 1):
        raise Unusable(NO_LABEL, repr(good)[:60])
    if row.get("messages") or row.get("conversations"):
        *prompt, last = turns(row.get("messages") or row["conversations"])
        if last.role != ASSISTANT:
            prompt, last = [*prompt, last], _says("")
        return [Verdict("", with_system(row, tuple(prompt)), last.content, bool(good))]
    answer = _answer(row, "completion", "response", "answer")
    return [Verdict("", with_system(row, _prompt(row, "prompt", "question")), answer.content, bool(good))]


@dataclass(frozen=True)
class Form:
    """How a form is told, and read."""

    keys: tuple[str, ...]
    """That a row must have, each one name or several to choose from, as in "label|kto_tag"."""
    read: Callable[[Row], list[Record]]

    def fits(self, names: set[str]) -> bool:
        """Whether a row with values under these names is of this form."""
        return all(not names.isdisjoint(key.split("|")) for key in self.keys)


FORMS = {
    # The first that fits is taken: what asks for more stands before what asks for less.
    "kto": Form(("messages|conversations", "label|kto_tag"), _judged),
    "kto_prompt": Form(("prompt|question", "completion|response|answer", "label|kto_tag|good"), _judged),
    "sharegpt_preference": Form(("conversations", "chosen", "rejected"), _pair),
    "preference": Form(("prompt|question|instruction", "chosen", "rejected"), _pair),
    "hh": Form(("chosen", "rejected"), _pair),
    "scored": Form(("prompt|instruction", "completions"), _scored),
    "sharegpt": Form(("conversations",), _turns("conversations")),
    "messages": Form(("messages",), _turns("messages")),
    "seed_tasks": Form(("instruction", "instances"), _seed),
    "alpaca": Form(("instruction", "output|response"), _alpaca),
    "prompt_completion": Form(("prompt|question", "completion|response|answer"), _answered),
}


def form_of(row: Row) -> str:
    """The form of a row. Raises Unusable when it has none that is known."""
    names = {key for key, value in row.items() if value is not None}
    for name, form in FORMS.items():
        if form.fits(names):
            return name
    raise Unusable(UNKNOWN_FORM, f"it has the keys {names_of(list(row))}")


def records(row: Row, form: str) -> list[Record]:
    """The records of a row, without ids. Raises Unusable when there is none in it."""
    names = {key for key, value in row.items() if value is not None}
    if not FORMS[form].fits(names):
        raise Unusable(UNKNOWN_FORM, f"as {form} it needs {' and '.join(FORMS[form].keys)}")
    found = FORMS[form].read(row)
    if not found:
        raise Unusable(UNKNOWN_FORM, "nothing is in it")
    return found


def _instruction(row: Row) -> tuple[Message, ...]:
    """Alpaca's: the input under the instruction, after what was said before (LLaMA-Factory's `history`)."""
    asked, given = string(row, "instruction"), string(row, "input", "context")
    if given.strip(SIGNS).casefold() not in NO_INPUT:
        asked = f"{asked}\n{given}" if asked.strip() else given
    return (*_history(row.get("history") or ()), _asks(asked))


def _history(found: Any) -> Iterator[Message]:
    for pair in found if isinstance(found, list | tuple) else (found,):
        if not isinstance(pair, list | tuple) or len(pair) != 2 or not all(isinstance(said, str) for said in pair):
            raise Unusable(NO_TURNS, "`history` is no list of [question, answer]")
        yield _asks(pair[0])
        yield _says(pair[1])


def _rows(found: Any) -> list[Row]:
    if not isinstance(found, list | tuple) or not all(isinstance(row, Mapping) for row in found):
        raise Unusable(NO_TURNS, "no list of objects")
    return list(found)


def _instruction_or_prompt(row: Row) -> tuple[Message, ...]:
    if row.get("instruction") is not None:
        return _instruction(row)
    return _prompt(row, "prompt", "question")


def _prompt(row: Row, *keys: str) -> tuple[Message, ...]:
    """A text, a dialog in HH's form that waits for an answer, or messages; nothing where the row has none."""
    found = next((row[key] for key in keys if row.get(key) is not None), None)
    if found is None:
        return ()
    if not isinstance(found, str):
        return turns(found)
    if not found.lstrip().startswith("Human:"):
        return (_asks(found),)
    said = dialog(found)
    return said[:-1] if said[-1].role == ASSISTANT and not said[-1].content.strip() else said


def _end(found: object) -> tuple[tuple[Message, ...], str]:
    """What comes before an answer, and the answer."""
    if isinstance(found, str) and found.lstrip().startswith("Human:"):
        said = dialog(found)
    elif isinstance(found, list | tuple):
        said = turns(found)
    else:
        said = (turn(found),)
    if said[-1].role != ASSISTANT:
        return said, ""
    return said[:-1], said[-1].content


def _answer(row: Row, *keys: str) -> Message:
    found = next((row[key] for key in keys if row.get(key) is not None), "")
    said = turns(found) if isinstance(found, list | tuple) else (turn(found),)
    return said[-1]


def _score(answer: Row) -> float | None:
    for key in ("overall_score", "score", "rating", "fine-grained_score"):
        try:
            score = float(answer[key])
        except (KeyError, TypeError, ValueError):
            continue
        if isfinite(score):
            return score
    return None


def _asks(text: str) -> Message:
    return Message(USER, text)


def _says(text: str) -> Message:
    return Message(ASSISTANT, text)

"""The turns of a conversation, in the ways in which rows spell them."""

import re
from collections.abc import Mapping, Sequence

from lingraft.ask.message import ASSISTANT, SYSTEM, USER, Message
from lingraft.corpus.document import Unusable

USES_TOOLS = "uses tools"
NOT_LEARNED = "has turns that are not to be learned from"
REASONING = "has reasoning apart from its text"
UNKNOWN_ROLE = "a role that is not known"
NOT_TEXT = "more than text"
NO_TURNS = "no list of turns"

ROLES = {
    **dict.fromkeys(("user", "human", "prompter"), USER),
    **dict.fromkeys(("assistant", "gpt", "chatgpt", "model", "bot", "chatbot", "bing", "bard"), ASSISTANT),
    **dict.fromkeys(("system", "developer"), SYSTEM),
}
TOOLS = frozenset(
    ("tool", "function", "observation", "ipython", "tool_call", "tool_response", "function_call", "function_response")
)
ROLE_KEYS, CONTENT_KEYS = ("role", "from"), ("content", "value")
DIALOG = re.compile(r"(?:^|\n\n)(Human|Assistant):[ ]?")


def turns(found: object) -> tuple[Message, ...]:
    """A list of {role, content} or {from, value}; raises Unusable for what is none, or holds more than text."""
    if not isinstance(found, Sequence) or isinstance(found, str) or not found:
        raise Unusable(NO_TURNS, f"but {_kind(found)}")
    return tuple(map(turn, found))


def turn(found: object) -> Message:
    """One {role, content} or {from, value}, which an assistant's answer may also be without a role."""
    if isinstance(found, str):
        return Message(ASSISTANT, found)
    if not isinstance(found, Mapping):
        raise Unusable(NO_TURNS, f"a turn is {_kind(found)}")
    name = _first(found, ROLE_KEYS)
    if (isinstance(name, str) and name in TOOLS) or found.get("tool_calls") or found.get("function_call"):
        raise Unusable(USES_TOOLS)
    if not isinstance(name, str) or name not in ROLES:
        raise Unusable(UNKNOWN_ROLE, repr(name)[:60])
    if found.get("weight") == 0:
        raise Unusable(NOT_LEARNED)
    if found.get("reasoning_content"):
        raise Unusable(REASONING)
    return Message(ROLES[name], _text(_first(found, CONTENT_KEYS)))


def dialog(text: str) -> tuple[Message, ...]:
    r"""What stands between "\n\nHuman: " and "\n\nAssistant: ", as Anthropic's HH has it."""
    before, *pieces = DIALOG.split(text)
    if not pieces or before.strip():
        raise Unusable(NO_TURNS, 'the text does not begin with "Human: "')
    roles = {"Human": USER, "Assistant": ASSISTANT}
    return tuple(Message(roles[name], said) for name, said in zip(pieces[::2], pieces[1::2], strict=True))


def with_system(row: Mapping[str, object], found: tuple[Message, ...]) -> tuple[Message, ...]:
    """The turns after the row's own system message, where it has one and they have none."""
    said = row.get("system") or row.get("system_prompt")
    if not isinstance(said, str) or not said.strip() or (found and found[0].role == SYSTEM):
        return found
    return (Message(SYSTEM, said), *found)


def no_tools(row: Mapping[str, object]) -> None:
    """Raises Unusable for a row that offers tools: without them its answers make no sense."""
    if row.get("tools") not in (None, "", "[]", []):
        raise Unusable(USES_TOOLS)


def string(row: Mapping[str, object], *keys: str) -> str:
    """The first of the keys that the row has, which must be text; "" when it has none."""
    found = _first(row, keys)
    return "" if found is None else _text(found)


def _text(found: object) -> str:
    if isinstance(found, str):
        return found
    if found is None:
        return ""
    if isinstance(found, Sequence):  # the parts of OpenAI's form
        parts = [part if isinstance(part, str) else _part(part) for part in found]
        return "\n\n".join(parts)
    raise Unusable(NOT_TEXT, _kind(found))


def _part(part: object) -> str:
    if isinstance(part, Mapping) and isinstance(part.get("text"), str) and part.get("type", "text") == "text":
        return part["text"]
    raise Unusable(NOT_TEXT, str(part.get("type", "")) if isinstance(part, Mapping) else _kind(part))


def _first(row: Mapping[str, object], keys: Sequence[str]) -> object:
    return next((row[key] for key in keys if row.get(key) is not None), None)


def _kind(found: object) -> str:
    return "nothing" if found in (None, [], ()) else type(found).__name__

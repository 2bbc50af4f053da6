"""Judges of known habits, and answers of known worth, put through the real questions."""

import random
import re
from collections.abc import Callable, Sequence

from lingraft.ask.message import Message, Messages
from lingraft.ask.respondent import Reply
from lingraft.core.progress import SILENT, Progress
from lingraft.judge.answers import Item

Say = Callable[[str, str, str], str]
"""What a judge replies to a mark and the two answers, in the order shown."""
_MARK = re.compile(r"^\[([0-9a-f]{12}) \w+\]$", re.MULTILINE)


class Planted:
    """Replies by a function of the question's text."""

    def __init__(self, say: Callable[[str], str | Reply], name: str = "planted") -> None:
        self.say, self.name, self.identity = say, name, name
        self.asked: list[str] = []

    def reply(self, asked: Sequence[Messages], *, progress: Progress = SILENT) -> list[Reply]:
        replies = []
        for messages in asked:
            assert [message.role for message in messages] == ["user"]
            self.asked.append(messages[0].content)
            said = self.say(messages[0].content)
            replies.append(said if isinstance(said, Reply) else Reply(said, None, (10, 2)))
        return replies


def mark_of(text: str) -> str:
    found = _MARK.search(text)
    assert found
    return found[1]


def shown(text: str) -> list[str]:
    """The bodies of all that is shown: the conversation, then the answers."""
    mark = mark_of(text)
    return re.findall(rf"^\[{mark} [^\]]*\]\n(.*?)\n\[/{mark} [^\]]*\]$", text, re.MULTILINE | re.DOTALL)


def comparing(say: Say, name: str = "planted") -> Planted:
    """A judge of pairs."""

    def reply(text: str) -> str:
        first, second = shown(text)[-2:]
        mark = mark_of(text)
        return f"Some words about it.\n{mark}: {say(mark, first, second)}"

    return Planted(reply, name)


def worth(answer: str) -> float:
    """What stands in the made answers."""
    return float(re.findall(r"worth (-?[\d.]+)", answer)[-1])


def perfect(_: str, first: str, second: str) -> str:
    return "TIE" if worth(first) == worth(second) else "A" if worth(first) > worth(second) else "B"


def longer(_: str, first: str, second: str) -> str:
    return "A" if len(first) >= len(second) else "B"


def coin(seed: int, bias: float = 0.5) -> Say:
    """Chooses the first with this chance, whatever stands there."""
    draw = random.Random(seed)
    return lambda *_: "A" if draw.random() < bias else "B"


def items(count: int, *, seed: int = 0, better: float = 0.5) -> list[Item]:
    """Two models; the second one's answer is worth more with this chance, and lengths say nothing of it."""
    draw = random.Random(seed)
    made = []
    for number in range(count):
        base, other = ("1", "2") if draw.random() < better else ("2", "1")
        answers = {
            "base": f"{'word ' * draw.randint(1, 30)}worth {base}",
            "other": f"{'word ' * draw.randint(1, 30)}worth {other}",
        }
        cut = dict.fromkeys(answers, False)
        made.append(Item(str(number), (Message("user", f"Question {number}?"),), answers, None, "en", cut))
    return made


def pair(number: int, base: str, other: str) -> Item:
    """One prompt with these two answers."""
    answers = {"base": base, "other": other}
    return Item(str(number), (Message("user", "?"),), answers, None, "en", dict.fromkeys(answers, False))

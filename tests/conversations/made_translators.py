"""Translators for tests: English in Cyrillic letters is the other language, and can be read back."""

from collections.abc import Callable, Sequence

from lingraft.ask.respondent import Reply
from lingraft.core.progress import SILENT, Progress
from lingraft.corpus.language import find

LATIN = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
CYRILLIC = "абцдефгхийклмнопярстувщьызАБЦДЕФГХИЙКЛМНОПЯРСТУВЩЬЫЗ"
ENGLISH, OTHER = find("en"), find("uk")


def there(text: str) -> str:
    return text.translate(str.maketrans(LATIN, CYRILLIC))


def back(text: str) -> str:
    return text.translate(str.maketrans(CYRILLIC, LATIN))


class Made:
    """A function of a line, or the reason why there is none; remembers what it was asked."""

    name = "made"

    def __init__(self, function: Callable[[str], str] = there) -> None:
        self.function = function
        self.asked: list[str] = []

    def translate(self, texts: Sequence[str], *, progress: Progress = SILENT) -> list[Reply]:
        self.asked += texts
        replies = []
        for text in texts:
            try:
                replies.append(Reply(self.function(text), None, (len(text), 1)))
            except ValueError as error:
                replies.append(Reply("", str(error)))
        return replies

"""About what judges are asked, in requests, tokens and money, before any of it is spent."""

from collections.abc import Sequence
from dataclasses import dataclass

from lingraft.ask.message import Messages
from lingraft.ask.respondent import Reply, Respondent
from lingraft.ask.respondents import tokens_of
from lingraft.core.asked import EndpointSettings, LocalSettings
from lingraft.core.progress import SILENT, Progress

from .questions import Wording

PAIRWISE, AXES = "pairwise", "axes"
"""What a judge can be asked for."""
BYTES_A_TOKEN = 2.5
"""Few, so that the forecast errs on the high side; of which tokenizer an endpoint has, nothing is known."""
ANSWER_BYTES_A_TOKEN = 4.0
"""Of the model that answers: one whose tokenizer was made for the language has longer tokens than a judge may have."""


@dataclass(frozen=True)
class Cost:
    """Of one judge, about; if every reply had to be asked for again, because it cannot be read, it were twice that."""

    judge: str
    requests: int
    tokens_read: float
    tokens_written: float
    price: float | None

    def __str__(self) -> str:
        price = "" if self.price is None else f", for about {self.price:,.2f}"
        read, written = self.tokens_read / 1e6, self.tokens_written / 1e6
        return (
            f"{self.judge}: {self.requests:,} questions, about {read:,.2f} million tokens read and "
            f"{written:,.2f} million written{price}"
        )


def forecast(
    judges: Sequence[EndpointSettings | LocalSettings],
    wording: Wording,
    *,
    prompts: int,
    prompt_bytes: float,
    models: int,
    answer_tokens: int,
    mode: Sequence[str],
) -> list[Cost]:
    """What each judge would be asked of so many prompts, with all answers, and references, as long as answers may be.

    `prompt_bytes` are those of all prompts together.
    """
    questions = {PAIRWISE: 2 * (models - 1), AXES: models}
    words = {PAIRWISE: wording.compare, AXES: wording.score}
    requests = sum(questions[one] for one in mode) * prompts
    read = sum(
        questions[one] * (prompts * len(words[one].encode()) + prompt_bytes) / BYTES_A_TOKEN
        + questions[one] * prompts * 2 * answer_tokens * ANSWER_BYTES_A_TOKEN / BYTES_A_TOKEN
        for one in mode
    )
    found = []
    for judge in judges:
        written = float(requests * judge.max_tokens)
        found.append(Cost(judge.model, requests, read, written, judge.cost(read, written)))
    return found


class Counted:
    """Passes questions on, and counts them and the tokens of their replies."""

    def __init__(self, respondent: Respondent) -> None:
        self.name, self.identity = respondent.name, respondent.identity
        self._respondent = respondent
        self.requests = self.tokens_read = self.tokens_written = 0

    def reply(self, asked: Sequence[Messages], *, progress: Progress = SILENT) -> list[Reply]:
        """One reply to each conversation, in their order; see `Respondent`."""
        replies = self._respondent.reply(asked, progress=progress)
        read, written = tokens_of(replies)
        self.requests += len(replies)
        self.tokens_read += read
        self.tokens_written += written
        return replies

    @property
    def spent(self) -> dict[str, float]:
        """Those of kept replies included; tokens are counted where a reply says how many."""
        return {"requests": self.requests, "tokens_read": self.tokens_read, "tokens_written": self.tokens_written}

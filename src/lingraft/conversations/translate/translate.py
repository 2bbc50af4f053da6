"""Records in another language: their prose translated, every translation checked, bad ones left out with a reason."""

import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from statistics import median
from typing import Any

from lingraft.ask.message import ASSISTANT
from lingraft.ask.respondent import Reply
from lingraft.ask.respondents import tokens_of
from lingraft.conversations import checks
from lingraft.conversations.languages import Expected
from lingraft.conversations.record import Record
from lingraft.core.errors import StageError
from lingraft.core.progress import SILENT, Progress
from lingraft.corpus.document import Unusable

from . import filters
from .filters import Bad, Lengths
from .protect import Damaged, join, split
from .translator import Translator

BLOCK_RECORDS = 256
"""After which the share of bad ones is looked at."""


@dataclass(frozen=True)
class Bounds:
    """What a translation may be like."""

    least_length: float = 0.2
    most_length: float = 5.0
    """Characters of a translation for each of its text; what is usual in the data is a bound too."""
    least_back_chrf: float = 30.0
    """chrF++ of the translation back, 0 to 100; without a translator back it is not looked at."""
    max_bad_share: float = 0.1


@dataclass(frozen=True)
class Outcome:
    """What became of a record."""

    source: Record
    record: Record | None
    """The translation, of the id `<id>@<language>`; None where `why` says why there is none."""
    why: str = ""
    detail: str = ""


class _Text:
    """One text of a record on its way."""

    def __init__(self, text: str, is_answer: bool) -> None:
        self.pieces = split(text)
        self.is_answer = is_answer
        self.new: list[str] = []
        """The translations of its lines."""

    @cached_property
    def lines(self) -> list[str]:
        """Its prose, with marks."""
        return [piece.text for piece in self.pieces if piece.prose]

    @property
    def source(self) -> str:
        return "\n".join(self.lines)

    @property
    def translation(self) -> str:
        return "\n".join(self.new)


class _Work:
    """One record on its way."""

    def __init__(self, record: Record) -> None:
        turns, found = checks.messages(record), checks.texts(record)
        answers = [turn.role == ASSISTANT for turn in turns] + [True] * (len(found) - len(turns))
        self.record = record
        self.texts = [_Text(text, is_answer) for text, is_answer in zip(found, answers, strict=True)]
        self.bad: Bad | None = None
        self.translated: Record | None = None

    @property
    def lines(self) -> list[str]:
        return [line for text in self.texts for line in text.lines]

    def go_on(self, step: Callable[["_Work"], None]) -> None:
        """Take a step, unless one went wrong before."""
        if self.bad is None:
            try:
                step(self)
            except Bad as found:
                self.bad = found
            except Unusable as found:
                self.bad = Bad(found.reason, found.detail)


class _Memory:
    """What one translator has made of every line so far."""

    def __init__(self, translator: Translator, progress: Progress) -> None:
        self._translator, self._progress = translator, progress
        self._replies: dict[str, Reply] = {}

    def fetch(self, lines: Iterable[str]) -> None:
        new = [line for line in dict.fromkeys(lines) if line not in self._replies]
        if new:
            self._replies |= zip(new, self._translator.translate(new, progress=self._progress), strict=True)

    def get(self, line: str) -> str:
        reply = self._replies[line]
        if reply.failure is not None:
            raise Bad(filters.FAILED, reply.failure)
        return reply.text

    def figures(self) -> dict[str, Any]:
        read, written = tokens_of(self._replies.values())
        return {
            "by": self._translator.name,
            "lines": len(self._replies),
            "tokens_read": read,
            "tokens_written": written,
        }


def translate(
    records: Sequence[Record],
    translator: Translator,
    expected: Expected,
    *,
    back: Translator | None = None,
    bounds: Bounds | None = None,
    progress: Progress = SILENT,
) -> tuple[list[Outcome], dict[str, Any]]:
    """The outcome of each record, in their order, and the figures.

    Everything but prose is kept (see `protect`), as are roles and the order of turns. A record of which one text fails
    is left out whole. `expected` tells whether a text is in the language it is translated to. With `back`, which
    translates the other way, what comes back is compared with the text. What the translators answer does not stay here:
    give them a respondent that keeps it (`ask.kept.Kept`), and a second call goes on where the first was stopped.

    Raises StageError as soon as more than `max_bad_share` of all records are bad.
    """
    bounds = bounds or Bounds()
    work = [_Work(record) for record in records]
    there = _Memory(translator, progress)
    for block in _blocks(work):
        there.fetch(line for each in block for line in each.lines)
        for each in block:
            each.go_on(lambda each: _put_together(each, there, expected))
        _require_good(work, bounds.max_bad_share)
    pairs = [(text.source, text.translation) for text in _good_texts(work)]
    lengths = Lengths.learn(pairs, bounds.least_length, bounds.most_length)
    for each in work:
        each.go_on(lambda each: _check_lengths(each, lengths))
    _require_good(work, bounds.max_bad_share)
    figures: dict[str, Any] = {"there": there.figures(), "back": None}
    if back is not None:
        figures["back"] = _translate_back(work, _Memory(back, progress), bounds)
    good = _good_texts(work)
    figures |= {
        "records": len(work),
        "translated": sum(each.bad is None for each in work),
        "bad": dict(Counter(each.bad.why for each in work if each.bad).most_common()),
        "characters": sum(len(text.source) for text in good),
        "translated_characters": sum(len(text.translation) for text in good),
        "length_ratio": lengths.figures(),
        "language_judged": expected.figures(),
    }
    return [_outcome(each) for each in work], figures


def num_lines(records: Sequence[Record]) -> tuple[int, int]:
    """How many different lines of prose there are to translate, and their characters."""
    lines = {line for record in records for line in _Work(record).lines}
    return len(lines), sum(map(len, lines))


def _put_together(each: _Work, there: _Memory, expected: Expected) -> None:
    joined = []
    for text in each.texts:
        text.new = [there.get(line) for line in text.lines]
        try:
            joined.append(join(text.pieces, text.new))
        except Damaged as error:
            raise Bad(filters.LOST, str(error)) from None
        filters.check_copy(text.source, text.translation)
        filters.check_language(text.translation, expected, is_answer=text.is_answer)
    new = replace(checks.with_texts(each.record, joined), id=f"{each.record.id}@{expected.language.tag}")
    checks.check(new, max_bytes=sys.maxsize)
    each.translated = new


def _check_lengths(each: _Work, lengths: Lengths) -> None:
    for text in each.texts:
        lengths.check(text.source, text.translation)


def _translate_back(work: Sequence[_Work], back: _Memory, bounds: Bounds) -> dict[str, Any]:
    scores: list[float] = []

    def compare(each: _Work) -> None:
        for text in each.texts:
            if text.lines:
                score = filters.back_chrf(text.source, "\n".join(back.get(line) for line in text.new))
                scores.append(score)
                if score < bounds.least_back_chrf:
                    raise Bad(filters.BACK, f"chrF++ {score:.1f}: {text.translation[:80]}")

    for block in _blocks([each for each in work if each.bad is None]):
        back.fetch(line for each in block for text in each.texts for line in text.new)
        for each in block:
            each.go_on(compare)
        _require_good(work, bounds.max_bad_share)
    return {**back.figures(), "median_chrf": median(scores) if scores else None}


def _outcome(each: _Work) -> Outcome:
    if each.bad is None:
        return Outcome(each.record, each.translated)
    return Outcome(each.record, None, each.bad.why, each.bad.detail)


def _blocks(work: Sequence[_Work]) -> Iterator[Sequence[_Work]]:
    for start in range(0, len(work), BLOCK_RECORDS):
        yield work[start : start + BLOCK_RECORDS]


def _good_texts(work: Sequence[_Work]) -> list[_Text]:
    return [text for each in work if each.bad is None for text in each.texts]


def _require_good(work: Sequence[_Work], max_bad_share: float) -> None:
    bad = [each.bad for each in work if each.bad is not None]
    if len(bad) <= max_bad_share * len(work):
        return
    common = Counter(found.why for found in bad).most_common(4)
    first = {found.why: found.detail for found in reversed(bad)}
    told = [f"{count:,} x {why}, first: {first[why]}" for why, count in common]
    raise StageError(
        f"{len(bad):,} of {len(work):,} translations are bad, above max_bad_share = {max_bad_share:.2%}.",
        remedy="\n  ".join([*told, "What is translated is kept. Mend the translator, or raise `max_bad_share`."]),
    )

"""Which records of a stream are kept, and which are set apart, with their reason."""

import hashlib
import json
import re
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import Literal, TextIO

from lingraft.corpus.document import Unusable

from . import checks
from .languages import ANOTHER, IN_LANGUAGE, IN_SCRIPT, Expected
from .read import Read
from .record import Conversation, Preference, Record, Verdict

NUMBER = re.compile(r"\d+$")
"""Of the line or row, at the end of a place."""
DUPLICATE = "a duplicate"
CONTRADICTS = "the opposite of an earlier record"
OTHER_STREAM = "its prompt is held out in the other stream"
ANSWER_LANGUAGE = "an answer in another language"
CHOSEN_LANGUAGE = "the preferred answer is in another language"
PROMPT_LANGUAGE = "a prompt in another language"
SWAPPED = "answers swapped, the rejected one being in the language"
NOT_BAD = frozenset((DUPLICATE, CONTRADICTS, OTHER_STREAM))
"""Left out, but nothing is wrong with the source for it."""


@dataclass
class Kept:
    """A record that passed, and what is counted of it."""

    record: Record
    source: str
    place: str
    identity: str
    """Of its content."""
    prompt: bytes
    """A key of the first question: what a split must not tear apart."""
    languages: tuple[str, ...]
    """Of its answers, as `Expected.judge` has them."""


@dataclass
class Stream:
    """What came from the sources of one stream."""

    kept: list[Kept] = field(default_factory=list)
    num_records: int = 0
    bad: Counter[str] = field(default_factory=Counter)
    first_bad: dict[str, str] = field(default_factory=dict)
    sources: dict[str, Counter[str]] = field(default_factory=dict)


class Sieve:
    """Takes records one by one, over all streams, and writes down which it leaves out."""

    def __init__(self, quarantine: TextIO, max_record_bytes: int, wrong_language: Literal["drop", "swap"]) -> None:
        self.quarantined: Counter[str] = Counter()
        self.repaired: Counter[str] = Counter()
        self._file = quarantine
        self._max_bytes = max_record_bytes
        self._wrong_language = wrong_language
        self._seen: dict[bytes, bytes] = {}

    def take(self, name: str, stream: Stream, found: Read, expected: Expected, *, questions: bool) -> None:
        """Keep a record of the stream, or leave it out; `questions` says whether their language counts too."""
        stream.num_records += 1
        counted = stream.sources.setdefault(found.source, Counter(records=0, kept=0))
        counted["records"] += 1
        if found.record is None:
            self._leave(name, stream, found, found.why, found.detail)
            return
        try:
            record, languages, repairs = self._judged(found.record, expected, questions)
        except Unusable as bad:
            self._leave(name, stream, found, bad.reason, bad.detail)
            return
        self.repaired.update(repairs)
        identity = _digest(record)
        record = replace(record, id=f"{found.source}-{identity}")
        prompt = checks.digest(checks.plain(checks.asked(record)[:1]))
        stream.kept.append(Kept(record, found.source, found.place, identity, prompt, languages))
        counted["kept"] += 1

    def leave(self, name: str, stream: Stream, prompts: set[bytes], why: str) -> None:
        """Take the records with these first questions out again."""
        leaving = [kept for kept in stream.kept if kept.prompt in prompts]
        stream.kept = [kept for kept in stream.kept if kept.prompt not in prompts]
        for kept in leaving:
            stream.sources[kept.source]["kept"] -= 1
            self._leave(name, stream, Read(kept.record, kept.source, kept.place), why, "")

    def _judged(self, record: Record, expected: Expected, questions: bool) -> tuple[Record, tuple[str, ...], list[str]]:
        """The record mended, the languages of its answers, and what was mended."""
        record, repairs = checks.mended(record)
        checks.check(record, self._max_bytes)
        languages = tuple(expected.judge([answer]) for answer in checks.answers(record))
        if isinstance(record, Conversation):
            if ANOTHER in languages:
                raise Unusable(ANSWER_LANGUAGE, f"answer {languages.index(ANOTHER) + 1}")
        elif languages[0] == ANOTHER and not (isinstance(record, Verdict) and not record.good):
            if self._wrong_language == "drop" or not set(languages[1:]) & {IN_LANGUAGE, IN_SCRIPT}:
                raise Unusable(CHOSEN_LANGUAGE)
            record = replace(record, chosen=record.rejected, rejected=record.chosen)
            languages = languages[::-1]
            repairs = [*repairs, SWAPPED]
        if questions and expected.judge_question(checks.asked(record)) == ANOTHER:
            raise Unusable(PROMPT_LANGUAGE)
        self._refuse_known(record)
        return record, languages, repairs

    def _refuse_known(self, record: Record) -> None:
        """Near-duplicates share a key; what stands the other way around shares it too."""
        said = [checks.plain([text]) for text in checks.texts(record)]
        state = ""
        if isinstance(record, Preference):
            state = str(said[-2] < said[-1])
            said[-2:] = sorted(said[-2:])
        elif isinstance(record, Verdict):
            state = str(record.good)
        key, value = checks.digest(type(record).__name__, *said), state.encode()
        if key in self._seen:
            raise Unusable(DUPLICATE if self._seen[key] == value else CONTRADICTS)
        self._seen[key] = value

    def _leave(self, name: str, stream: Stream, found: Read, why: str, detail: str) -> None:
        self.quarantined[why] += 1
        stream.sources[found.source][why] += 1
        if why not in NOT_BAD:
            stream.bad[why] += 1
            stream.first_bad.setdefault(why, f"{found.place} {detail}".rstrip())
        record = found.row if found.record is None else found.record.as_json()
        number = int(NUMBER.search(found.place)[0])
        line = {"stream": name, "source": found.source, "number": number, "place": found.place}
        line |= {"why": why, "detail": detail, "record": record}
        self._file.write(json.dumps(line, ensure_ascii=False, default=str) + "\n")


def _digest(record: Record) -> str:
    content = json.dumps(record.as_json() | {"id": ""}, ensure_ascii=False, sort_keys=True)
    return hashlib.blake2b(content.encode(), digest_size=8).hexdigest()

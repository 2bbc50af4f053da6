"""Conversations or preferences on disk: read, checked, without duplicates, split by prompt."""

import hashlib
import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, TextIO

from lingraft.core.errors import StageError
from lingraft.core.outside import RecordSource
from lingraft.core.progress import SILENT, Progress
from lingraft.corpus.document import Unusable
from lingraft.corpus.split import Told, hold_out, rank

from . import checks, figures
from .languages import ANOTHER, IN_LANGUAGE, IN_SCRIPT, Expected
from .read import Read, read
from .record import Conversation, Preference, Record, Verdict

QUARANTINE = "quarantine.jsonl"
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
UNITS = {Conversation: "conversations", Preference: "pairs", Verdict: "verdicts"}
SPLIT = Told(
    "records",
    "Give records with more than one prompt, or set `held_out: 0`.",
    "Lower `held_out`, or give more records.",
)


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


class Builder:
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


def build(
    streams: Mapping[str, Sequence[RecordSource]],
    folder: Path,
    *,
    wanted: type[Record] | tuple[type[Record], ...],
    languages: Mapping[str, Expected],
    expected: Mapping[str, str],
    base_folder: Path,
    held_out: int,
    size: int | None,
    max_record_bytes: int,
    max_bad_share: float,
    wrong_language: Literal["drop", "swap"] = "drop",
    seed: int,
    progress: Progress = SILENT,
) -> dict[str, Any]:
    """Write `<stream>.jsonl` and `<stream>.held_out.jsonl` to `folder`, one record a line, and give the figures.

    What is left out stands in `quarantine.jsonl` with its reason. `expected` is the language of each stream, and
    `languages` judges by tag. Records with the same first question are held out together or not at all; a question
    held out in one stream is in no stream's training. `size` limits the training records of the target, the smaller
    number being always among the larger. All records are held in memory.

    Raises StageError when the share of bad records in a stream is above `max_bad_share` or a stream is empty, and
    InputError as `read` and `hold_out` do.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for path in folder.glob("*.jsonl"):
        path.unlink()
    found: dict[str, Stream] = {}
    with (folder / QUARANTINE).open("w", encoding="utf-8", errors="backslashreplace") as quarantine:
        builder = Builder(quarantine, max_record_bytes, wrong_language)
        for name, sources in streams.items():
            if not sources:
                continue
            stream = found[name] = Stream()
            for source in sources:
                judge = languages[source.language or expected[name]]
                questions = name == "target" and source.language is None
                for entry in read(source, base_folder, wanted, max_record_bytes=max_record_bytes, progress=progress):
                    builder.take(name, stream, entry, judge, questions=questions)
            _require_records(name, stream, max_bad_share, folder / QUARANTINE)
        chosen = {name: _held_out(name, stream, held_out, seed) for name, stream in found.items()}
        for name, stream in found.items():
            elsewhere = set().union(*(keys for other, keys in chosen.items() if other != name)) - chosen[name]
            builder.leave(name, stream, elsewhere, OTHER_STREAM)
    told = {}
    for name, stream in found.items():
        train = [kept for kept in stream.kept if kept.prompt not in chosen[name]]
        kept_out = [kept for kept in stream.kept if kept.prompt in chosen[name]]
        available = len(train)
        if name == "target" and size is not None:
            first = set(
                sorted((kept.identity for kept in train), key=lambda identity: rank(identity.encode(), seed))[:size]
            )
            train = [kept for kept in train if kept.identity in first]
        for part, records in (("", train), (".held_out", kept_out)):
            _write(folder / f"{name}{part}.jsonl", [kept.record for kept in records])
        told[name] = {"language": expected[name], "available": available} | figures.stream(train, kept_out)
    return {
        "streams": told,
        "quarantined": dict(builder.quarantined.most_common()),
        "repaired": dict(builder.repaired.most_common()),
        "sources": [
            {"stream": name, "source": source} | dict(counts)
            for name, stream in found.items()
            for source, counts in stream.sources.items()
        ],
        "judged_by": {tag: judge.figures() for tag, judge in languages.items()},
    }


def _held_out(name: str, stream: Stream, number: int, seed: int) -> set[bytes]:
    """The questions to hold out, so that of pairs and of verdicts there is the same number."""
    chosen: set[bytes] = set()
    for kind, unit in UNITS.items():
        sizes = Counter(kept.prompt for kept in stream.kept if isinstance(kept.record, kind))
        if sizes:
            chosen |= hold_out(sizes, number, seed=seed, where=name, told=SPLIT._replace(unit=unit))
    return chosen


def _require_records(name: str, stream: Stream, max_bad_share: float, quarantine: Path) -> None:
    num_bad = stream.bad.total()
    if num_bad > max_bad_share * stream.num_records:
        common = [f"{count:,} x {why}, first {stream.first_bad[why]}" for why, count in stream.bad.most_common(4)]
        raise StageError(
            f"{num_bad:,} of {stream.num_records:,} {name} records are bad: {num_bad / stream.num_records:.2%}, "
            f"above max_bad_share = {max_bad_share:.2%}.",
            where=quarantine,
            remedy="\n  ".join([*common, "Mend the sources, or raise `max_bad_share`."]),
        )
    if not stream.kept:
        raise StageError(
            f"the {name} stream is empty: {stream.num_records:,} records, none of which was kept.",
            where=quarantine,
            remedy=f"Give `{name}` sources with records that do not stand in another stream.",
        )


def _write(path: Path, records: Sequence[Record]) -> None:
    with path.open("w", encoding="utf-8") as file:
        for record in records:
            file.write(json.dumps(record.as_json(), ensure_ascii=False) + "\n")


def _digest(record: Record) -> str:
    content = json.dumps(record.as_json() | {"id": ""}, ensure_ascii=False, sort_keys=True)
    return hashlib.blake2b(content.encode(), digest_size=8).hexdigest()

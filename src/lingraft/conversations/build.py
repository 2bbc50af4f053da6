"""Conversations or preferences on disk: read, checked, without duplicates, split by prompt."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from lingraft.core.errors import StageError
from lingraft.core.outside import RecordSource
from lingraft.core.progress import SILENT, Progress
from lingraft.corpus.split import Told, hold_out, rank

from . import figures
from .languages import Expected
from .read import read
from .record import Conversation, Preference, Record, Verdict, write
from .sift import OTHER_STREAM, Sieve, Stream

QUARANTINE = "quarantine.jsonl"
UNITS = {Conversation: "conversations", Preference: "pairs", Verdict: "verdicts"}
SPLIT = Told(
    "records",
    "Give records with more than one prompt, or set `held_out: 0`.",
    "Lower `held_out`, or give more records.",
)


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
        sieve = Sieve(quarantine, max_record_bytes, wrong_language)
        for name, sources in streams.items():
            if not sources:
                continue
            stream = found[name] = Stream()
            for source in sources:
                judge = languages[source.language or expected[name]]
                questions = name == "target" and source.language is None
                for entry in read(source, base_folder, wanted, max_record_bytes=max_record_bytes, progress=progress):
                    sieve.take(name, stream, entry, judge, questions=questions)
            _require_records(name, stream, max_bad_share, folder / QUARANTINE)
        chosen = {name: _held_out(name, stream, held_out, seed) for name, stream in found.items()}
        for name, stream in found.items():
            elsewhere = set().union(*(keys for other, keys in chosen.items() if other != name)) - chosen[name]
            sieve.leave(name, stream, elsewhere, OTHER_STREAM)
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
        for part, records in (("train", train), ("held_out", kept_out)):
            write(folder, name, part, (kept.record for kept in records))
        told[name] = {"language": expected[name], "available": available} | figures.stream(train, kept_out)
    return {
        "streams": told,
        "quarantined": dict(sieve.quarantined.most_common()),
        "repaired": dict(sieve.repaired.most_common()),
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

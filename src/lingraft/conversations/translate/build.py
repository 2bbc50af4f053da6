"""The streams of conversations or preferences with a part of the replay records in the target language too."""

import json
import math
import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lingraft.conversations import checks, figures, record
from lingraft.conversations.build import QUARANTINE
from lingraft.conversations.languages import Expected
from lingraft.conversations.record import Record
from lingraft.core.errors import StageError
from lingraft.core.progress import SILENT, Progress
from lingraft.corpus.split import rank

from .translate import Bounds, Outcome, translate
from .translator import Translator

TRAIN, KEPT_OUT = PARTS = ("train", "held_out")
DUPLICATE = "a duplicate of another record in the language"
HELD_OUT = "its question is held out in the language"


@dataclass(frozen=True)
class _Counted:
    record: Record
    languages: tuple[str, ...]


def build(
    data: Path,
    told: Mapping[str, Any],
    folder: Path,
    translator: Translator,
    expected: Expected,
    *,
    share: float,
    back: Translator | None = None,
    bounds: Bounds | None = None,
    seed: int,
    progress: Progress = SILENT,
) -> dict[str, Any]:
    """Write the files of `data` to `folder`, target with translations of a `share` of replay, and give the figures.

    Training and held-out records are translated apart, so that they stay apart; what a smaller share has, a larger one
    has too. A translation that doubles a record of the target, or trains on a question that is held out there, is left
    out with those that are bad: `quarantine.jsonl` has them, with their reasons. `told` are the figures of `data`.

    Raises StageError where there is no replay, and as `translate` does.
    """
    parts = {part: record.read(data, "replay", part) for part in PARTS}
    if not any(parts.values()):
        raise StageError(
            "there are no replay records to translate.",
            where=data,
            remedy="Give the stage that makes them `replay` sources.",
        )
    for path in folder.glob("*.jsonl"):
        path.unlink()
    chosen = [(part, number) for part, records in parts.items() for number in _chosen(records, share, seed)]
    outcomes, about = translate(
        [parts[part][number] for part, number in chosen],
        translator,
        expected,
        back=back,
        bounds=bounds,
        progress=progress,
    )
    own = {part: record.read(data, "target", part) for part in PARTS}
    taken = _Taken(own)
    added: dict[str, list[Record]] = {part: [] for part in PARTS}
    left_out: Counter[str] = Counter()
    with (folder / QUARANTINE).open("w", encoding="utf-8") as quarantine:
        # Held-out ones first: what is held out must not be trained on.
        for (part, number), outcome in sorted(
            zip(chosen, outcomes, strict=True), key=lambda one: (-PARTS.index(one[0][0]), one[0][1])
        ):
            outcome = taken.take(outcome, part)
            if outcome.record is not None:
                added[part].append(outcome.record)
                continue
            left_out[outcome.why] += 1
            row = {"stream": "replay", "source": record.file(data, "replay", part).name, "number": number + 1}
            row |= {"why": outcome.why, "detail": outcome.detail, "record": outcome.source.as_json()}
            quarantine.write(json.dumps(row, ensure_ascii=False) + "\n")
    for part in PARTS:
        replay = record.file(data, "replay", part)
        if replay.exists():
            shutil.copyfile(replay, folder / replay.name)
        record.write(folder, "target", part, [*own[part], *added[part]])
    train, held_out = ([_counted(found, expected) for found in (*own[part], *added[part])] for part in PARTS)
    target = {"language": expected.language.tag, "available": len(train), **figures.stream(train, held_out)}
    counts = {"share": share, "own": len(own[TRAIN])}
    counts |= {"added": len(added[TRAIN]), "added_held_out": len(added[KEPT_OUT])}
    return {
        "streams": {**told["streams"], "target": target},
        "quarantined": dict(left_out.most_common()),
        "sources": told.get("sources", []),
        "translation": counts | about,
    }


class _Taken:
    """What stands in the target stream already."""

    def __init__(self, own: Mapping[str, Sequence[Record]]) -> None:
        records = [found for part in own.values() for found in part]
        self._texts = {_texts(found) for found in records}
        self._held_out = {_question(found) for found in own[KEPT_OUT]}
        self._trained = {_question(found) for found in own[TRAIN]}

    def take(self, outcome: Outcome, part: str) -> Outcome:
        """The outcome, or one without a record where that must not be taken."""
        if outcome.record is None:
            return outcome
        texts, question = _texts(outcome.record), _question(outcome.record)
        if texts in self._texts:
            return replace(outcome, record=None, why=DUPLICATE)
        if question in (self._held_out if part == TRAIN else self._trained):
            return replace(outcome, record=None, why=HELD_OUT)
        self._texts.add(texts)
        if part == KEPT_OUT:
            self._held_out.add(question)
        return outcome


def _chosen(records: Sequence[Record], share: float, seed: int) -> list[int]:
    """The places of a share of the records, rounded up, in their order."""
    count = math.ceil(share * len(records) - 1e-9)
    ranked = sorted(range(len(records)), key=lambda place: rank(records[place].id.encode(), seed))
    return sorted(ranked[:count])


def _question(found: Record) -> bytes:
    return checks.digest(checks.plain(checks.asked(found)[:1]))


def _texts(found: Record) -> bytes:
    return checks.digest(type(found).__name__, *(checks.plain([text]) for text in checks.texts(found)))


def _counted(found: Record, expected: Expected) -> _Counted:
    return _Counted(found, tuple(expected.judge([answer]) for answer in checks.answers(found)))

"""What is counted of the records of a stream."""

from collections import Counter
from collections.abc import Sequence
from math import ceil
from typing import Any, Protocol

from . import checks
from .record import Conversation, Preference, Record, Verdict

QUANTILES = (0.1, 0.5, 0.9, 1.0)


class Counted(Protocol):
    """A record and the languages of its answers."""

    record: Record
    languages: tuple[str, ...]


def stream(train: Sequence[Counted], held_out: Sequence[Counted]) -> dict[str, Any]:
    """Numbers of records, answers and turns, bytes, languages; of the training part where nothing else is said.

    `bytes` are those of every text, `answer_bytes` the length of an answer at some quantiles.
    """
    records = [kept.record for kept in train]
    answers = [answer for record in records for answer in checks.answers(record)]
    turns = sorted(len(checks.messages(record)) for record in records)
    found: dict[str, Any] = {
        "train": len(train),
        "held_out": len(held_out),
        "bytes": sum(len(text.encode()) for record in records for text in checks.texts(record)),
        "held_out_bytes": sum(len(text.encode()) for kept in held_out for text in checks.texts(kept.record)),
        "answers": len(answers),
        "answer_bytes": _quantiles(sorted(len(answer.encode()) for answer in answers)),
        "turns": _quantiles(turns),
        "with_system": sum(checks.messages(record)[0].role == "system" for record in records),
        "answer_languages": dict(Counter(said for kept in train for said in kept.languages).most_common()),
    }
    if any(not isinstance(record, Conversation) for record in records):
        pairs = [record for record in records if isinstance(record, Preference)]
        verdicts = [record for record in records if isinstance(record, Verdict)]
        held_out_pairs = sum(isinstance(kept.record, Preference) for kept in held_out)
        longer = sum(len(pair.chosen.encode()) > len(pair.rejected.encode()) for pair in pairs)
        found |= {
            "pairs": len(pairs),
            "held_out_pairs": held_out_pairs,
            "verdicts": len(verdicts),
            "held_out_verdicts": len(held_out) - held_out_pairs,
            "good_verdicts": sum(verdict.good for verdict in verdicts),
            "chosen_longer": longer / len(pairs) if pairs else None,
        }
    return found


def _quantiles(ordered: Sequence[int]) -> dict[str, int]:
    """By their names, p10 to p100; empty without values."""
    if not ordered:
        return {}
    return {f"p{round(100 * q)}": ordered[ceil(q * len(ordered)) - 1] for q in QUANTILES}

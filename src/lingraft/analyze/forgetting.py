"""What adaptation cost: bits per byte of every language against the base, and how far the weights moved."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from itertools import chain
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from lingraft.core.artifact import write_json
from lingraft.core.errors import InputError
from lingraft.evaluate import statistics
from lingraft.evaluate.bits import Bits
from lingraft.evaluate.evaluate import LEAST_DOCUMENTS, HeldOut, measure_bits
from lingraft.evaluate.metrics import ratio
from lingraft.evaluate.statistics import Interval

from . import drift, new_tokens
from .subject import Subject

FORGOTTEN, KEPT, UNCLEAR = "forgotten", "kept", "not clear"


def forgetting(
    subject: Subject,
    *,
    forgotten_above: Annotated[float, Field(gt=0)] = 0.1,
    neighbors: Annotated[int, Field(ge=0)] = 20,
    still_degrees: Annotated[float, Field(gt=0)] = 1.0,
    text: Path | None = None,
) -> dict[str, Any]:
    """Bits per byte by language with a verdict, drift of weights and rows, neighbors of new tokens, dead ones.

    A language is forgotten when its bits per byte rose by more than the share `forgotten_above` of the base's and
    the whole interval lies above; kept when the whole interval lies below. New tokens are counted in the held-out
    text, and in the file `text` (UTF-8, a document a line) where one is given. A row is still when it turned by less
    than `still_degrees` from where it began.
    """
    if len(subject.models) < 2:
        return {"skipped": "there is one model, and none to compare it with."}
    measured = measure_bits(
        subject.models,
        subject.texts,
        subject.folder,
        context_tokens=subject.context_tokens,
        trusted=subject.trusted,
        progress=subject.progress,
    )
    languages = language_table(measured, subject.texts, forgotten_above=forgotten_above, seed=subject.seed)
    base, *_, adapted = subject.models
    return {
        "base": base,
        "adapted": adapted,
        "forgotten_above": forgotten_above,
        "languages": languages,
        "forgotten": [row["language"] for row in languages if row["model"] == adapted and row["verdict"] == FORGOTTEN],
        "curves": {name: curve(training["held_out_curve"]) for name, training in subject.trainings.items()},
        "weights": _weights(subject),
        "new_tokens": _new_tokens(subject, neighbors, still_degrees, text),
    }


def language_table(
    measured: Mapping[str, Mapping[str, Sequence[Bits]]],
    texts: Sequence[HeldOut],
    *,
    forgotten_above: float,
    seed: int,
) -> list[dict[str, Any]]:
    """A row for every language and model: bits per byte, their paired gap to the first model, and the verdict."""
    rows = []
    first = next(iter(measured))
    for held_out in texts:
        base = measured[first][held_out.stream]
        for model, streams in measured.items():
            records = streams[held_out.stream]
            compared: dict[str, Any] = {"gap": None, "rise": None, "verdict": None}
            if model != first:
                gap, rise = statistics.difference(records, base, seed=seed), _rise(records, base, seed)
                word = verdict(rise, len(records), forgotten_above)
                compared = {"gap": asdict(gap), "rise": asdict(rise), "verdict": word}
            rows.append(
                {
                    "model": model,
                    "stream": held_out.stream,
                    "language": held_out.language.name,
                    "documents": len(records),
                    "bytes": sum(record.bytes for record in records),
                    "bits_per_byte": asdict(statistics.bits_per_byte(records, seed=seed)),
                    **compared,
                }
            )
    return rows


def _rise(records: Sequence[Bits], base: Sequence[Bits], seed: int) -> Interval:
    """The share by which bits are above the base's; documents are resampled with what both models make of them."""
    counts = [[record.bits - before.bits, before.bits] for record, before in zip(records, base, strict=True)]
    return statistics.estimate(counts, ratio, seed=seed)


def verdict(rise: Interval, documents: int, forgotten_above: float) -> str:
    """Whether a share by which bits rose is for certain above the limit, for certain below, or neither."""
    if documents < LEAST_DOCUMENTS:  # resampling so few makes an interval that is far too narrow
        return UNCLEAR
    if rise.low > forgotten_above:
        return FORGOTTEN
    return KEPT if rise.high <= forgotten_above else UNCLEAR


def curve(held_out_curve: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """By bytes trained, the share by which every stream's bits per byte are above those at the start.

    Measured on few documents while the training ran, and kept as sums: there is no interval.
    """
    if not held_out_curve:
        return []
    start = held_out_curve[0]["bits_per_byte"]
    return [
        {
            "bytes": point["bytes"],
            "rise": {stream: value / start[stream] - 1 for stream, value in point["bits_per_byte"].items()},
        }
        for point in held_out_curve
    ]


def _weights(subject: Subject) -> dict[str, Any]:
    kept = subject.folder / "drift.json"
    if not kept.exists():
        base, *_, adapted = subject.models.values()
        write_json(kept, drift.matrices(base, adapted, trusted=subject.trusted, progress=subject.progress))
    return json.loads(kept.read_text(encoding="utf-8"))


def _new_tokens(subject: Subject, most: int, still_degrees: float, text: Path | None) -> dict[str, Any]:
    words = new_tokens.vocabulary(list(subject.models.values()))
    held_out = chain.from_iterable(held_out.texts for held_out in subject.texts)
    counts = new_tokens.count(words, chain(held_out, _lines(text)))
    sides = new_tokens.sides(words, counts, trusted=subject.trusted)
    found: dict[str, Any] = {
        "tied": len(sides) == 1,
        "tokens": len(words.new_ids),
        "dropped": len(words.matching.dropped),
        "start": next((name for name, path in subject.models.items() if path == words.start), None),
        "rows": new_tokens.moved(sides),
    }
    if not words.new_ids:
        return {**found, "skipped": "the adapted model has no tokens that the base has not."}
    return {
        **found,
        "text_tokens": counts.total(),
        "neighbors": new_tokens.neighbors(words, sides, counts, most),
        "still_degrees": still_degrees,
        "dead": {side.name: new_tokens.dead(words, side, counts, still_degrees=still_degrees) for side in sides},
    }


def _lines(text: Path | None) -> Iterator[str]:
    if text is None:
        return
    path = Path(text)
    if not path.is_file():
        raise InputError(
            "there is no such file.", where=path, remedy="Give the option text a UTF-8 text file, a document a line."
        )
    with path.open(encoding="utf-8") as lines:
        yield from (line.rstrip("\n") for line in lines)

"""XCOPA: which of two sentences is the cause, or the effect, of a premise."""

from collections.abc import Sequence

from lingraft.evaluate.task import Item, Task, without_overlap

from .source import Row, Source
from .words import Words, lowered, unfinished

PAPER = "Ponti et al. 2020, https://aclanthology.org/2020.emnlp-main.185 (cambridgeltl/xcopa)"
HUB = {"hub": "cambridgeltl/xcopa", "config": "{iso1}"}


def xcopa(source: Source, words: Words) -> list[Task]:
    """A premise goes on with "because" or "therefore" and one of two sentences: which is likelier.

    Languages: et ht id it qu sw ta th tr vi zh
    Metric: accuracy by likelihood per byte, and by likelihood
    Shots: from val
    Files: `{iso3}.test`, `{iso3}.val` with idx, premise, choice1, choice2, question (cause, effect) and label (0, 1)
    Hub: cambridgeltl/xcopa, `{iso1}`
    """
    items = _items(source.rows("{iso3}.test", **HUB, split="test"), source, words)
    shots = _items(source.rows("{iso3}.val", **HUB, split="validation"), source, words)
    return [
        Task(
            "xcopa",
            "xcopa",
            "XCOPA",
            source.language.tag,
            words.tag,
            "choice",
            items,
            without_overlap(shots, items),
            ("accuracy", "accuracy_sum"),
            source=PAPER,
        )
    ]


def _items(rows: Sequence[Row], source: Source, words: Words) -> tuple[Item, ...]:
    connectors = (words.because, words.therefore)
    return tuple(
        Item(
            str(row["idx"]),
            words.joined(unfinished(row.text("premise")), connectors[row.index("question", ("cause", "effect"))]),
            tuple(f"{words.space}{lowered(row.text(choice), source.language)}" for choice in ("choice1", "choice2")),
            row.index("label", ("0", "1")),
        )
        for row in rows
    )

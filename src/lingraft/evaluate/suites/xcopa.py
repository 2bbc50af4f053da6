"""XCOPA: which of two sentences is the cause, or the effect, of a premise."""

from lingraft.evaluate.task import Item, Task, without_overlap

from .source import Source
from .words import Words

PAPER = "Ponti et al. 2020, https://aclanthology.org/2020.emnlp-main.185 (cambridgeltl/xcopa)"


def xcopa(source: Source, words: Words) -> list[Task]:
    """The premise goes on with "because" or "therefore" and one of the two sentences (Ponti et al. 2020).

    Files: `{iso3}.test`, `{iso3}.val` with premise, choice1, choice2, question (cause or effect) and label.
    """
    hub = {"hub": "cambridgeltl/xcopa", "config": "{iso1}"}
    items = _items(source.rows("{iso3}.test", **hub, split="test"), words)
    shots = _items(source.rows("{iso3}.val", **hub, split="validation"), words)
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


def _items(rows: list[dict], words: Words) -> tuple[Item, ...]:
    connectors = {"cause": words.because, "effect": words.therefore}
    return tuple(
        Item(
            str(row["idx"]),
            f"{row['premise'].strip().rstrip('.।')} {connectors[row['question']]}",
            (_continued(row["choice1"]), _continued(row["choice2"])),
            row["label"],
        )
        for row in rows
    )


def _continued(sentence: str) -> str:
    return f" {sentence[:1].lower()}{sentence[1:]}"

"""XCOPA and HuCOPA: which of two sentences is the cause, or the effect, of a premise."""

from collections.abc import Sequence

from lingraft.evaluate.task import Item, Task, without_overlap

from .source import Row, Source
from .words import Words, lowered, unfinished

XCOPA = "Ponti et al. 2020, https://aclanthology.org/2020.emnlp-main.185 (cambridgeltl/xcopa)"
HUCOPA = "Ligeti-Nagy et al. 2024, https://aclanthology.org/2024.lrec-main.733 (NYTK/HuCoPA)"
PAPER = f"{XCOPA}; {HUCOPA}"
HUNGARIAN = "hu"


def xcopa(source: Source, words: Words) -> list[Task]:
    """A premise goes on with "because" or "therefore" and one of two sentences: which is likelier.

    Languages: et ht id it qu sw ta th tr vi zh; hu as HuCOPA
    Metric: accuracy by likelihood per byte, and by likelihood
    Shots: none by default; from val. Of HuCOPA train is asked, as the labels of test are not public
    Files: `{iso3}.test`, `{iso3}.val` with idx, premise, choice1, choice2, question (cause, effect) and label (0, 1);
    of HuCOPA `HuCoPA.train`, `HuCoPA.val`, where the label is 1 or 2
    Hub: cambridgeltl/xcopa, `{iso1}`; NYTK/HuCoPA
    """
    notes: tuple[str, ...] = ()
    if source.codes["iso1"] == HUNGARIAN:
        asked = source.rows("HuCoPA.train", hub="NYTK/HuCoPA", split="train")
        examples = source.rows("HuCoPA.val", hub="NYTK/HuCoPA", split="validation")
        title, paper, labels = "HuCOPA", HUCOPA, ("1", "2")
        notes = ("The labels of the test part are not public: the train part is asked.",)
    else:
        hub = {"hub": "cambridgeltl/xcopa", "config": "{iso1}"}
        asked = source.rows("{iso3}.test", **hub, split="test")
        examples = source.rows("{iso3}.val", **hub, split="validation")
        title, paper, labels = "XCOPA", XCOPA, ("0", "1")
    items, shots = _items(asked, labels, source, words), _items(examples, labels, source, words)
    return [
        Task(
            "xcopa",
            "xcopa",
            title,
            source.language.tag,
            words.tag,
            "choice",
            items,
            without_overlap(shots, items),
            num_shots=0,
            metrics=("accuracy", "accuracy_sum"),
            source=paper,
            notes=notes,
        )
    ]


def _items(rows: Sequence[Row], labels: Sequence[str], source: Source, words: Words) -> tuple[Item, ...]:
    connectors = (words.because, words.therefore)
    return tuple(
        Item(
            str(row["id"] if "id" in row else row["idx"]),
            words.joined(unfinished(row.text("premise")), connectors[row.index("question", ("cause", "effect"))]),
            tuple(f"{words.space}{lowered(row.text(choice), source.language)}" for choice in ("choice1", "choice2")),
            row.index("label", labels),
        )
        for row in rows
    )

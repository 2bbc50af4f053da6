"""PAWS-X: whether two sentences with much the same words say the same."""

from lingraft.evaluate.task import Item, Task, taking_turns, without_overlap

from .source import Row, Source
from .words import Words, unfinished

PAPER = "Yang et al. 2019, https://aclanthology.org/D19-1382 (google-research-datasets/paws-x)"
HUB = {"hub": "google-research-datasets/paws-x", "config": "{iso1}"}


def pawsx(source: Source, words: Words) -> list[Task]:
    """A sentence goes on with ", right?", then yes or no, and the other sentence: which is likelier.

    The prompt is that of Lin et al. 2022 (https://aclanthology.org/2022.emnlp-main.616).

    Languages: de en es fr ja ko zh
    Metric: accuracy by likelihood
    Shots: none by default; from validation (dev), one of each label after another
    Files: `{iso1}/test_2k`, `{iso1}/dev_2k` with id, sentence1, sentence2 and label (1: they say the same)
    Hub: google-research-datasets/paws-x, `{iso1}`
    """
    notes = []
    parts = []
    for file, part in (("{iso1}/test_2k", "test"), ("{iso1}/dev_2k", "validation")):
        rows = source.rows(file, **HUB, split=part)
        # Some pairs were never translated: they are empty in the data as it was published.
        whole = [row for row in rows if row["sentence1"] and row["sentence2"]]
        parts.append(tuple(_item(row, words) for row in whole))
        if part == "test" and len(whole) < len(rows):
            notes.append(f"Left out: {len(rows) - len(whole)} pairs without a translation.")
    items, shots = parts
    return [
        Task(
            "pawsx",
            "pawsx",
            "PAWS-X",
            source.language.tag,
            words.tag,
            "choice",
            items,
            taking_turns(without_overlap(shots, items)),
            num_shots=0,
            by_bytes=False,
            source=PAPER,
            notes=tuple(notes),
        )
    ]


def _item(row: Row, words: Words) -> Item:
    answers = tuple(words.agreed(answer, row.text("sentence2")) for answer in (words.no, words.yes))
    return Item(str(row["id"]), unfinished(row.text("sentence1")), answers, row.index("label", ("0", "1")))

"""XStoryCloze: which of two sentences ends a story."""

from lingraft.evaluate.task import Item, Task, without_overlap

from .source import Row, Source
from .words import Words

PAPER = "Lin et al. 2022, https://aclanthology.org/2022.emnlp-main.616 (juletxara/xstory_cloze)"
HUB = {"hub": "juletxara/xstory_cloze", "config": "{iso1}"}


def xstorycloze(source: Source, words: Words) -> list[Task]:
    """Four sentences of a story and two endings: which is likelier.

    Languages: ar en es eu hi id my ru sw te zh
    Metric: accuracy by likelihood per byte, and by likelihood (as the paper)
    Shots: none by default; from train
    Files: `{iso3}.eval`, `{iso3}.train` with story_id, input_sentence_1 to input_sentence_4, sentence_quiz1,
    sentence_quiz2 and answer_right_ending (1 or 2)
    Hub: juletxara/xstory_cloze, `{iso1}`
    """
    items, shots = (
        tuple(_item(row, source) for row in source.rows(f"{{iso3}}.{part}", **HUB, split=part))
        for part in ("eval", "train")
    )
    return [
        Task(
            "xstorycloze",
            "xstorycloze",
            "XStoryCloze",
            source.language.tag,
            source.language.tag,
            "choice",
            items,
            without_overlap(shots, items),
            num_shots=0,
            metrics=("accuracy", "accuracy_sum"),
            source=PAPER,
        )
    ]


def _item(row: Row, source: Source) -> Item:
    story = source.space.join(row.text(f"input_sentence_{number}") for number in range(1, 5))
    endings = tuple(f"{source.space}{row.text(f'sentence_quiz{number}')}" for number in (1, 2))
    return Item(str(row["story_id"]), story, endings, row.index("answer_right_ending", ("1", "2")))

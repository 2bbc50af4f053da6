"""XNLI: whether one sentence follows from another."""

from lingraft.evaluate.task import Item, Task, taking_turns, without_overlap

from .source import Source
from .words import Words, unfinished

PAPER = "Conneau et al. 2018, https://aclanthology.org/D18-1269 (facebook/xnli)"
HUB = {"hub": "facebook/xnli", "config": "{iso1}"}
LABELS = ("entailment", "neutral", "contradiction")


def xnli(source: Source, words: Words) -> list[Task]:
    """A premise goes on with ", right?", then yes, also or no, and the hypothesis: which is likeliest.

    The prompt is that of Lin et al. 2022 (https://aclanthology.org/2022.emnlp-main.616).

    Languages: ar bg de el en es fr hi ru sw th tr ur vi zh
    Metric: accuracy by likelihood
    Shots: none by default; from validation, one of each label after another
    Files: `{iso3}.test`, `{iso3}.validation` with premise, hypothesis and label (0 to 2, or its name)
    Hub: facebook/xnli, `{iso1}`
    """
    items, shots = (
        tuple(
            Item(
                str(row.number),
                unfinished(row.text("premise")),
                tuple(words.agreed(answer, row.text("hypothesis")) for answer in (words.yes, words.also, words.no)),
                row.index("label", LABELS),
                row.text("premise"),
            )
            for row in source.rows(f"{{iso3}}.{part}", **HUB, split=part)
        )
        for part in ("test", "validation")
    )
    return [
        Task(
            "xnli",
            "xnli",
            "XNLI",
            source.language.tag,
            words.tag,
            "choice",
            items,
            taking_turns(without_overlap(shots, items)),
            num_shots=0,
            by_bytes=False,
            source=PAPER,
        )
    ]

"""LAMBADA: the last word of a passage, which only the whole of it tells."""

from lingraft.evaluate.task import Item, Task

from .source import Row, Source
from .words import Words

PAPER = "Paperno et al. 2016, https://aclanthology.org/P16-1144; Radford et al. 2019 (EleutherAI/lambada_openai)"


def lambada(source: Source, words: Words) -> list[Task]:
    """Whether the last word of a passage is what greedy decoding writes; counted as lm-evaluation-harness counts it.

    Languages: de en es fr it
    Metric: accuracy (every token of the word is the likeliest one), and bits per byte of the word
    Shots: none, as usual
    Files: `{iso3}` with text
    Hub: EleutherAI/lambada_openai, `{iso1}`
    """
    if not source.language.spaces:
        raise source.nothing("without spaces there is no last word to guess")
    rows = source.rows("{iso3}", hub="EleutherAI/lambada_openai", config="{iso1}")
    return [
        Task(
            "lambada",
            "lambada",
            "LAMBADA",
            source.language.tag,
            source.language.tag,
            "predict",
            tuple(_item(row) for row in rows),
            metrics=("accuracy", "bits_per_byte"),
            source=PAPER,
        )
    ]


def _item(row: Row) -> Item:
    passage, space, word = row.text("text").rpartition(" ")
    if not space:
        raise row.wrong('has one word only in "text"')
    return Item(str(row.number), passage, (f" {word}",))

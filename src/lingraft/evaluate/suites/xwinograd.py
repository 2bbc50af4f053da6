"""XWinograd: whom a pronoun stands for."""

from lingraft.evaluate.task import Item, Task

from .source import Row, Source
from .words import Words

PAPER = "Tikhonov and Ryabinin 2021, https://aclanthology.org/2021.findings-acl.310 (Muennighoff/xwinograd)"
BLANK = "_"


def xwinograd(source: Source, words: Words) -> list[Task]:
    """A sentence with either of two names in its blank: after which the rest of it is likelier.

    The rest is scored alone, so that it does not matter how likely a name is (Trinh and Le 2018, "partial").

    Languages: en fr ja pt ru zh
    Metric: accuracy by likelihood
    Shots: none; there is one part only, and pairs of its sentences differ in a word
    Files: `{iso3}` with sentence (`_` is the blank), option1, option2 and answer (1 or 2)
    Hub: Muennighoff/xwinograd, `{iso1}` (Japanese is `jp`)
    """
    config = "jp" if source.codes["iso1"] == "ja" else "{iso1}"
    rows = source.rows("{iso3}", hub="Muennighoff/xwinograd", config=config)
    return [
        Task(
            "xwinograd",
            "xwinograd",
            "XWinograd",
            source.language.tag,
            source.language.tag,
            "choice",
            tuple(_item(row) for row in rows),
            by_bytes=False,
            source=PAPER,
        )
    ]


def _item(row: Row) -> Item:
    before, blank, after = row.text("sentence").partition(BLANK)
    if not blank or not after.strip():
        raise row.wrong(f'has no blank "{BLANK}" with a text after it in "sentence"')
    beginnings = tuple(before + row.text(option) for option in ("option1", "option2"))
    return Item(str(row.number), "", (after,), row.index("answer", ("1", "2")), contexts=beginnings)

"""English: whether a model still knows what it knew, whatever is grafted onto it."""

from collections.abc import Callable, Mapping
from dataclasses import replace

from lingraft.corpus.language import find
from lingraft.evaluate.task import Task

from .belebele import belebele
from .choice import Question, both_ways
from .lambada import lambada
from .source import NoDataError, Row, Source
from .words import WRITTEN, Words
from .xquad import xquad

PAPER = "Clark et al. 2018, https://arxiv.org/abs/1803.05457 (allenai/ai2_arc)"


def english(source: Source, words: Words) -> list[Task]:
    """LAMBADA, XQuAD, Belebele and ARC-Easy in English, with English prompts, whatever the language is.

    Languages: en
    Metric: that of each; of ARC-Easy accuracy of the likeliest letter, and of the likeliest option
    Shots: as of each; of ARC-Easy five by default, from validation
    Files: those of each in a folder of its name: `lambada/eng`, `xquad/eng`, `belebele/eng_Latn`; `arc/test`,
    `arc/validation` with id, question, choices.text, choices.label and answerKey. A part without files is left out
    Hub: those of each; allenai/ai2_arc, `ARC-Easy`
    """
    tasks: list[Task] = []
    missing = []
    for name, part in PARTS.items():
        folder = source.folder and source.folder / name
        try:
            tasks += part(Source(find("en"), folder), WRITTEN["en"])
        except NoDataError as error:
            missing.append(f"{name} is left out: {error.what}")
    if not tasks:
        raise NoDataError(
            " ".join(["none of the parts is there.", *missing]),
            where=source.folder or "the hub",
            remedy="docs/suites.md names the files.",
        )
    return [
        replace(task, name=f"english-{task.name}", suite="english", notes=(*task.notes, *missing)) for task in tasks
    ]


def arc(source: Source, words: Words) -> list[Task]:
    """Science questions of American schools."""
    test, validation = (
        [_question(row) for row in source.rows(split, hub="allenai/ai2_arc", config="ARC-Easy", split=split)]
        for split in ("test", "validation")
    )
    return both_ways("arc", "ARC-Easy", source, words, test, validation, PAPER)


def _question(row: Row) -> Question:
    labels = row.texts("choices", "label")
    return Question(
        str(row["id"]), row.text("question"), row.texts("choices", "text"), row.index("answerKey", labels), labels
    )


PARTS: Mapping[str, Callable[[Source, Words], list[Task]]] = {
    "lambada": lambada,
    "xquad": xquad,
    "belebele": belebele,
    "arc": arc,
}

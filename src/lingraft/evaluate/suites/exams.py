"""EXAMS: questions of school examinations."""

from lingraft.evaluate.task import Task

from .choice import Question, both_ways
from .source import Row, Source
from .words import Words

PAPER = "Hardalov et al. 2020, https://aclanthology.org/2020.emnlp-main.438 (mhardalov/exams)"
HUB = {"hub": "mhardalov/exams", "config": "multilingual"}


def exams(source: Source, words: Words) -> list[Task]:
    """Questions of school examinations with three to five options, asked by letter and by the text of the option.

    Languages: ar bg de es fr hr hu it lt mk pl pt sq sr tr vi
    Metric: accuracy of the likeliest letter, and of the likeliest option (Hardalov et al. 2020 fine-tune a classifier)
    Shots: five by default; from dev
    Files: `{iso3}.test`, `{iso3}.dev` with id, question, choices, labels and answer (a letter), or the hub's columns
    Hub: mhardalov/exams, `multilingual` (the rows of the language): question.stem, question.choices, answerKey
    """
    test, dev = (
        [_question(row) for row in _in_language(source.rows(file, **HUB, split=split), source)]
        for file, split in (("{iso3}.test", "test"), ("{iso3}.dev", "validation"))
    )
    return both_ways("exams", "EXAMS", source, words, test, dev, PAPER)


def _in_language(rows: list[Row], source: Source) -> list[Row]:
    """Of rows that say their language, as on the hub, those of the one that is tested."""
    name = source.codes["name"]
    found = [row for row in rows if "info" not in row or row.below("info").get("language", name) == name]
    if not found:
        raise source.nothing(f"no row is in {name}", rows[0].where)
    return found


def _question(row: Row) -> Question:
    if isinstance(row["question"], str):
        labels, options, text, key = row.texts("labels"), row.texts("choices"), row.text("question"), "answer"
    else:
        asked = row.below("question")
        labels, options = asked.texts("choices", "label"), asked.texts("choices", "text")
        text, key = asked.text("stem"), "answerKey"
    if len(labels) != len(options):
        raise row.wrong(f"has {len(labels)} labels and {len(options)} options")
    return Question(str(row["id"]), text, options, row.index(key, labels), labels)

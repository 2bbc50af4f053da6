"""Belebele: questions about short passages, the same in 122 languages."""

from lingraft.evaluate.task import Task, set_aside

from .choice import Question, both_ways
from .source import Row, Source
from .words import Words

PAPER = "Bandarkar et al. 2024, https://arxiv.org/abs/2308.16884 (facebook/belebele)"
NUM_SHOTS = 5


def belebele(source: Source, words: Words) -> list[Task]:
    """Questions about a passage with four options, asked by letter and by the text of the option.

    Languages: 122, by their FLORES-200 codes
    Metric: accuracy of the likeliest letter (as the paper asks), and of the likeliest option
    Shots: five; there is one part only, so the first question about each of the first five articles, none of which is
    asked
    Files: `{flores}` with flores_passage, question, mc_answer1 to mc_answer4, correct_answer_num (1 to 4), link and
    question_number
    Hub: facebook/belebele, `{flores}`
    """
    rows = source.rows("{flores}", hub="facebook/belebele", config="{flores}")
    questions = [_question(row) for row in rows]
    # Several passages may be of one article, which is set aside as a whole.
    articles = {question.passage: row.text("link") for question, row in zip(questions, rows, strict=True)}
    examples, asked = set_aside(questions, NUM_SHOTS, by=lambda question: articles[question.passage])
    notes = (
        f"The {len(rows) - len(asked)} questions of {len(examples)} articles give the examples and are not asked.",
    )
    return both_ways("belebele", "Belebele", source, words, asked, examples, PAPER, notes)


def _question(row: Row) -> Question:
    return Question(
        f"{row.text('link')} {row['question_number']} {row.number}",
        row.text("question"),
        tuple(row.text(f"mc_answer{number}") for number in range(1, 5)),
        row.index("correct_answer_num", ("1", "2", "3", "4")),
        passage=row.text("flores_passage"),
        group=row.text("flores_passage"),
    )

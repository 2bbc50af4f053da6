"""XQuAD: answers that stand in a paragraph, word for word."""

from collections.abc import Iterator, Mapping

from lingraft.evaluate.task import Item, Task, set_aside

from .source import Row, Source
from .words import Words

PAPER = "Artetxe et al. 2020, https://aclanthology.org/2020.acl-main.421 (google/xquad)"
NUM_SHOTS = 5


def xquad(source: Source, words: Words) -> list[Task]:
    """A paragraph and a question; the answer is written, greedily up to the end of the line.

    Languages: ar de el en es hi ro ru th tr vi zh; any other in files
    Metric: F1 of words against the nearest of the answers, and exact match, both without case and punctuation
    Shots: five; there is one part only, so the first question about every second of the first ten paragraphs, which
    make two articles and are not asked
    Files: `{iso3}` with id, context, question and answers, or context and qas, a list of these
    Hub: google/xquad, `xquad.{iso1}`: answers.text
    """
    rows = source.rows("{iso3}", hub="google/xquad", config="xquad.{iso1}", split="validation")
    every = [item for row in rows for item in _items(row, words)]
    shots, items = set_aside(every, NUM_SHOTS, by=lambda item: item.group, every=2)
    return [
        Task(
            "xquad",
            "xquad",
            "XQuAD",
            source.language.tag,
            words.tag,
            "write",
            items,
            shots,
            ("f1", "exact"),
            source=PAPER,
            notes=(
                f"The {len(every) - len(items)} questions of the first paragraphs give the examples and are not asked.",
            ),
        )
    ]


def _items(row: Row, words: Words) -> Iterator[Item]:
    paragraph = " ".join(row.text("context").split("\n"))
    questions = row.get("qas", [row])
    if not isinstance(questions, list) or not all(isinstance(asked, Mapping) for asked in questions):
        raise row.wrong(f'has no list of questions in "qas" ({questions!r})')
    for asked in questions:
        about = Row(asked, row.where, row.number)
        answers = about["answers"]
        are_texts = isinstance(answers, list) and all(isinstance(answer, str) for answer in answers)
        texts = about.texts("answers", None if are_texts else "text")
        context = f"{words.text}: {paragraph}\n{words.question}: {about.text('question')}\n{words.answer}:"
        yield Item(str(about["id"]), context, tuple(f"{words.space}{text.strip()}" for text in texts), 0, paragraph)

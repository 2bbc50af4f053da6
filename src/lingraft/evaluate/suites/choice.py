"""Questions with options, put in the two ways in which models are asked: by letter, and by the text of the option."""

from collections.abc import Sequence
from dataclasses import dataclass

from lingraft.evaluate.task import Item, Task, without_overlap

from .source import Source
from .words import Words


@dataclass(frozen=True)
class Question:
    """One question."""

    id: str
    text: str
    options: tuple[str, ...]
    gold: int
    labels: Sequence[str] = "ABCDEFGHIJ"
    passage: str = ""
    """What the question is about, where it is about a text."""
    group: str = ""
    topic: str = ""


def both_ways(
    name: str,
    title: str,
    source: Source,
    words: Words,
    questions: Sequence[Question],
    examples: Sequence[Question],
    paper: str,
    notes: tuple[str, ...] = (),
    suite: str | None = None,
) -> list[Task]:
    """A task by letter and one by text; the examples without what is asked."""
    common = {"suite": suite or name, "language": source.language.tag, "prompt_language": words.tag, "kind": "choice"}
    asked = tuple(by_option(question, words) for question in questions)
    solved = without_overlap(tuple(by_option(example, words) for example in examples), asked)
    kept = {(item.topic, item.id) for item in solved}
    lettered = tuple(by_letter(question, words) for question in questions)
    # Of two options of the same wording neither can be called the right one.
    clear = tuple(item for item in asked if item.answers.count(item.answers[item.gold]) == 1)
    if left_out := len(asked) - len(clear):
        notes_by_text = (*notes, f"Left out: {left_out} items with the right answer among the options twice.")
    else:
        notes_by_text = notes
    return [
        Task(
            f"{name}-letters",
            title=f"{title}, by letter",
            items=lettered,
            # A letter may stand for another option there, so what is asked is known by the texts as well.
            shots=without_overlap([by_letter(e, words) for e in examples if (e.topic, e.id) in kept], lettered),
            by_bytes=False,
            source=paper,
            notes=notes,
            **common,
        ),
        Task(
            f"{name}-options",
            title=f"{title}, by text of the option",
            items=clear,
            shots=solved,
            metrics=("accuracy", "accuracy_sum"),
            source=paper,
            notes=notes_by_text,
            **common,
        ),
    ]


def by_letter(question: Question, words: Words) -> Item:
    """The options stand in the prompt, a letter is the answer."""
    labels = tuple(question.labels)[: len(question.options)]
    options = "\n".join(f"{label}. {text}" for label, text in zip(labels, question.options, strict=True))
    context = f"{_asked(question, words)}\n{options}\n{words.answer}:"
    answers = tuple(f"{words.space}{label}" for label in labels)
    return Item(question.id, context, answers, question.gold, question.group, question.topic)


def by_option(question: Question, words: Words) -> Item:
    """The options are not shown; each is an answer."""
    context = f"{_asked(question, words)}\n{words.answer}:"
    answers = tuple(f"{words.space}{text}" for text in question.options)
    return Item(question.id, context, answers, question.gold, question.group, question.topic)


def _asked(question: Question, words: Words) -> str:
    passage = f"{words.text}: {question.passage}\n" if question.passage else ""
    return f"{passage}{words.question}: {question.text}"

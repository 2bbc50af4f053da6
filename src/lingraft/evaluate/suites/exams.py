"""EXAMS: questions of school examinations, asked by letter and by the text of the options."""

from lingraft.evaluate.task import Item, Task, without_overlap

from .source import Source
from .words import Words

PAPER = "Hardalov et al. 2020, https://aclanthology.org/2020.emnlp-main.438 (mhardalov/exams)"


def exams(source: Source, words: Words) -> list[Task]:
    """Multiple choice over four options or so (Hardalov et al. 2020), both ways in which models are asked.

    Files: `{iso3}.test`, `{iso3}.dev` with id, question, choices, labels, answer (a letter) and subject.
    """
    hub = {"hub": "mhardalov/exams", "config": "crosslingual_{iso1}"}
    test = source.rows("{iso3}.test", **hub, split="test")
    dev = source.rows("{iso3}.dev", **hub, split="validation")
    return multiple_choice("exams", "EXAMS", source, words, test, dev, PAPER)


def multiple_choice(
    name: str, title: str, source: Source, words: Words, test: list[dict], dev: list[dict], paper: str
) -> list[Task]:
    """Two tasks of rows with id, question, choices, labels, answer: by letter, and by the options' text."""
    tasks = []
    for way, make in (("letters", by_letter), ("options", by_option)):
        items = tuple(make(row, words) for row in test)
        shots = tuple(make(row, words) for row in dev)
        tasks.append(
            Task(
                f"{name}-{way}",
                name,
                f"{title}, by {'letter' if way == 'letters' else 'text of the option'}",
                source.language.tag,
                words.tag,
                "choice",
                items,
                without_overlap(shots, items),
                ("accuracy", "accuracy_sum") if way == "options" else ("accuracy",),
                by_bytes=way == "options",
                source=paper,
            )
        )
    return tasks


def by_letter(row: dict, words: Words) -> Item:
    """The options stand in the prompt, a letter is the answer."""
    options = "\n".join(f"{label}. {text}" for label, text in zip(row["labels"], row["choices"], strict=True))
    context = f"{words.question}: {row['question']}\n{options}\n{words.answer}:"
    answers = tuple(f" {label}" for label in row["labels"])
    return Item(row["id"], context, answers, row["labels"].index(row["answer"]), row.get("group", ""))


def by_option(row: dict, words: Words) -> Item:
    """The options are not shown; each is an answer."""
    context = f"{words.question}: {row['question']}\n{words.answer}:"
    answers = tuple(f" {text}" for text in row["choices"])
    return Item(row["id"], context, answers, row["labels"].index(row["answer"]), row.get("group", ""))

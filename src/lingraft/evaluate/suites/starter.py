"""The starter tasks: original Polish sentences, questions and stories that come along, small and free of rights."""

import json
from importlib.resources import files
from typing import Any

from lingraft.corpus.language import find
from lingraft.evaluate.task import Item, Task

from .choice import Question, by_letter, by_option
from .source import NoDataError, Source
from .translation import NUM_SHOTS, both_ways
from .words import Words

TAG = "pl"
PAPER = "Written for lingraft; CC0"
MAX_NEW_TOKENS = 48
"""The sentences are short."""


def starter(source: Source, words: Words) -> list[Task]:
    """Reading and knowledge by letter and by option, endings of stories and sentences, translation both ways.

    Languages: pl
    Metric: accuracy by likelihood per byte, and by likelihood; chrF++ of translations
    Shots: of translation five; else none
    Files: come along
    Hub: not there
    """
    if source.language.tag != TAG:
        raise NoDataError(
            f"the starter tasks are in Polish, not in {source.language.name}.",
            remedy="Leave the suite out, and name others with data in the language.",
        )
    common = {"suite": "starter", "language": TAG, "prompt_language": words.tag, "source": PAPER}
    choices = [
        Question(row["id"], row["question"], tuple(row["options"]), row["answer"], passage=row["context"])
        for row in _rows("choice")
    ]
    stories = _rows("cloze")
    tasks = [
        Task(
            "starter-options",
            title="Questions, by text of the option",
            kind="choice",
            items=tuple(by_option(question, words) for question in choices),
            metrics=("accuracy", "accuracy_sum"),
            **common,
        ),
        Task(
            "starter-letters",
            title="Questions, by letter",
            kind="choice",
            items=tuple(by_letter(question, words) for question in choices),
            by_bytes=False,
            **common,
        ),
    ]
    for kind, title in (("story", "Endings of stories"), ("word", "Last words of sentences")):
        items = tuple(_ending(row) for row in stories if row["kind"] == kind)
        tasks.append(
            Task(
                f"starter-{kind}",
                title=title,
                kind="choice",
                items=items,
                metrics=("accuracy", "accuracy_sum"),
                **{**common, "prompt_language": TAG},
            )
        )
    pairs = [(row["id"], row["pl"], row["en"]) for row in _rows("parallel")]
    languages = (find(TAG), find("en"))
    return tasks + both_ways(
        "starter",
        "Translation",
        pairs[NUM_SHOTS:],
        pairs[:NUM_SHOTS],
        languages,
        words,
        paper=PAPER,
        max_new_tokens=MAX_NEW_TOKENS,
    )


def _ending(row: dict[str, Any]) -> Item:
    return Item(row["id"], row["text"], tuple(f" {option}" for option in row["options"]), row["answer"])


def _rows(name: str) -> list[dict[str, Any]]:
    content = (files("lingraft.starter") / "tasks" / f"{name}.jsonl").read_bytes()
    return [json.loads(line) for line in content.splitlines()]

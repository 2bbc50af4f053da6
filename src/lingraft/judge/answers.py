"""What several models answer to the same prompts, and what can be counted of it without a judge."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lingraft.ask.message import Message
from lingraft.ask.respondent import Respondent
from lingraft.core.progress import SILENT, Progress
from lingraft.evaluate import task, writing
from lingraft.evaluate.language.word_language import WordLanguages

from .prompts import Prompt

LANGUAGE_METRICS = ("outputs_in_target", "in_target", "switched", "foreign_words")
"""That need words of the target and of another language to tell them by."""
ANSWERS = "answers.jsonl"
METRICS = ("empty", "loops", "repeated_4", "distinct_2", "characters", "cut")


@dataclass(frozen=True)
class Item:
    """A prompt and what each model answered."""

    id: str
    prompt: tuple[Message, ...]
    answers: Mapping[str, str]
    reference: str | None = None
    language: str = ""
    """BCP 47, in which answers are expected."""
    cut: Mapping[str, bool] = field(default_factory=dict)
    """By model, whether its answer ended only because no more tokens were allowed."""

    def as_json(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "prompt": [message.as_json() for message in self.prompt],
            "answers": dict(self.answers),
            "reference": self.reference,
            "language": self.language,
            "cut": dict(self.cut),
        }


@dataclass(frozen=True)
class Unanswered:
    """A prompt to which a model gave no answer."""

    id: str
    model: str
    why: str


def ask(
    models: Iterable[tuple[str, Respondent]],
    prompts: Sequence[Prompt],
    *,
    language: str,
    progress: Progress = SILENT,
) -> tuple[list[Item], list[Unanswered]]:
    """What each model answers to each prompt; a prompt that one of them could not be asked is left out for all.

    Where `models` makes each respondent when it is its turn, one of them is in memory at a time.
    """
    answers: dict[str, dict[str, str]] = {prompt.id: {} for prompt in prompts}
    cut: dict[str, dict[str, bool]] = {prompt.id: {} for prompt in prompts}
    unanswered = []
    num_models = 0
    for model, respondent in models:
        num_models += 1
        progress.event("answering", model=model)
        replies = respondent.reply([prompt.messages for prompt in prompts], progress=progress)
        for prompt, reply in zip(prompts, replies, strict=True):
            if reply.failure is not None:
                unanswered.append(Unanswered(prompt.id, model, reply.failure))
                continue
            answers[prompt.id][model] = reply.text.strip()
            cut[prompt.id][model] = reply.cut
    items = [
        Item(prompt.id, prompt.messages, answers[prompt.id], prompt.reference, language, cut[prompt.id])
        for prompt in prompts
        if len(answers[prompt.id]) == num_models
    ]
    return items, unanswered


def write(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """One JSON object a line; whole or not at all."""
    temporary = path.with_name(f"{path.name}.tmp")
    with temporary.open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    temporary.rename(path)


def samples(folder: Path, most: int, characters: int) -> list[dict[str, Any]]:
    """Some prompts of an artifact with their answers, evenly spread, each text cut to so many characters."""
    lines = (folder / ANSWERS).read_bytes().splitlines()  # as text it would be cut at U+2028 and others too
    rows = [json.loads(lines[place * len(lines) // most]) for place in range(most)] if len(lines) > most else None
    return [
        {
            "prompt": [{**turn, "content": _cut(turn["content"], characters)} for turn in row["prompt"]],
            "answers": {
                model: {"text": _cut(text, characters), "characters": len(text), "cut": row["cut"].get(model, False)}
                for model, text in row["answers"].items()
            },
        }
        for row in (map(json.loads, lines) if rows is None else rows)
    ]


def _cut(text: str, characters: int) -> str:
    return text if len(text) <= characters else f"{text[:characters]} …"


def figures(items: Sequence[Item], words: WordLanguages | None, *, seed: int) -> dict[str, Any]:
    """Language, loops, repetition and length of every model's answers, with the differences from the first model's.

    Without `words` nothing is told of the language. An answer is in the language when at least half of its words are;
    one of names and numbers alone is not counted.
    """
    models = list(items[0].answers)
    asked = task.Task(
        *("answers", "answers", "Answers", items[0].language, items[0].language, "write"),
        tuple(task.Item(item.id, "\n".join(turn.content for turn in item.prompt), ("",)) for item in items),
        metrics=(*(LANGUAGE_METRICS if words else ()), *METRICS),
        stop=(),
    )
    given = {
        model: [task.Answer(item.id, item.answers[model], _counts(item, model)) for item in items] for model in models
    }
    found = writing.described(asked, given, words, base=models[0], seed=seed)
    for row in found["rows"]:
        if row["metric"] == "characters" and row["against"]:
            verdict = row["against"]["verdict"]
            row["against"]["verdict"] = {"better": "longer", "worse": "shorter"}.get(verdict, verdict)
    return found


def _counts(item: Item, model: str) -> dict[str, list[float]]:
    return {"characters": [float(len(item.answers[model])), 1.0], "cut": [float(item.cut[model]), 1.0]}

"""What models answer, how it stands in the file, and what is counted of it."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from lingraft.ask.message import Message, Messages
from lingraft.ask.respondent import Reply
from lingraft.core.progress import SILENT, Progress
from lingraft.corpus.language import find
from lingraft.evaluate.language.word_language import WordLanguages
from lingraft.judge import answers
from lingraft.judge.answers import METRICS, Unanswered
from lingraft.judge.prompts import Prompt

PROMPTS = [Prompt(str(n), (Message("user", f"Pytanie {n}?"),), f"Wzorzec {n}") for n in range(8)]


class Model:
    def __init__(self, name: str, say: Callable[[int], Reply]) -> None:
        self.name = self.identity = name
        self.say = say

    def reply(self, asked: Sequence[Messages], *, progress: Progress = SILENT) -> list[Reply]:
        return [self.say(int(messages[-1].content.split()[1].rstrip("?"))) for messages in asked]


def ask(*models: Model) -> tuple[list[answers.Item], list[Unanswered]]:
    return answers.ask(((model.name, model) for model in models), PROMPTS, language="pl")


def test_a_line_separator_in_an_answer_ends_no_line(tmp_path: Path) -> None:
    items, _ = ask(Model("base", lambda n: Reply(f"a\u2028b\u0085c {n}")))
    answers.write(tmp_path / "answers.jsonl", (item.as_json() for item in items))
    found = answers.samples(tmp_path, 4, 100)
    assert [row["answers"]["base"]["text"] for row in found] == [f"a\u2028b\u0085c {n}" for n in (0, 2, 4, 6)]


def test_the_file_of_answers(tmp_path: Path) -> None:
    base = Model("base", lambda n: Reply(f" and {n}", None, (5, 9), cut=True))
    tuned = Model("tuned", lambda n: Reply("", "The question is too long.") if n == 3 else Reply(f"Odpowiedź {n}.\n"))
    items, unanswered = ask(base, tuned)
    assert unanswered == [Unanswered("3", "tuned", "The question is too long.")]
    answers.write(tmp_path / "answers.jsonl", (item.as_json() for item in items))
    rows = [json.loads(line) for line in (tmp_path / "answers.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [row["id"] for row in rows] == ["0", "1", "2", "4", "5", "6", "7"]
    assert rows[0] == {
        "id": "0",
        "prompt": [{"role": "user", "content": "Pytanie 0?"}],
        "answers": {"base": "and 0", "tuned": "Odpowiedź 0."},
        "reference": "Wzorzec 0",
        "language": "pl",
        "cut": {"base": True, "tuned": False},
    }


def values(found: dict, model: str) -> dict[str, float]:
    return {row["metric"]: row["value"] for row in found["rows"] if row["model"] == model}


def test_what_is_counted_without_a_judge(polish: list[str], english: list[str]) -> None:
    words = WordLanguages.learn(polish * 4, english * 4, find("pl"), find("en"))
    base = Model("base", lambda n: Reply(english[n] if n < 6 else "", None, None, cut=n < 4))
    tuned = Model("tuned", lambda n: Reply(f"{polish[n]} {polish[n - 1]}"))
    items, _ = ask(base, tuned)
    found = answers.figures(items, words, seed=1)
    assert json.dumps(found, allow_nan=False)
    before, after = values(found, "base"), values(found, "tuned")
    assert (before["outputs_in_target"], after["outputs_in_target"]) == (0, 1)
    assert (before["in_target"], after["in_target"]) == (0, 1)
    assert (before["empty"], after["empty"]) == (0.25, 0)
    assert (before["cut"], after["cut"]) == (0.5, 0)
    lengths = [len(f"{polish[n]} {polish[n - 1]}") for n in range(8)]
    assert after["characters"] == pytest.approx(sum(lengths) / 8)
    longer = next(row for row in found["rows"] if row["metric"] == "characters" and row["model"] == "tuned")
    assert longer["against"]["verdict"] in ("longer", "no difference")
    assert longer["against"]["difference"] == pytest.approx(after["characters"] - before["characters"])
    assert found["passages"]["tuned"] == []
    assert found["reliability"] is not None


def test_loops_are_counted() -> None:
    items, _ = ask(Model("base", lambda n: Reply("tak i nie " * 40)), Model("tuned", lambda n: Reply("Osiem nóg.")))
    found = answers.figures(items, None, seed=1)
    assert (values(found, "base")["loops"], values(found, "tuned")["loops"]) == (1, 0)


def test_without_words_nothing_is_told_of_the_language(polish: list[str]) -> None:
    items, _ = ask(Model("base", lambda n: Reply(polish[n])))
    found = answers.figures(items, None, seed=1)
    assert list(values(found, "base")) == list(METRICS)
    assert found["reliability"] is None
    assert json.dumps(found, allow_nan=False)


def test_longer_answers_are_neither_better_nor_worse() -> None:
    items, _ = ask(Model("base", lambda n: Reply("x" * (9 + n))), Model("tuned", lambda n: Reply("x" * (90 + 2 * n))))
    found = answers.figures(items * 3, None, seed=1)
    row = next(row for row in found["rows"] if row["metric"] == "characters" and row["against"])
    assert row["against"]["verdict"] == "longer"

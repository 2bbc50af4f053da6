"""Answers to judge, and servers that ask about them."""

import contextlib
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import uvicorn
from starlette.types import ASGIApp

from lingraft.judge.human import items, questions
from lingraft.judge.human.ballots import Ballots
from lingraft.judge.human.connections import Connection
from lingraft.judge.human.serve import bound

STRONG, WEAK = "strong-model", "weak-model"
TEXTS = {
    "pl": (
        "Jak upiec chleb?",
        "Wymieszaj mąkę, wodę i drożdże, a potem piecz godzinę.",
        "Chleb jest piec bo mąka tak.",
    ),
    "ar": (
        "كيف أخبز الخبز؟",
        "اخلط الدقيق والماء والخميرة ثم اخبز العجين ساعة كاملة.",
        "الخبز هو خبز لأن الدقيق هكذا.",
    ),
}


def rows(count: int, language: str = "pl") -> list[dict[str, Any]]:
    """Items of two models."""
    asked, good, bad = TEXTS[language]
    return [
        {
            "id": f"item-{number}",
            "prompt": [{"role": "user", "content": f"{number}. {asked}"}],
            "answers": {STRONG: f"{good} ({number})", WEAK: f"{bad} ({number})"},
            "language": language,
        }
        for number in range(1, count + 1)
    ]


def write(path: Path, found: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in found), encoding="utf-8")
    return path


def begin(
    folder: Path, found: list[dict[str, Any]], mode: str = "compare", *, attention_share: float = 0.0, **more: Any
) -> tuple[Ballots, list[questions.Question]]:
    """The ballots on some rows, in a file of `folder`, made or opened again."""
    read = items.read(write(folder / "answers.jsonl", found))
    asked = questions.make(read, mode, attention_share=attention_share, seed=17)
    path = folder / "ballots.sqlite"
    return Ballots.begin(path, asked, mode, attention_share=attention_share, seed=17, **more), asked


@contextlib.contextmanager
def served(app: ASGIApp, port: int = 0) -> Iterator[str]:
    """The address of a real server in a thread."""
    listening = bound("127.0.0.1", port)
    config = uvicorn.Config(app, http=Connection, log_level="warning", lifespan="off", ws="none")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        server.should_exit = server.force_exit = True
        thread.join(20)
        listening.close()

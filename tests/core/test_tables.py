from pathlib import Path

from lingraft.core.stage import Input
from lingraft.core.tables import missing


def step(**figures: object) -> Input:
    return Input("evaluate", "f", Path(), figures, {})


def test_what_is_missing_is_told_with_its_place() -> None:
    found = [
        {"suite": "xcopa", "why": "there is no Polish here.", "task": None, "model": None},
        {"suite": "exams", "why": "an answer is too long.", "task": "exams-options", "model": "base"},
    ]
    assert missing({"corpus": step(), "report": None, "evaluate": step(missing=found)}) == [
        "missing: evaluate: xcopa: there is no Polish here.",
        "missing: evaluate: exams-options, base: an answer is too long.",
    ]

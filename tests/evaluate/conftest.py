import json
from pathlib import Path

import pytest

import lingraft
from lingraft.corpus.language import find
from lingraft.evaluate.word_language import WordLanguages

STARTER = Path(lingraft.__file__).parent / "starter" / "texts"


@pytest.fixture(scope="session")
def starter() -> dict[str, list[str]]:
    """The embedded texts by language."""
    return {
        tag: [
            json.loads(line)["text"]
            for file in sorted((STARTER / tag).glob("*.jsonl"))
            for line in file.read_text(encoding="utf-8").splitlines()
        ]
        for tag in ("pl", "en")
    }


@pytest.fixture(scope="session")
def polish_words(starter: dict[str, list[str]]) -> WordLanguages:
    """Learned from the embedded texts."""
    return WordLanguages.learn(starter["pl"], starter["en"], find("pl"), find("en"))

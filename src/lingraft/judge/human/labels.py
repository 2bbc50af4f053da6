"""The words of the page, in the languages they were written in."""

import functools
import json
from collections.abc import Iterable
from pathlib import Path

FOLDER = Path(__file__).parent / "pages" / "labels"
DEFAULT = "en"


@functools.cache
def all_languages() -> dict[str, dict[str, str]]:
    """For each language every label; what it lacks is English."""
    read = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(FOLDER.glob("*.json"))}
    return {tag: read[DEFAULT] | words for tag, words in read.items()}


def best(wanted: Iterable[str | None]) -> str:
    """The first of the wanted BCP 47 tags whose language there are labels in."""
    known = all_languages()
    tags = (tag.split("-")[0].lower() for tag in wanted if tag)
    return next((tag for tag in tags if tag in known), DEFAULT)

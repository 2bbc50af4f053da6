"""The page as it is sent: labels filled in, texts not; those the script sets, as text."""

import functools
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from lingraft.judge.questions import AXES

from . import labels
from .questions import Mode
from .votes import CHOICES

PAGES = Path(__file__).parent / "pages"
FILES = {
    name: ((PAGES / name).read_bytes(), media_type)
    for name, media_type in {
        "page.css": "text/css",
        "page.js": "text/javascript",
        "texts.js": "text/javascript",
        "icon.svg": "image/svg+xml",
    }.items()
}


@functools.cache
def page(language: str, mode: Mode, study: str) -> str:
    """In one of the languages there are labels in; `study` tells pages of different answers apart."""
    environment = Environment(
        loader=FileSystemLoader(PAGES), autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=StrictUndefined
    )
    every = labels.all_languages()
    return environment.get_template("page.html").render(
        language=language,
        labels=every[language],
        languages={tag: words["language"] for tag, words in every.items()},
        mode=mode,
        study=study,
        choices=CHOICES,
        axes=AXES,
    )

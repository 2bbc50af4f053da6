"""The report as one HTML file that asks nothing of the network."""

import base64
import functools
import gzip
import hashlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from . import (
    aligned,
    analysis,
    answers,
    balance,
    figures,
    format,
    headline,
    judgement,
    people,
    phone,
    records,
    tables,
    tasks,
    tuning,
    warnings,
)

TEMPLATES = Path(__file__).parent / "templates"
STYLES = ("page.css", "analysis.css")


def write(report: Mapping[str, Any], folder: Path) -> Path:
    """The path of `folder`/report.html, one page that shows every part the report has and leaves out the others.

    The same report gives the same bytes. plotly.js travels inside, compressed, only when there are curves to draw.
    """
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES), autoescape=True, trim_blocks=True, lstrip_blocks=True, auto_reload=False
    )
    environment.filters.update(format.FILTERS)
    environment.globals.update(
        tables=tables,
        headline=headline,
        balance=balance.balance,
        costs=balance.costs,
        contents=contents,
        stacked=phone.stacked,
        tasks=tasks,
        analyses=analysis,
        aligned=aligned,
        answers=answers,
        judging=judgement,
        people=people,
        listing=records,
        tuning=tuning,
        warnings=warnings.warnings,
    )
    script = (TEMPLATES / "page.js").read_text(encoding="utf-8")
    curves = figures.curves(report)
    library = get_plotlyjs() if curves else ""
    page = environment.get_template("page.html").render(
        report,
        report=report,
        names={stream: headline.language(report, stream) for stream in tables.STREAMS},
        curves=curves,
        style=Markup("".join((TEMPLATES / name).read_text(encoding="utf-8") for name in STYLES)),
        script=Markup(script),
        library=Markup(_packed(library)) if curves else "",
        allowed_scripts=" ".join(_content_hash(text) for text in (script, library)) if curves else "'none'",
    )
    path = folder / "report.html"
    path.write_text(page, encoding="utf-8")
    return path


def contents(body: str) -> list[tuple[str, str]]:
    """Id and title of every section that begins with a title, in their order."""
    found = re.findall(r'<section id="([^"]+)">\s*(?:<div class="bar">\s*)?<h2>(.*?)</h2>', body)
    return [(name, Markup(title)) for name, title in found]


@functools.cache
def _packed(text: str) -> str:
    return base64.b64encode(gzip.compress(text.encode(), mtime=0)).decode()


def _content_hash(script: str) -> str:
    """What a Content-Security-Policy calls an inline script by."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"

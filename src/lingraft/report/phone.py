"""Tables for a narrow screen: each figure says by itself which column it stands in."""

import html
import re

from markupsafe import Markup

_TABLE = re.compile(r"<table(?P<attributes>[^>]*)>(?P<inside>.*?)</table>", re.DOTALL)
_ROW = re.compile(r"(<tr[^>]*>)(.*?)(</tr>)", re.DOTALL)
_CELL = re.compile(r"<(t[dh])([^>]*)>(.*?)</\1>", re.DOTALL)
DRAWN = ("forest", "heat", "gain")
"""Classes of tables that have a narrow form of their own."""


def stacked(page: str) -> Markup:
    """The page with the heading of its column in every cell, for a style that sets the cells one under the other."""
    return Markup(_TABLE.sub(_labeled, page))


def _labeled(table: re.Match[str]) -> str:
    attributes, inside = table["attributes"], table["inside"]
    if any(name in attributes for name in DRAWN) or "<thead>" not in inside:
        return table[0]
    head, body = inside.split("</thead>", 1)
    headings = [_words(cell[3]) for cell in _CELL.finditer(head)]
    under_span = 0  # rows in which the first column is taken by a cell that began above

    def label(row: re.Match[str]) -> str:
        nonlocal under_span
        column = 1 if under_span else 0
        under_span = max(0, under_span - 1)
        cells = []
        for cell in _CELL.finditer(row[2]):
            tag, given, said = cell.groups()
            if found := re.search(r'rowspan="(\d+)"', given):
                under_span = int(found[1]) - 1
            if tag == "td" and "data-label" not in given and headings[column]:
                given += f' data-label="{html.escape(headings[column])}"'
                said = f"<span>{said}</span>" if said.strip() else ""
            cells.append(f"<{tag}{given}>{said}</{tag}>")
            column += 1
        return row[1] + "".join(cells) + row[3]

    plain, classes = f'{attributes} class="stacked"', attributes.replace('class="', 'class="stacked ', 1)
    marked = classes if "class=" in attributes else plain
    return f"<table{marked}>{head}</thead>{_ROW.sub(label, body)}</table>"


def _words(heading: str) -> str:
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", heading)).split())

"""The report in a real browser: on a phone, on paper, without colors, by keyboard, and offline."""

import base64
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import chromium
from chromium import Chromium, Tab
from lingraft.report import write

pytestmark = pytest.mark.skipif(chromium.PROGRAM is None, reason="no chromium on this machine")
PAPER = 688
"""What A4 leaves between its margins."""
DRAWN = "[...document.querySelectorAll('.chart')].every((one) => one.querySelector('.scatterlayer path'))"
WIDER = """[...document.querySelectorAll('main :not(.chart *), footer')].filter((one) => {
  const box = one.getBoundingClientRect();
  return box.width && one.checkVisibility() && box.right > document.documentElement.clientWidth + 1;
}).map((one) => one.outerHTML.slice(0, 80))"""
CUT_OFF = """[...document.querySelectorAll('.scroll')].filter((one) => one.scrollWidth > one.clientWidth + 1)
.map((one) => one.innerText.slice(0, 80))"""
CONTRASTS = """(() => {
  const canvas = new OffscreenCanvas(1, 1).getContext('2d', { willReadFrequently: true });
  const painted = (colors) => {
    canvas.clearRect(0, 0, 1, 1);
    for (const color of colors) { canvas.fillStyle = color; canvas.fillRect(0, 0, 1, 1); }
    return [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3);
  };
  const luminance = (color) => color.map((part) => part / 255)
    .map((part) => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4)
    .reduce((sum, part, n) => sum + part * [0.2126, 0.7152, 0.0722][n], 0);
  const found = [];
  for (const one of document.querySelectorAll('body *:not(script, style, svg *)')) {
    const texts = [...one.childNodes].filter((node) => node.nodeType === 3 && node.data.trim());
    if (!texts.length || !one.checkVisibility()) continue;
    const under = [];
    const ink = getComputedStyle(one).color;
    for (let at = one; at; at = at.parentElement) under.unshift(getComputedStyle(at).backgroundColor);
    const both = [['white', ...under], ['white', ...under, ink]].map(painted).map(luminance);
    const contrast = (Math.max(...both) + 0.05) / (Math.min(...both) + 0.05);
    found.push([contrast, `${one.className}: ${one.textContent.trim().slice(0, 30)}`]);
  }
  return found;
})()"""


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    started = Chromium(tmp_path_factory.mktemp("profile"))
    yield started
    started.close()


@pytest.fixture(scope="module")
def page(everything: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report with every section."""
    return write(everything, tmp_path_factory.mktemp("report"))


@contextmanager
def opened(browser: Chromium, page: Path, width: int = 1280, *, dark: bool = False) -> Iterator[Tab]:
    with browser.tab(width, 800, dark=dark, touch=width < 600) as tab:
        tab.open(page.as_uri())
        tab.wait(f"document.readyState === 'complete' && {DRAWN}")
        tab.run("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
        yield tab


@pytest.mark.parametrize("width", [360, 768, 1024])
def test_nothing_is_wider_than_the_screen(browser: Chromium, page: Path, width: int) -> None:
    with opened(browser, page, width) as tab:
        assert tab.run("document.documentElement.scrollWidth") == width
        assert tab.run(WIDER) == []


def test_it_asks_for_nothing_and_no_script_fails(browser: Chromium, page: Path) -> None:
    with opened(browser, page) as tab:
        tab.run("document.querySelector('input[value=time]').click()")
        assert {address.partition(":")[0] for address in tab.requested()} <= {"file", "data", "blob"}
        assert [address for address in tab.requested() if address.startswith("file:")] == [page.as_uri()]
        assert tab.events("Runtime.exceptionThrown") == []
        assert [event["entry"]["text"] for event in tab.events("Log.entryAdded")] == []


def test_paper_has_everything(browser: Chromium, page: Path) -> None:
    with opened(browser, page, PAPER) as tab:
        tab.run("document.querySelectorAll('details').forEach((one) => { one.open = false; })")
        tab.call("Emulation.setEmulatedMedia", media="print")
        assert tab.run("document.documentElement.scrollWidth") == PAPER
        assert tab.run(WIDER) == []
        assert tab.run(CUT_OFF) == []
        closed = (
            "[...document.querySelectorAll('details table')].filter((one) => one.getBoundingClientRect().height < 20)"
        )
        assert tab.run("document.querySelectorAll('details table').length") >= 3
        assert tab.run(f"{closed}.length") == 0
        assert tab.run("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
        printed = tab.call("Page.printToPDF", printBackground=True)["data"]
        assert base64.b64decode(printed).startswith(b"%PDF")


def test_the_curves_of_two_languages_differ_without_colors(browser: Chromium, page: Path) -> None:
    with opened(browser, page) as tab:
        curves = "[...document.querySelectorAll('.chart.held-out .js-line')]"
        dashes = tab.run(f"{curves}.map((line) => getComputedStyle(line).strokeDasharray)")
        assert len(set(dashes)) == len(dashes) == 2


@pytest.mark.parametrize("dark", [False, True])
def test_text_can_be_read(browser: Chromium, page: Path, dark: bool) -> None:
    with opened(browser, page, dark=dark) as tab:
        contrasts = tab.run(CONTRASTS)
    assert len(contrasts) > 500
    assert [(round(contrast, 2), told) for contrast, told in contrasts if contrast < 4.5] == []


def test_the_contents_lead_to_every_section(browser: Chromium, page: Path) -> None:
    with opened(browser, page) as tab:
        sections = tab.run("[...document.querySelectorAll('section[id]')].map((one) => `#${one.id}`)")
        assert tab.run("[...document.querySelectorAll('nav a')].map((one) => one.getAttribute('href'))") == sections
        tab.press("Tab")
        assert tab.run("document.activeElement.getAttribute('href')") == sections[0]
        assert tab.run("getComputedStyle(document.activeElement).outlineStyle") == "solid"
        tab.press("Tab")
        tab.press("Enter")
        tab.wait(f"location.hash === '{sections[1]}' && scrollY > 500")


def test_drawings_are_told_to_those_who_do_not_see_them(browser: Chromium, page: Path) -> None:
    with opened(browser, page) as tab:
        assert tab.run("document.documentElement.lang") == "en"
        drawings = (
            "[...document.querySelectorAll('main svg')].filter((one) => !one.closest('[aria-hidden=true], .chart'))"
        )
        silent = f"{drawings}.filter((one) => !one.closest('[aria-label]')).map((one) => one.outerHTML.slice(0, 99))"
        assert tab.run(silent) == []
        assert tab.run("[...document.querySelectorAll('[role=img]')].every((one) => one.ariaLabel)")

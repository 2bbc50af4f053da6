"""The page in a real browser."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import hostile
import pytest
from judging import begin, rows, served, write

import chromium
from chromium import Chromium, Tab
from lingraft.judge.human.ballots import Ballots
from lingraft.judge.human.server import application
from lingraft.judge.human.votes import Vote, votes
from lingraft.judge.questions import AXES

pytestmark = pytest.mark.skipif(chromium.PROGRAM is None, reason="no chromium on this machine")
READY = "document.body.dataset.view === 'ballot' && !document.body.hasAttribute('data-busy')"
AS_JSON = "headers: {'Content-Type': 'application/json'}"
PHONE = {"width": 360, "height": 740, "touch": True}


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    started = Chromium(tmp_path_factory.mktemp("profile"))
    yield started
    started.close()


@contextmanager
def judged(folder: Path, found: list[dict[str, object]], mode: str = "compare", **more: object) -> Iterator[tuple]:
    ballots, asked = begin(folder, found, mode)
    with served(application(ballots, asked, **more)) as url:
        yield ballots, url


def enter(tab: Tab, ballots: Ballots, url: str, query: str = "") -> None:
    tab.open(f"{url}/{query}#{ballots.invite()[1]}")
    tab.wait(READY)


def done(tab: Tab, count: int) -> None:
    tab.wait(f"{READY} && document.getElementById('progress').textContent.startsWith('{count} ')")


def kept(ballots: Ballots) -> list[Vote]:
    return votes(ballots.database)


def test_it_is_shown_blind_and_voted_on_by_keyboard(browser: Chromium, tmp_path: Path) -> None:
    with judged(tmp_path, rows(5)) as (ballots, url), browser.tab() as tab:
        enter(tab, ballots, url)
        shown = tab.run("document.body.innerText")
        assert "Która odpowiedź jest lepsza?" in shown
        assert "Odpowiedź A" in shown
        assert "model" not in tab.run("document.documentElement.outerHTML").replace("models", "")
        assert tab.run("location.href") == f"{url}/"  # the token is not left in the address
        assert tab.run("document.cookie") == ""
        left, right = tab.run("[...document.querySelectorAll('.answer .text')].map((text) => text.textContent)")
        tab.press("Enter")  # nothing was chosen
        assert tab.run("document.getElementById('status').textContent") == "Najpierw wybierz odpowiedź."
        tab.press("ArrowRight")
        tab.press("Enter")
        done(tab, 1)
        (vote,) = kept(ballots)
        better = {row["answers"][vote.better] for row in rows(5) if row["id"] == vote.item}
        assert (vote.choice, better) == ("right", {right})
        assert left != right
        for count, key in enumerate(("1", "3", "4"), start=2):
            tab.press(key)
            tab.press("Enter")
            done(tab, count)
        assert [vote.choice for vote in kept(ballots)] == ["right", "left", "tie", "both_bad"]


def test_the_last_vote_is_undone_and_changed_with_a_comment(browser: Chromium, tmp_path: Path) -> None:
    with judged(tmp_path, rows(2)) as (ballots, url), browser.tab() as tab:
        enter(tab, ballots, url)
        tab.press("1")
        tab.press("Enter")
        done(tab, 1)
        tab.press("u")
        tab.wait(f"{READY} && !document.getElementById('earlier').hidden")
        assert tab.run("document.querySelector('[name=choice]:checked').value") == "left"
        tab.run("document.getElementById('more').open = true; document.getElementById('comment').focus()")
        for letter in "u2":  # typed, not commands
            tab.press(letter)
        assert tab.run("[comment.value, document.querySelector('[name=choice]:checked').value]") == ["u2", "left"]
        tab.press("Escape")
        tab.press("2")
        tab.press("Enter")
        tab.wait(f"{READY} && document.getElementById('earlier').hidden")
        (vote,) = kept(ballots)
        assert (vote.choice, vote.earlier, vote.comment) == ("right", ("left",), "u2")
        tab.press("3")
        tab.press("Enter")
        tab.wait("document.body.dataset.view === 'notice'")
        assert "Dziękujemy!" in tab.run("document.body.innerText")
        tab.press("u")
        done(tab, 2)
        assert tab.run("document.querySelector('[name=choice]:checked').value") == "tie"


def test_a_reload_in_the_middle_shows_the_same_question(browser: Chromium, tmp_path: Path) -> None:
    with judged(tmp_path, rows(5)) as (ballots, url), browser.tab() as tab:
        enter(tab, ballots, url)
        tab.press("1")
        tab.press("Enter")
        done(tab, 1)
        shown = tab.run("document.querySelector('.work').textContent")
        tab.reload()
        done(tab, 1)
        assert tab.run("document.querySelector('.work').textContent") == shown
        assert len(kept(ballots)) == 1


def test_two_annotators_at_once_do_not_disturb_each_other(browser: Chromium, tmp_path: Path) -> None:
    with judged(tmp_path, rows(4)) as (ballots, url), browser.tab() as first, browser.tab(**PHONE) as second:
        for tab in (first, second):
            enter(tab, ballots, url)
        for count in (1, 2, 3):
            first.press("1")
            second.tap(".choices label:nth-child(2)")
            first.press("Enter")
            second.tap("#save")
            for tab in (first, second):
                done(tab, count)
        cast = [(vote.annotator, vote.choice) for vote in kept(ballots)]
        assert sorted(cast) == [("annotator-1", "left")] * 3 + [("annotator-2", "right")] * 3


def test_another_link_in_the_same_browser_takes_no_votes(browser: Chromium, tmp_path: Path) -> None:
    with judged(tmp_path, rows(4)) as (ballots, url), browser.tab() as tab:
        (_, anna), (_, ewa) = ballots.invite("anna"), ballots.invite("ewa")
        tab.open(f"{url}/#{anna}")
        tab.wait(READY)
        entered = f"fetch('api/enter', {{method: 'POST', body: JSON.stringify({{token: '{ewa}'}}), {AS_JSON}}})"
        tab.run(f"{entered}.then((reply) => {{ window.entered = reply.status; }})")  # as another tab does it
        tab.wait("window.entered === 204")
        tab.press("1")
        tab.press("Enter")
        tab.wait("document.getElementById('notice-title').textContent.startsWith('W tej przeglądarce otwarto inny')")
        assert kept(ballots) == []
        tab.open(f"{url}/#{anna}")
        done(tab, 1)
        assert [(vote.annotator, vote.choice) for vote in kept(ballots)] == [("anna", "left")]


def test_a_vote_outlives_the_death_of_the_server_and_a_reload(browser: Chromium, tmp_path: Path) -> None:
    path = write(tmp_path / "answers.jsonl", rows(5))
    first = _process(path, 0)
    address, token = _told(first)
    with browser.tab() as tab:
        tab.open(f"{address}/#{token}")
        tab.wait(READY)
        os.kill(first.pid, signal.SIGKILL)
        first.wait()
        tab.press("2")
        tab.press("Enter")
        tab.wait("document.getElementById('status').textContent.includes('Jeszcze nie zapisano')")
        unsaved = tab.run("JSON.stringify({...localStorage})")
        assert '\\"choice\\":\\"right\\"' in unsaved
        second = _process(path, int(address.rsplit(":", 1)[1]))
        try:
            done(tab, 1)
            assert tab.run("Object.keys(localStorage)") == []
            # A vote of which the reply was lost is still in the storage after a reload: it is sent and counted once.
            tab.run(f"for (const [name, value] of Object.entries({unsaved})) localStorage.setItem(name, value)")
            tab.reload()
            tab.wait(f"{READY} && Object.keys(localStorage).length === 0")
            done(tab, 1)
        finally:
            second.kill()
            second.communicate()
    first.communicate()
    ballots = Ballots(tmp_path / "answers.compare.sqlite")
    assert [vote.choice for vote in kept(ballots)] == ["right"]
    with ballots.database.reading() as connection:
        assert connection.execute("SELECT COUNT(*) FROM vote").fetchone() == (1,)


def _process(answers: Path, port: int) -> subprocess.Popen[str]:
    command = [
        sys.executable,
        "-m",
        "lingraft",
        "judge",
        "serve",
        str(answers),
        "--port",
        str(port),
        "--attention",
        "0",
    ]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONUNBUFFERED": "1"})


def _told(process: subprocess.Popen[str]) -> tuple[str, str]:
    """The address and the token of the first link."""
    for line in process.stdout:
        if "#" in line:
            address, token = line.split()[1].split("/#")
        if line.startswith("serving"):
            return address, token
    raise AssertionError("it did not start")


def test_a_limit_is_waited_out(browser: Chromium, tmp_path: Path) -> None:
    with judged(tmp_path, rows(3), per_annotator=(50, 1)) as (ballots, url), browser.tab() as tab:
        enter(tab, ballots, url)
        for count in (1, 2):
            tab.press("1")
            tab.press("Enter")
            done(tab, count)
        assert len(kept(ballots)) == 2


def test_who_has_no_link_is_told_so(browser: Chromium, tmp_path: Path) -> None:
    with judged(tmp_path, rows(1)) as (ballots, url), browser.tab() as tab:
        tab.open(f"{url}/")
        tab.wait("document.getElementById('notice-title').textContent === 'Potrzebny jest własny odnośnik'")
        tab.open(f"{url}/#guessed")
        tab.wait("document.getElementById('notice-title').textContent === 'Ten odnośnik nie działa'")
        enter(tab, ballots, url)  # in the same tab: only what stands behind # changes


def test_a_link_that_was_withdrawn_is_told(browser: Chromium, tmp_path: Path) -> None:
    with judged(tmp_path, rows(2)) as (ballots, url), browser.tab() as tab:
        enter(tab, ballots, url, "?lang=en")
        ballots.delete("annotator-1")
        tab.press("1")
        tab.press("Enter")
        tab.wait("document.body.dataset.view === 'notice'")
        assert "This link does not work" in tab.run("document.body.innerText")


def test_answers_are_rated_by_digits(browser: Chromium, tmp_path: Path) -> None:
    with judged(tmp_path, rows(2), "rate") as (ballots, url), browser.tab() as tab:
        enter(tab, ballots, url)
        for digit in "0123":
            tab.press(digit)
        tab.press("Enter")
        assert "Najpierw oceń każdy wiersz" in tab.run("document.getElementById('status').textContent")
        tab.press("2")
        tab.press("Enter")
        done(tab, 1)
        assert [kept(ballots)[0].choice[axis] for axis in AXES] == [0, 1, 2, 3, 2]


def test_arabic_runs_from_the_right_and_left_stays_left(browser: Chromium, tmp_path: Path) -> None:
    with judged(tmp_path, rows(1, "ar")) as (ballots, url), browser.tab() as tab:
        enter(tab, ballots, url)
        assert tab.run("[document.documentElement.lang, document.documentElement.dir]") == ["ar", "rtl"]
        first, second = tab.run("[...document.querySelectorAll('.answer')].map((a) => a.getBoundingClientRect().left)")
        assert first < second
        text = "document.querySelector('.answer .text')"
        line = f"(() => {{ const r = new Range(); r.selectNodeContents({text}); return r.getBoundingClientRect(); }})()"
        assert tab.run(f"{line}.left - {text}.getBoundingClientRect().left") > 20  # it begins at the right edge
        tab.press("ArrowLeft")
        assert tab.run("document.querySelector('[name=choice]:checked').value") == "left"


def test_nothing_hostile_runs_loads_or_breaks_the_page(browser: Chromium, tmp_path: Path) -> None:
    with judged(tmp_path, hostile.rows()) as (ballots, url), browser.tab(**PHONE) as tab:
        enter(tab, ballots, url)
        for count in range(1, len(hostile.ANSWERS) + 1):
            assert hostile.wrong(tab, url) == []
            tab.resize(1280, 800)
            assert hostile.wrong(tab, url) == []
            tab.resize(**PHONE)
            tab.press("4")
            tab.press("Enter")
            if count < len(hostile.ANSWERS):
                done(tab, count)
        tab.wait("document.body.dataset.view === 'notice'")
        assert len(tab.requested()) > len(hostile.ANSWERS)
        assert len(kept(ballots)) == len(hostile.ANSWERS)


def test_what_looks_for_hostile_effects_finds_them(browser: Chromium, tmp_path: Path) -> None:
    with judged(tmp_path, rows(1)) as (ballots, url), browser.tab(**PHONE) as tab:
        enter(tab, ballots, url)
        assert hostile.wrong(tab, url) == []
        tab.run(f"fetch('{hostile.ELSEWHERE}').catch(() => {{}}); window.hacked = 1")
        tab.run("document.querySelector('.text').append(document.createElement('b'), document.createElement('img'))")
        tab.run("document.querySelector('.text').append('\u202e')")
        tab.run("document.querySelector('#save').style.transform = 'translateY(90px)'")
        tab.run("document.querySelector('.answer').style.width = '900px'")
        tab.run("document.body.append('x'.repeat(1000))")
        found = "\n".join(hostile.wrong(tab, url))
        for seen in (
            *("a script ran", "<b>", "elements: IMG,LINK", "an unseen character"),
            *('not in sight: <button type="button" id="save"', "scrolls sideways", "wider than the page"),
            "violates the following Content Security Policy",
        ):
            assert seen in found


def test_unseen_characters_are_named(browser: Chromium, tmp_path: Path) -> None:
    row = rows(1)[0]
    row["answers"] = {"a": "ja\u202ekot \u200b\u200b\u200b", "b": "می\u200cخواهم 👩\u200d🚀"}
    with judged(tmp_path, [row]) as (ballots, url), browser.tab() as tab:
        enter(tab, ballots, url)
        told = sorted(tab.run("[...document.querySelectorAll('.answer .text')].map((text) => text.textContent)"))
        assert told == ["jaU+202Ekot U+200B ×3", "می\u200cخواهم 👩\u200d🚀"]

"""The page for people under load and hostile answers: no confirmed vote lost or doubled, nothing that runs.

`crash`: 20 annotators vote over HTTP for 60 seconds while the server is killed with SIGKILL twice and started again.
Of every ten votes one is sent again after its confirmation and one is given up before the reply is read, as on a bad
line. `hostile`: a real browser shows answers that try to run, to load or to break the page.

    python benchmarks/ballots.py [crash] [hostile]
"""

import contextlib
import http.client
import json
import os
import random
import secrets
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from record import record

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "judge" / "human"))

import hostile
from judging import begin, rows, served, write

from chromium import Chromium
from lingraft.judge.human.ballots import Ballots
from lingraft.judge.human.server import application

ANNOTATORS, SECONDS, KILLS = 20, 60, (20, 40)
ITEMS = 1000
CHOICES = ("left", "right", "tie", "both_bad")


@dataclass
class Annotator:
    """Votes as fast as the server lets it, and keeps what was confirmed."""

    host: str
    port: int
    token: str
    seed: int
    confirmed: dict[str, tuple[str, str]] = field(default_factory=dict)
    seconds: list[float] = field(default_factory=list)
    num_repeated: int = 0
    num_given_up: int = 0
    num_unanswered: int = 0
    num_too_fast: int = 0
    _cookie: str = ""

    def work(self, until: float) -> None:
        draw = random.Random(self.seed)
        self._cookie = self._ask("/api/enter", {"token": self.token})[1]
        reply = self._ask("/api/ballot", {"position": None})[0]
        annotator, ballot = reply["annotator"], reply["ballot"]
        while ballot is not None and time.monotonic() < until:
            key, choice, luck = secrets.token_hex(16), draw.choice(CHOICES), draw.random()
            vote = {"key": key, "annotator": annotator, "question": ballot["question"]}
            vote |= {"choice": choice, "comment": "", "seconds": 1.0}
            if luck < 0.1:
                self._give_up("/api/vote", vote)
            begun = time.monotonic()
            reply = self._ask("/api/vote", vote)[0]
            self.seconds.append(time.monotonic() - begun)
            self.confirmed[key] = (ballot["question"], choice)
            if luck > 0.9:
                self.num_repeated += 1
                reply = self._ask("/api/vote", vote)[0]
            ballot = reply["ballot"]

    def _ask(self, path: str, body: dict[str, Any]) -> tuple[Any, str]:
        """Until it is answered; the waits are those of the page."""
        wait = 0.5
        while True:
            try:
                status, reply, headers = self._send(path, body)
            except (OSError, http.client.HTTPException):
                self.num_unanswered += 1
            else:
                if status < 300:
                    cookie = headers.get("set-cookie", "").split(";")[0]
                    return (json.loads(reply) if reply else None), cookie
                if status != 429 and status < 500:
                    raise RuntimeError(f"{path}: {status} {reply!r}")
                self.num_too_fast += status == 429
                wait = max(wait, float(headers.get("retry-after") or 0))
            time.sleep(wait)
            wait = min(2 * wait, 8)

    def _send(self, path: str, body: dict[str, Any]) -> tuple[int, bytes, http.client.HTTPMessage]:
        with contextlib.closing(http.client.HTTPConnection(self.host, self.port, timeout=20)) as connection:
            self._request(connection, path, body)
            reply = connection.getresponse()
            return reply.status, reply.read(), reply.headers

    def _give_up(self, path: str, body: dict[str, Any]) -> None:
        """The vote is sent, the reply is not waited for."""
        self.num_given_up += 1
        with (
            contextlib.suppress(OSError),
            contextlib.closing(http.client.HTTPConnection(self.host, self.port, timeout=20)) as connection,
        ):
            self._request(connection, path, body)

    def _request(self, connection: http.client.HTTPConnection, path: str, body: dict[str, Any]) -> None:
        origin = f"http://{self.host}:{self.port}"
        headers = {"Content-Type": "application/json", "Origin": origin, "Cookie": self._cookie}
        connection.request("POST", path, json.dumps(body), headers)


def crash() -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        answers = write(Path(folder) / "answers.jsonl", rows(ITEMS))
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        file = Path(folder) / "ballots.sqlite"
        command = [sys.executable, "-m", "lingraft", "judge", "serve", str(answers), "--ballots", str(file)]
        command += ["--port", str(port), "--votes", str(ANNOTATORS)]
        process, tokens = _started([*command, "--links", str(ANNOTATORS)])
        people = [Annotator("127.0.0.1", port, token, seed) for seed, token in enumerate(tokens)]
        begun = time.monotonic()
        threads = [threading.Thread(target=one.work, args=(begun + SECONDS,)) for one in people]
        for thread in threads:
            thread.start()
        away = []
        for moment in KILLS:
            time.sleep(begun + moment - time.monotonic())
            os.kill(process.pid, signal.SIGKILL)
            killed = time.monotonic()
            process.communicate()
            process, _ = _started([*command, "--links", "0"])
            away.append(time.monotonic() - killed)
        for thread in threads:
            thread.join()
        seconds = time.monotonic() - begun
        process.send_signal(signal.SIGKILL)
        process.communicate()
        return _counted(file, people, seconds, away)


def _counted(file: Path, people: list[Annotator], seconds: float, away: list[float]) -> dict[str, Any]:
    """What was confirmed against what is in the file."""
    database = Ballots(file).database
    with database.reading() as connection:
        kept = list(connection.execute("SELECT key, question, choice, annotator FROM vote"))
        shown = connection.execute("SELECT COUNT(*) FROM given WHERE vote IS NOT NULL").fetchone()[0]
        counted = connection.execute("SELECT SUM(num_votes) FROM question").fetchone()[0]
        sound = connection.execute("PRAGMA integrity_check").fetchone()[0]
    database.close()
    confirmed = {key: said for one in people for key, said in one.confirmed.items()}
    found = {key: (question, json.loads(choice)) for key, question, choice, _ in kept}
    waits = sorted(wait for one in people for wait in one.seconds)
    return {
        "annotators": ANNOTATORS,
        "seconds": round(seconds, 1),
        "server_killed": len(away),
        "seconds_away": [round(one, 2) for one in away],
        "confirmed": len(confirmed),
        "lost": sum(found.get(key) != said for key, said in confirmed.items()),
        "doubled": len(kept) - len({(annotator, question) for _, question, _, annotator in kept}),
        "in_file": len(kept),
        "in_file_but_not_confirmed": len(found.keys() - confirmed.keys()),
        "questions_with_a_vote": shown,
        "counted": counted,
        "integrity_check": sound,
        "sent_again_after_confirmation": sum(one.num_repeated for one in people),
        "given_up_before_the_reply": sum(one.num_given_up for one in people),
        "without_a_reply": sum(one.num_unanswered for one in people),
        "told_to_wait": sum(one.num_too_fast for one in people),
        "confirmed_per_second": round(len(confirmed) / seconds, 1),
        "seconds_to_confirmation": {
            "median": round(statistics.median(waits), 4),
            "p95": round(waits[int(0.95 * len(waits))], 4),
            "most": round(waits[-1], 2),
        },
    }


def _started(command: list[str]) -> tuple[subprocess.Popen[str], list[str]]:
    """A server that answers, and the tokens it printed."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONUNBUFFERED": "1"})
    tokens = []
    for line in process.stdout:
        if "#" in line:
            tokens.append(line.split("#")[1].strip())
        if line.startswith("serving"):
            return process, tokens
    raise RuntimeError("the server did not start")


def hostile_answers() -> dict[str, Any]:
    """What each answer did, on a phone and on a desk."""
    found = {}
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        browser = Chromium(Path(folder) / "profile")
        stack.callback(browser.close)
        version = browser.call("Browser.getVersion")["product"]
        num_requests = 0
        for number, row in enumerate(hostile.rows()):
            place = Path(folder) / str(number)
            place.mkdir()
            ballots, asked = begin(place, [row])
            with served(application(ballots, asked)) as url, browser.tab(width=360, height=740, touch=True) as tab:
                tab.open(f"{url}/#{ballots.invite()[1]}")
                tab.wait("document.body.dataset.view === 'ballot' && !document.body.hasAttribute('data-busy')")
                phone = hostile.wrong(tab, url)
                tab.resize(1280, 800)
                found[row["id"]] = {"phone 360 x 740": phone, "desktop 1280 x 800": hostile.wrong(tab, url)}
                tab.press("1")
                tab.press("Enter")
                tab.wait("document.body.dataset.view === 'notice'")
                num_requests += len(tab.requested())
    broken = [name for name, views in found.items() if any(views.values())]
    return {"browser": version, "answers": len(found), "broken": broken, "requests": num_requests, "wrong": found}


PARTS = {"crash": crash, "hostile": hostile_answers}

if __name__ == "__main__":
    for part in sys.argv[1:] or PARTS:
        result = PARTS[part]()
        print(json.dumps(result, indent=1, ensure_ascii=False))
        record("ballots", part, result)

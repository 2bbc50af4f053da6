"""The server: who gets in, what is refused and how it is told, what is never sent."""

import asyncio
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from httpx2 import Response
from judging import STRONG, WEAK, begin, rows
from starlette.testclient import TestClient

from lingraft.judge.human import labels, serve
from lingraft.judge.human.ballots import Ballots
from lingraft.judge.human.guard import HEADERS
from lingraft.judge.human.server import MAX_BODY_BYTES, application
from lingraft.judge.human.votes import votes

HERE = "http://127.0.0.1:8450"
KEY = "0123456789abcdef" * 2


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def ballots(tmp_path: Path) -> Ballots:
    return begin(tmp_path, rows(4))[0]


@pytest.fixture
def client(tmp_path: Path, ballots: Ballots, clock: Clock) -> Iterator[TestClient]:
    app = application(ballots, begin(tmp_path, rows(4))[1], clock=clock, per_annotator=(2, 20), per_address=(10, 100))
    with TestClient(app, base_url=HERE, headers={"origin": HERE}) as client:
        yield client


def enter(client: TestClient, ballots: Ballots, name: str | None = None) -> str:
    _, token = ballots.invite(name)
    assert client.post("/api/enter", json={"token": token}).status_code == 204
    return token


def vote(client: TestClient, asked: str, **more: object) -> tuple[int, str | None]:
    said = {"key": KEY, "annotator": 1, "question": asked, "choice": "left", "comment": "", "seconds": 2.0} | more
    reply = client.post("/api/vote", json=said)
    return reply.status_code, reply.json().get("error")


def test_an_annotator_enters_is_asked_and_votes(client: TestClient, ballots: Ballots) -> None:
    token = enter(client, ballots)
    reply = client.post("/api/ballot", json={"position": None})
    asked = reply.json()
    assert (asked["done"], asked["left"], asked["previous"]) == (0, 4, None)
    assert len(asked["ballot"]["answers"]) == 2
    assert vote(client, asked["ballot"]["question"]) == (200, None)
    (kept,) = votes(ballots.database)
    assert (kept.choice, kept.seconds, kept.annotator) == ("left", 2.0, "annotator-1")
    assert kept.better == kept.shown[0]
    assert ballots.annotator(token) is not None


def test_no_reply_names_a_model_or_an_item(client: TestClient, ballots: Ballots) -> None:
    enter(client, ballots)
    told = client.get("/").text
    asked = client.post("/api/ballot", json={})
    while (ballot := asked.json()["ballot"]) is not None:
        told += asked.text
        said = {"key": ballot["question"] + "00000000", "question": ballot["question"], "choice": "tie"}
        said |= {"annotator": 1, "seconds": 1.0}
        asked = client.post("/api/vote", json=said)
    told += asked.text
    assert len(votes(ballots.database)) == 4
    assert not [word for word in (STRONG, WEAK, "item-") if word in told]


def test_the_cookie_is_closed_to_scripts_and_other_sites(client: TestClient, ballots: Ballots) -> None:
    _, token = ballots.invite()
    reply = client.post("/api/enter", json={"token": token})
    cookie = reply.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert "; secure" not in cookie


def test_behind_a_proxy_the_cookie_is_for_tls_alone(tmp_path: Path, ballots: Ballots) -> None:
    app = application(ballots, begin(tmp_path, rows(4))[1], url="https://judge.example.org/pl")
    with TestClient(
        app, base_url="http://judge.example.org", headers={"origin": "https://judge.example.org"}
    ) as client:
        reply = client.post("/api/enter", json={"token": ballots.invite()[1]})
        assert (reply.status_code, "; secure" in reply.headers["set-cookie"].lower()) == (204, True)


def test_every_reply_has_the_headers(client: TestClient) -> None:
    for path, status in (("/", 200), ("/page.js", 200), ("/icon.svg", 200), ("/none", 404), ("/api/vote", 405)):
        reply = client.get(path)
        assert reply.status_code == status
        assert {name: reply.headers[name] for name in HEADERS} == HEADERS
    assert client.post("/api/enter", content=b"{").headers["content-security-policy"].startswith("default-src 'none'")
    page = client.get("/").text
    for forbidden in ("http://", "https://", " style=", "onclick", "onload", "javascript:"):
        assert forbidden not in page
    assert client.get("/page.css").headers["content-type"] == "text/css; charset=utf-8"


def test_an_error_of_the_server_has_the_headers_too(tmp_path: Path, ballots: Ballots) -> None:
    _, token = ballots.invite()
    app = application(ballots, begin(tmp_path, rows(4))[1])
    ballots.database.close()
    with TestClient(app, base_url=HERE, headers={"origin": HERE}, raise_server_exceptions=False) as client:
        reply = client.post("/api/enter", json={"token": token})
    assert reply.status_code == 500
    assert {name: reply.headers[name] for name in HEADERS} == HEADERS


def test_who_has_no_valid_token_stays_outside(client: TestClient, ballots: Ballots) -> None:
    assert _error(client.post("/api/ballot", json={})) == (401, "no_token")
    assert _error(client.post("/api/enter", json={"token": "guessed"})) == (403, "token")
    token = enter(client, ballots, "anna")
    renewed = ballots.renew("anna")  # the link had got into wrong hands
    assert _error(client.post("/api/ballot", json={})) == (401, "token")
    assert _error(client.post("/api/enter", json={"token": token})) == (403, "token")
    assert client.post("/api/enter", json={"token": renewed}).status_code == 204
    ballots.delete("anna")
    assert vote(client, "0" * 24) == (401, "token")


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:8450", 200),
        ("localhost:8450", 200),
        ("[::1]:8450", 200),
        ("192.168.1.7:8450", 200),  # a name is what can be made to point here, not an address
        ("evil.example", 421),
        ("127.0.0.1.evil.example", 421),
        ("localhost.evil.example", 421),
        ("", 421),
        ("[::1", 421),
    ],
)
def test_foreign_hosts_are_refused(client: TestClient, host: str, status: int) -> None:
    assert client.get("/", headers={"host": host}).status_code == status


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", "https://127.0.0.1:8450", "http://127.0.0.1:9999", ""]
)
def test_foreign_origins_are_refused(client: TestClient, ballots: Ballots, origin: str) -> None:
    enter(client, ballots)
    assert _error(client.post("/api/ballot", json={}, headers={"origin": origin})) == (403, "origin")


def test_a_post_without_origin_is_refused(tmp_path: Path, ballots: Ballots) -> None:
    with TestClient(application(ballots, begin(tmp_path, rows(4))[1]), base_url=HERE) as client:
        assert _error(client.post("/api/enter", json={"token": ballots.invite()[1]})) == (403, "origin")


def test_votes_on_what_is_not_there_or_not_given_are_refused(client: TestClient, ballots: Ballots) -> None:
    enter(client, ballots)
    asked = client.post("/api/ballot", json={}).json()["ballot"]["question"]
    with ballots.database.reading() as connection:
        (other,) = connection.execute("SELECT id FROM question WHERE id != ?", (asked,)).fetchone()
    assert vote(client, "f" * 24) == (404, "unknown")
    assert vote(client, other) == (409, "not_given")
    assert vote(client, asked) == (200, None)
    assert vote(client, asked) == (200, None)
    assert vote(client, asked, choice="right") == (409, "key_reused")
    assert _error(client.post("/api/ballot", json={"position": 77})) == (404, "position")
    assert len(votes(ballots.database)) == 1


def test_two_at_one_browser_do_not_vote_for_each_other(client: TestClient, ballots: Ballots) -> None:
    anna = enter(client, ballots, "anna")
    shown = client.post("/api/ballot", json={}).json()
    enter(client, ballots, "ewa")  # in another tab: the cookie is hers now
    asked = client.post("/api/ballot", json={}).json()
    assert (shown["annotator"], asked["annotator"]) == (1, 2)
    assert vote(client, shown["ballot"]["question"]) == (409, "other_annotator")
    back = client.post("/api/ballot", json={"annotator": 1, "position": 0})
    assert _error(back) == (409, "other_annotator")
    assert not votes(ballots.database)
    assert client.post("/api/enter", json={"token": anna}).status_code == 204
    assert vote(client, shown["ballot"]["question"]) == (200, None)
    assert [cast.annotator for cast in votes(ballots.database)] == ["anna"]


@pytest.mark.parametrize(
    "change",
    [
        {"choice": "middle"},
        {"choice": {"accuracy": 1}},
        {"key": "short"},
        {"question": "../../etc"},
        {"seconds": -1.0},
        {"seconds": 1e9},
        {"seconds": "2"},
        {"comment": "x" * 2001},
        {"comment": None},
        {"annotator": None},
        {"annotator": 0},
        {"name": "anna"},
    ],
)
def test_a_vote_of_the_wrong_form_is_refused(client: TestClient, ballots: Ballots, change: dict[str, object]) -> None:
    enter(client, ballots)
    asked = client.post("/api/ballot", json={}).json()["ballot"]["question"]
    assert vote(client, asked, **change) == (422, "form")
    assert not votes(ballots.database)


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b'{"seconds": NaN}', b"\xff", b"[" * 60_000])
def test_what_is_no_json_is_refused(client: TestClient, ballots: Ballots, body: bytes) -> None:
    enter(client, ballots)
    reply = client.post("/api/vote", content=body, headers={"content-type": "application/json"})
    assert _error(reply) == (422, "form")


def test_only_json_of_some_size_is_read(client: TestClient, ballots: Ballots) -> None:
    enter(client, ballots)
    assert _error(client.post("/api/vote", data={"choice": "left"})) == (415, "json_only")
    text = {"content-type": "text/plain"}
    assert _error(client.post("/api/vote", content=b"{}", headers=text)) == (415, "json_only")
    large = b" " * (MAX_BODY_BYTES + 1)
    as_json = {"content-type": "application/json"}
    assert _error(client.post("/api/vote", content=large, headers=as_json)) == (413, "too_large")
    pieces = (b" " * 1000 for _ in range(MAX_BODY_BYTES // 1000 + 1))  # no length is told beforehand
    assert _error(client.post("/api/vote", content=pieces, headers=as_json)) == (413, "too_large")


def test_who_is_too_fast_is_told_how_long_to_wait(client: TestClient, ballots: Ballots, clock: Clock) -> None:
    enter(client, ballots)
    for _ in range(20):
        assert client.post("/api/ballot", json={}).status_code == 200
    reply = client.post("/api/ballot", json={})
    assert (*_error(reply), reply.headers["retry-after"]) == (429, "too_fast", "1")
    clock.now += 1
    assert client.post("/api/ballot", json={}).status_code == 200
    enter(client, ballots)  # another annotator has a limit of their own
    assert client.post("/api/ballot", json={}).status_code == 200
    statuses = [client.get("/").status_code for _ in range(100)]
    assert statuses[-1] == 429  # the address has one for all


def test_a_file_that_cannot_be_written_is_told_and_the_vote_can_be_sent_again(
    client: TestClient, ballots: Ballots, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    enter(client, ballots)
    asked = client.post("/api/ballot", json={}).json()["ballot"]["question"]
    with ballots.database.reading() as connection:
        connection.execute("PRAGMA busy_timeout = 0")
    other = sqlite3.connect(tmp_path / "ballots.sqlite", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    assert vote(client, asked) == (503, "busy")
    assert "the ballots cannot be written now: database is locked" in capsys.readouterr().err
    other.execute("ROLLBACK")
    other.close()
    assert vote(client, asked) == (200, None)


def test_a_browser_that_leaves_in_the_middle_is_no_error(tmp_path: Path, ballots: Ballots) -> None:
    _, token = ballots.invite()
    headers = {"host": "127.0.0.1", "origin": "http://127.0.0.1", "content-type": "application/json"}
    scope = {"type": "http", "method": "POST", "scheme": "http", "path": "/api/enter", "query_string": b""}
    messages = [{"type": "http.request", "body": token[:9].encode(), "more_body": True}, {"type": "http.disconnect"}]
    sent = []

    async def receive() -> dict[str, object]:
        return messages.pop(0)

    async def send(message: dict[str, object]) -> None:
        sent.append(message.get("status"))

    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    asyncio.run(application(ballots, begin(tmp_path, rows(4))[1])(scope | {"headers": raw}, receive, send))
    assert sent == [400, None]
    assert not messages


def test_ratings_have_five_axes(tmp_path: Path) -> None:
    ballots, asked = begin(tmp_path, rows(1), "rate")
    scores = {"accuracy": 3, "fluency": 2, "informativeness": 1, "coherence": 0, "harmlessness": 3}
    with TestClient(application(ballots, asked), base_url=HERE, headers={"origin": HERE}) as client:
        enter(client, ballots)
        ballot = client.post("/api/ballot", json={}).json()["ballot"]
        assert len(ballot["answers"]) == 1
        for wrong in (scores | {"fluency": 4}, scores | {"fluency": True}, {"accuracy": 3}, "left"):
            assert vote(client, ballot["question"], choice=wrong) == (422, "form")
        assert vote(client, ballot["question"], choice=scores) == (200, None)
    (kept,) = votes(ballots.database)
    assert kept.choice == scores
    assert "better" not in kept.as_json()


def test_the_page_speaks_the_language_of_the_answers_or_the_one_asked_for(client: TestClient) -> None:
    assert '<html lang="pl" dir="ltr">' in client.get("/").text
    assert '<html lang="ar" dir="rtl">' in client.get("/?lang=ar").text
    assert '<html lang="pl"' in client.get("/?lang=xx").text


def test_labels_are_whole_in_every_language() -> None:
    assert set(labels.all_languages()) == {"ar", "en", "hi", "hu", "pl", "tr"}
    english = labels.all_languages()["en"]
    for words in labels.all_languages().values():
        assert words.keys() == english.keys()
        assert all(words.values())
        assert "{done}" in words["progress"]
        assert "{total}" in words["progress"]
    assert labels.best(["sw", None, "hu-HU", "pl"]) == "hu"
    assert labels.best(["sw"]) == "en"


def test_addresses_of_pages() -> None:
    assert serve.checked_url("https://judge.example.org/pl/") == "https://judge.example.org/pl"
    for url, browser in (
        ("https://judge.example.org:443", "https://judge.example.org"),
        ("HTTP://Judge.Example.org:80/pl", "http://judge.example.org/pl"),
        ("https://judge.example.org:8443", "https://judge.example.org:8443"),
        ("https://sędzia.example.org", "https://xn--sdzia-j0a.example.org"),
        ("http://[0:0:0:0:0:0:0:1]:8450", "http://[::1]:8450"),
    ):
        assert serve.checked_url(url) == browser
    for wrong in (
        *("judge.example.org", "ftp://judge.example.org", "https://", "http://[::1", "http://[::x]", "http://a:99999"),
        *("http://a..b", "http://a b", "http://anna@judge.example.org", "http://" + 70 * "a"),
    ):
        with pytest.raises(serve.InputError, match="is no address of a page"):
            serve.checked_url(wrong)
    assert serve.link("http://127.0.0.1:1", "t") == "http://127.0.0.1:1/#t"
    assert [serve.is_loopback(host) for host in ("127.0.0.1", "::1", "localhost", "0.0.0.0", "example.org")] == [
        *(True, True, True, False, False)
    ]


def test_a_host_that_is_no_name_is_told() -> None:
    for wrong in ("a..b", 70 * "a"):
        with pytest.raises(serve.InputError, match=f'"{wrong}" is no name of a machine'):
            serve.bound(wrong, 0)


def test_a_port_that_is_taken_is_told() -> None:
    first = serve.bound("127.0.0.1", 0)
    port = first.getsockname()[1]
    assert serve.address(first) == f"http://127.0.0.1:{port}"
    with pytest.raises(serve.InputError, match=rf"nothing can be served at 127.0.0.1:{port}: Address already in use"):
        serve.bound("127.0.0.1", port)
    first.close()


def _error(reply: Response) -> tuple[int, str]:
    return reply.status_code, reply.json()["error"]

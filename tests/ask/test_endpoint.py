"""Against a real HTTP server on loopback, good and bad ones."""

import asyncio
import json
import os
import re
import signal
import socket
import threading
from typing import Any

import pytest
from loopback import Answer, Handler, completion, endpoint

from lingraft.ask.endpoint import LONGEST_ASKED_WAIT, PATIENCE, Endpoint
from lingraft.ask.message import USER, Message
from lingraft.ask.respondent import Reply
from lingraft.core.errors import InputError

Question = tuple[Message, ...]


def question(text: str) -> Question:
    return (Message(USER, text),)


def echo(handler: Handler, _: int, body: dict[str, Any]) -> None:
    handler.say(f"about {body['messages'][-1]['content']}")


def ask(address: str, *texts: str, **options: Any) -> tuple[list[Reply], list[float]]:
    waits: list[float] = []
    options = {"wait": waits.append, "seconds": 5.0, **options}
    replies = Endpoint(address, "tiny", **options).reply([question(text) for text in texts])
    return replies, waits


def after(bad: Answer, times: int = 1) -> Answer:
    """Bad so many times, then good."""

    def answer(handler: Handler, before: int, body: dict[str, Any]) -> None:
        (bad if before < times else echo)(handler, before, body)

    return answer


def drop(handler: Handler, *_: object) -> None:
    handler.connection.shutdown(socket.SHUT_RDWR)
    handler.close_connection = True


def drop_in_the_middle(handler: Handler, *_: object) -> None:
    handler.send_response_only(200)
    handler.send_header("Content-Length", "500")
    handler.end_headers()
    handler.wfile.write(b'{"choices": [{"mess')
    drop(handler)


def test_an_answer_and_what_was_asked() -> None:
    with endpoint(echo) as server:
        replies, waits = ask(server.address, "lakes", temperature=0.5, max_tokens=9, seed=3, extra={"top_p": 0.9})
    assert replies == [Reply("about lakes", None, (7, 3))]
    assert waits == []
    assert server.headers[0]["path"] == "/v1/chat/completions"
    assert "authorization" not in server.headers[0]
    assert server.seen == [
        {
            "model": "tiny",
            "temperature": 0.5,
            "max_tokens": 9,
            "seed": 3,
            "top_p": 0.9,
            "messages": [{"role": "user", "content": "lakes"}],
        }
    ]


def test_a_key_of_the_body_can_be_left_out() -> None:
    with endpoint(echo) as server:
        ask(server.address, "x", extra={"max_tokens": None, "max_completion_tokens": 8})
    assert "max_tokens" not in server.seen[0]
    assert server.seen[0]["max_completion_tokens"] == 8


def test_order_is_kept_whoever_answers_first() -> None:
    """The first question is answered only after the last one has come."""
    last = threading.Event()

    def answer(handler: Handler, times: int, body: dict[str, Any]) -> None:
        if body["messages"][0]["content"] == "0":
            last.wait(10)
        if body["messages"][0]["content"] == "39":
            last.set()
        echo(handler, times, body)

    with endpoint(answer) as server:
        replies, _ = ask(server.address, *map(str, range(40)), at_once=4, seconds=20)
    assert [reply.text for reply in replies] == [f"about {n}" for n in range(40)]
    assert len(server.seen) == 40


def test_no_questions() -> None:
    with endpoint(echo) as server:
        assert ask(server.address) == ([], [])


def test_500_twice_then_fine() -> None:
    with endpoint(after(lambda handler, *_: handler.give(500, {"error": "oops"}), 2)) as server:
        replies, waits = ask(server.address, "lakes")
    assert replies[0].text == "about lakes"
    assert len(server.seen) == 3
    assert 0.5 <= waits[0] <= 1.5
    assert 1 <= waits[1] <= 3


@pytest.mark.parametrize(
    ("headers", "low", "high"),
    [
        ({"Retry_After": "37"}, 37, 37),
        ({"Retry_After": "0"}, 0.5, 1.5),
        ({"Retry_After": "99999"}, LONGEST_ASKED_WAIT, LONGEST_ASKED_WAIT),
        ({"Retry_After": "Sat, 01 Jan 2000 00:00:40 GMT", "Date": "Sat, 01 Jan 2000 00:00:00 GMT"}, 40, 40),
        ({"Retry_After": "Sat, 01 Jan 2000 00:00:00 GMT"}, 0.5, 1.5),
        ({"Retry_After": "soon"}, 0.5, 1.5),
        ({"Retry_After": "nan"}, 0.5, 1.5),
    ],
)
def test_429_waits_as_it_is_told(headers: dict[str, str], low: float, high: float) -> None:
    with endpoint(after(lambda handler, *_: handler.give(429, {}, **headers))) as server:
        replies, waits = ask(server.address, "lakes")
    assert replies[0].text == "about lakes"
    assert len(waits) == 1
    assert low <= waits[0] <= high


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        (lambda handler, *_: handler.give(200, b'{"choices": [{"mess'), "no whole JSON"),
        (lambda handler, *_: handler.give(200, b"\xff\xfe"), "no whole JSON"),
        (lambda handler, *_: handler.give(200, b"[" * 100_000), "no whole JSON"),
        (lambda handler, *_: handler.give(200, {"text": "hello"}), "not of the schema"),
        (lambda handler, *_: handler.give(200, {"error": {"message": "no GPU"}}), "not of the schema.*no GPU"),
        (lambda handler, *_: handler.give(200, {"choices": []}), "not of the schema"),
        (lambda handler, *_: handler.give(200, {"choices": [{"message": "hello"}]}), "not of the schema"),
        (lambda handler, *_: handler.give(200, []), "not of the schema"),
        (lambda handler, *_: handler.give(200, 5), "not of the schema"),
        (lambda handler, *_: handler.say(None), "is empty"),
        (lambda handler, *_: handler.say(" \n"), "is empty"),
        (lambda handler, *_: handler.say("\ud800"), "half a character"),
        (lambda handler, *_: handler.give(503, b"<html>busy</html>"), "answers 503.*busy"),
        (drop, "connection failed"),
        (drop_in_the_middle, "connection failed"),
    ],
)
def test_what_may_pass_is_tried_again_and_told_in_the_end(bad: Answer, why: str) -> None:
    with endpoint(after(bad)) as server:
        assert ask(server.address, "lakes")[0][0].text == "about lakes"
    with endpoint(bad) as server:
        (reply,), waits = ask(server.address, "lakes", retries=2)
    assert reply.text == ""
    assert re.search(why, reply.failure or "")
    assert len(waits) == 2
    assert len(server.seen) == 3


@pytest.mark.parametrize(
    ("reason", "why"),
    [("length", "cut off at max_tokens"), ("max_tokens", "cut off at max_tokens"), ("content_filter", "filter")],
)
def test_an_answer_that_did_not_end_by_itself_is_not_asked_for_again(reason: str, why: str) -> None:
    with endpoint(lambda handler, *_: handler.say("half an ans", reason)) as server:
        (reply,), waits = ask(server.address, "lakes")
    assert reply.text == ""
    assert why in (reply.failure or "")
    assert reply.tokens == (7, 3)
    assert not waits


@pytest.mark.parametrize("reason", [None, "stop", "eos_token", "end_turn"])
def test_servers_name_the_end_of_an_answer_differently(reason: str | None) -> None:
    with endpoint(lambda handler, *_: handler.say("yes", reason)) as server:
        assert ask(server.address, "lakes")[0][0].text == "yes"


def test_tokens_are_counted_where_they_are_told() -> None:
    def answer(handler: Handler, *_: object) -> None:
        handler.give(200, {**completion("yes"), "usage": {"prompt_tokens": "many"}})

    with endpoint(answer) as server:
        assert ask(server.address, "lakes")[0] == [Reply("yes", None, None)]


def silent(state: list[Any]) -> Answer:
    def answer(*_: object) -> None:
        state[0].closing.wait(10)

    return answer


def test_a_server_that_never_answers() -> None:
    state: list[Any] = []
    with endpoint(silent(state)) as server:
        state.append(server)
        (reply,), waits = ask(server.address, "lakes", seconds=0.1, retries=1)
    assert reply.failure == "There was no answer within 0.1 seconds."
    assert len(waits) == 1


def test_a_server_that_drips() -> None:
    """Every read is in time, and the whole never comes."""

    def answer(handler: Handler, *_: object) -> None:
        handler.send_response_only(200)
        handler.send_header("Content-Length", "100000")
        handler.end_headers()
        while not handler.server_state.closing.wait(0.02):
            handler.wfile.write(b" ")

    with endpoint(answer) as server:
        (reply,), _ = ask(server.address, "lakes", seconds=0.2, retries=0)
    assert reply.failure == "There was no whole answer within 0.2 seconds."


def test_a_server_whose_headers_drip() -> None:
    def answer(handler: Handler, *_: object) -> None:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
        for number in range(500):
            if handler.server_state.closing.wait(0.02):
                return
            handler.wfile.write(f"X-{number}: 1\r\n".encode())

    with endpoint(answer) as server:
        (reply,), _ = ask(server.address, "lakes", seconds=0.2, retries=0)
    assert reply.failure == "There was no answer within 0.2 seconds."


def test_an_interruption_waits_for_no_answer() -> None:
    def answer(handler: Handler, *_: object) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        handler.server_state.closing.wait(1000)

    with endpoint(answer) as server, pytest.raises(KeyboardInterrupt):
        ask(server.address, "lakes", seconds=1000)


def test_it_can_be_asked_where_a_loop_runs_already() -> None:
    async def asking() -> list[Reply]:
        return ask(server.address, "lakes")[0]

    with endpoint(echo) as server:
        assert asyncio.run(asking())[0].text == "about lakes"


def test_an_endless_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lingraft.ask.endpoint.MOST_BYTES", 1_000_000)
    with endpoint(lambda handler, *_: handler.give(200, b" " * 1_500_000)) as server:
        (reply,), _ = ask(server.address, "lakes", retries=0)
    assert reply.failure == "The answer has more than 1 MB."


def test_a_question_alone_is_refused() -> None:
    def answer(handler: Handler, times: int, body: dict[str, Any]) -> None:
        if body["messages"][0]["content"] == "long":
            handler.give(400, {"error": {"message": "maximum context length is 8192 tokens"}})
        else:
            echo(handler, times, body)

    with endpoint(answer) as server:
        replies, waits = ask(server.address, "a", "long", "b")
    assert [reply.text for reply in replies] == ["about a", "", "about b"]
    assert replies[1].failure == 'The endpoint refuses the question (400): "maximum context length is 8192 tokens".'
    assert not waits


@pytest.mark.parametrize(
    ("status", "content", "said"),
    [
        (401, {"error": {"message": "bad key"}}, 'does not accept the key \\(401\\): "bad key"'),
        (403, {}, "does not accept the key"),
        (404, {"error": "model not found"}, 'no such address, or no model "tiny" \\(404\\): "model not found"'),
        (307, {}, "sends on to http://elsewhere"),
    ],
)
def test_what_concerns_every_question_is_an_error(status: int, content: object, said: str) -> None:
    def answer(handler: Handler, *_: object) -> None:
        handler.give(status, content, **({"Location": "http://elsewhere/v1"} if status == 307 else {}))

    with endpoint(answer) as server, pytest.raises(InputError, match=said) as caught:
        ask(server.address, *"abcdefgh", at_once=1)
    assert len(server.seen) == 1
    assert caught.value.remedy


def test_refused_and_silent_questions_are_an_error_once_there_are_many() -> None:
    with endpoint(lambda handler, *_: handler.give(400, {"error": "no max_tokens"})) as server:
        with pytest.raises(InputError, match=r"left 8 questions in a row unanswered.*no max_tokens"):
            ask(server.address, *map(str, range(100)), at_once=1)
        assert len(server.seen) == PATIENCE
        replies, _ = ask(server.address, *"abc")
    assert all("no max_tokens" in (reply.failure or "") for reply in replies)
    # Nothing listens there any more.
    with pytest.raises(InputError, match=r"left 8 questions in a row unanswered.*connection failed"):
        ask(server.address, *map(str, range(100)), retries=1)


def test_what_was_answered_before_is_not_lost() -> None:
    def answer(handler: Handler, times: int, body: dict[str, Any]) -> None:
        if int(body["messages"][0]["content"]) < 3:
            echo(handler, times, body)
        else:
            handler.give(401, {"error": "expired"})

    with endpoint(answer) as server:
        replies, _ = ask(server.address, *map(str, range(20)), at_once=1)
    assert [reply.text for reply in replies[:3]] == ["about 0", "about 1", "about 2"]
    assert all(reply.failure for reply in replies[3:])
    assert "stopped answering" in (replies[-1].failure or "")
    assert len(server.seen) == 4


def test_the_key_is_nowhere_but_in_the_header(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEST_KEY", "sk-secret")
    with endpoint(lambda handler, *_: handler.give(401, {"error": "wrong key sk-secret"})) as server:
        model = Endpoint(server.address, "tiny", key_variable="TEST_KEY")
        with pytest.raises(InputError, match="wrong key \\[key\\]") as caught:
            model.reply([question("a")])
    assert server.headers[0]["authorization"] == "Bearer sk-secret"
    assert "TEST_KEY" in str(caught.value)
    for text in (str(caught.value), model.identity, model.name, repr(model), json.dumps(server.seen)):
        assert "sk-secret" not in text


def test_a_server_that_repeats_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEST_KEY", "sk-secret" * 9)

    def answer(handler: Handler, times: int, body: dict[str, Any]) -> None:
        status = int(body["messages"][0]["content"])
        handler.give(status, {"error": {"message": f"no{'o' * 150} {handler.headers['Authorization']}"}})

    with endpoint(answer) as server:
        replies, _ = ask(server.address, "200", "400", "503", key_variable="TEST_KEY", retries=0)
    for reply in replies:
        assert "Bearer [key]" in (reply.failure or "")
        assert "secret" not in (reply.failure or "")


@pytest.mark.parametrize(("value", "said"), [(None, "TEST_KEY is not set"), ("  ", "not set"), ("a b", "is no key")])
def test_a_key_that_is_none(value: str | None, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TEST_KEY", raising=False)
    if value is not None:
        monkeypatch.setenv("TEST_KEY", value)
    with pytest.raises(InputError, match=said):
        Endpoint("http://127.0.0.1:1/v1", "tiny", key_variable="TEST_KEY")


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("127.0.0.1:8000/v1", "is no address"),
        ("localhost", "is no address"),
        ("ftp://host/v1", "is no address"),
        ("http://", "is no address"),
        ("http://host:port/v1", "is no address"),
        ("http://me:secret@host/v1", "holds no user"),
        ("http://host/v1?key=secret", "holds no user"),
    ],
)
def test_an_address_that_is_none(address: str, said: str) -> None:
    with pytest.raises(InputError, match=said) as caught:
        Endpoint(address, "tiny")
    assert "secret" not in str(caught.value)


def test_a_slash_or_the_whole_address_are_the_same() -> None:
    identities = {Endpoint(f"http://host/v1{ending}", "tiny").identity for ending in ("", "/", "/chat/completions")}
    assert len(identities) == 1
    assert Endpoint("http://host/v1", "tiny", temperature=1.0).identity not in identities
    assert Endpoint("http://host/v1", "tiny", at_once=9, seconds=1, retries=0).identity in identities


def test_a_cut_answer_is_a_reply_where_that_is_wanted() -> None:
    with endpoint(lambda handler, *_: handler.say("half an ans", "length")) as server:
        replies, waits = ask(server.address, "lakes", whole=False)
    assert (replies, waits) == ([Reply("half an ans", None, (7, 3), cut=True)], [])

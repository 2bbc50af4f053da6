"""One client cannot keep the page from the others."""

import http.client
import socket
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from judging import begin, rows, served

from lingraft.judge.human import connections
from lingraft.judge.human.server import application

HALF = b"POST /api/vote HTTP/1.1\r\nHost: 127.0.0.1\r\n"


def half_a_request(url: str) -> socket.socket:
    begun = socket.create_connection(("127.0.0.1", urlsplit(url).port), timeout=60)
    begun.sendall(HALF)
    return begun


def status(url: str) -> int:
    asking = http.client.HTTPConnection("127.0.0.1", urlsplit(url).port, timeout=60)
    asking.request("GET", "/")
    found = asking.getresponse().status
    asking.close()
    return found


def is_closed(begun: socket.socket) -> bool:
    try:
        return begun.recv(1) == b""
    except ConnectionResetError:
        return True


def test_a_request_that_is_never_whole_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "REQUEST_SECONDS", 0.1)
    with served(application(*begin(tmp_path, rows(1)))) as url:
        begun = half_a_request(url)
        with_body = half_a_request(url)
        with_body.sendall(b"Content-Type: application/json\r\nContent-Length: 9\r\n\r\n{")
        silent = socket.create_connection(("127.0.0.1", urlsplit(url).port), timeout=60)
        with begun, silent, with_body:
            assert is_closed(begun)
            assert is_closed(silent)
            while not is_closed(with_body):  # some refusal, then the end
                pass
        assert status(url) == 200


def test_connections_of_one_address_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "MOST", 8)
    with served(application(*begin(tmp_path, rows(1)))) as url:
        held = [half_a_request(url) for _ in range(3)]
        assert status(url) == 200
        held += [half_a_request(url)]
        with pytest.raises((ConnectionError, http.client.BadStatusLine)):
            status(url)
        for begun in held:
            begun.close()


def test_so_many_as_files_may_be_open(monkeypatch: pytest.MonkeyPatch) -> None:
    limits = {"now": (200, 1000)}
    monkeypatch.setattr(connections.resource, "getrlimit", lambda which: limits["now"])
    assert connections.most() == 100
    limits["now"] = (1 << 20, 1 << 20)
    assert connections.most() == 512
    limits["now"] = (connections.resource.RLIM_INFINITY, connections.resource.RLIM_INFINITY)
    assert connections.most() == 512

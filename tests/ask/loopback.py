"""A real HTTP server on loopback that answers as an OpenAI-compatible endpoint does, or as a bad one would."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Server:
    """What the handlers of one server share with the test."""

    address: str = ""
    seen: list[dict[str, Any]] = field(default_factory=list)
    """The bodies of all requests."""
    headers: list[dict[str, str]] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)
    closing: threading.Event = field(default_factory=threading.Event)


Answer = Callable[["Handler", int, dict[str, Any]], None]
"""Gets the handler, how often this very question was asked before, and the body of the request."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_state: Server
    answer: Answer

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        state = self.server_state
        with state.lock:
            times = sum(one["messages"] == body["messages"] for one in state.seen)
            state.seen.append(body)
            state.headers.append({"path": self.path, **{key.lower(): value for key, value in self.headers.items()}})
        type(self).answer(self, times, body)

    def give(self, status: int, content: object, **headers: str) -> None:
        raw = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response_only(status)
        self.send_header("Content-Length", str(len(raw)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(raw)

    def say(self, text: str | None, reason: str | None = "stop") -> None:
        self.give(200, completion(text, reason))

    def log_message(self, *_: object) -> None:
        pass


def completion(text: str | None, reason: str | None = "stop") -> dict[str, Any]:
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": reason}
    return {"choices": [choice], "usage": {"prompt_tokens": 7, "completion_tokens": 3}}


@contextmanager
def endpoint(answer: Answer) -> Iterator[Server]:
    """A server that answers every request by this function."""
    state = Server()
    handler = type("Made", (Handler,), {"server_state": state, "answer": staticmethod(answer)})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.handle_error = lambda *_: None  # a client that has gone is part of the tests
    state.address = f"http://127.0.0.1:{server.server_address[1]}/v1"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield state
    finally:
        state.closing.set()
        server.shutdown()
        thread.join()
        server.server_close()

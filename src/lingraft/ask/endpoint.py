"""A model behind an OpenAI-compatible endpoint: OpenAI, vLLM, llama.cpp, `transformers serve`, and many others."""

import email.utils
import functools
import json
import os
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import anyio
import httpx2 as httpx
from anyio.from_thread import start_blocking_portal

from lingraft.core.errors import InputError
from lingraft.core.progress import SILENT, Progress

from .message import Messages
from .respondent import Reply

MOST_BYTES = 8_000_000
"""Of an answer: a server that never ends one would fill the memory."""
QUOTED_CHARACTERS = 200
"""Of what a server says, in an error."""
FIRST_WAIT, LONGEST_WAIT = 1.0, 60.0
"""Seconds before the first retry, doubled with each; before jitter."""
LONGEST_ASKED_WAIT = 600.0
"""Seconds that a server can have us wait with Retry-After."""
PATIENCE = 8
"""Questions in a row that the endpoint leaves unanswered before the others are not asked at all."""
RETRIED = frozenset({408, 409, 425, 429})
"""Beside 500 and above: what passes by itself."""
_tls = functools.cache(httpx.create_ssl_context)
"""Reading the certificates takes longer than many an answer."""
CUT_OFF = ("length", "max_tokens")
"""What `finish_reason` says of half an answer; what it says of a whole one differs from server to server."""


class _Trouble(Exception):
    """Why one attempt gave no answer: whether another could help, after how many seconds that the server wants waited.

    What is a question's `own` trouble does not speak against the others.
    """

    def __init__(self, why: str, *, again: bool = True, seconds: float = 0.0, own: bool = False) -> None:
        super().__init__(why)
        self.why, self.again, self.seconds, self.own = why, again, seconds, own


@dataclass
class _Call:
    """What the questions of one call share."""

    stopped: anyio.Event = field(default_factory=anyio.Event)
    answered: int = 0
    failed_in_a_row: int = 0
    error: InputError | None = None


class Endpoint:
    """Asks `POST {address}/chat/completions`, several questions at once.

    Connections that fail, timeouts, 408, 409, 425, 429 and 500 and above are tried again, after the seconds that
    Retry-After asks for and no less than an exponential backoff with jitter; so are answers that are no JSON, or not
    of the schema. With `whole` an answer that was cut off at `max_tokens` is a failed reply, at once: it would be cut
    off again; without, it is a reply like any other.

    The key is read from the environment variable `key_variable` and is nowhere but in the header of the requests.
    `extra` are more keys of a request's body ({"top_p": 0.9}); None leaves one out ({"max_tokens": None}).
    `seconds` is the limit of one request, from its connection to the last byte. `wait` stands in for waiting before a
    retry. An interruption ends all requests at once.

    Raises InputError for an address that is none and a variable that is not set.
    """

    def __init__(
        self,
        address: str,
        model: str,
        *,
        key_variable: str | None = None,
        temperature: float = 0.0,
        max_tokens: int = 512,
        seed: int | None = None,
        extra: Mapping[str, Any] | None = None,
        at_once: int = 4,
        seconds: float = 60.0,
        retries: int = 5,
        whole: bool = True,
        wait: Callable[[float], object] | None = None,
    ) -> None:
        self._url = f"{checked_address(address)}/chat/completions"
        self._key = key_of(key_variable) if key_variable else None
        self._key_variable = key_variable
        body = {"model": model, "temperature": temperature, "max_tokens": max_tokens, "seed": seed, **(extra or {})}
        self._body = {name: value for name, value in body.items() if value is not None}
        self._at_once, self._seconds, self._retries, self._wait = at_once, seconds, retries, wait
        self._whole = whole
        self.name = model
        self.identity = json.dumps({"endpoint": self._url, "whole": whole, **self._body}, sort_keys=True)

    def reply(self, asked: Sequence[Messages], *, progress: Progress = SILENT) -> list[Reply]:
        """One reply to each conversation, in their order; see `Respondent`.

        Raises InputError for an address, a key or a model that the endpoint refuses, and where it leaves eight
        questions in a row unanswered. Once it has answered any of them, the others are failed replies instead, so that
        nothing that was paid for is lost.
        """
        progress.start(f"asking {self.name}", len(asked), "answers")
        # In a thread with a loop of its own, for there may be one here already, of a notebook.
        with start_blocking_portal() as portal:
            return portal.call(self._replies, asked, progress)

    async def _replies(self, asked: Sequence[Messages], progress: Progress) -> list[Reply]:
        call = _Call()
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if self._key:
            headers["Authorization"] = f"Bearer {self._key}"
        replies: dict[int, Reply] = {}
        at_once = anyio.Semaphore(self._at_once)

        async def one(place: int) -> None:
            async with at_once:
                replies[place] = await self._reply(client, asked[place], call)
            progress.advance()

        # The limit of the client is for each read, and a server that drips would keep us for ever: see `_attempt`.
        options = {"timeout": None, "follow_redirects": False, "verify": _tls()}
        limits = httpx.Limits(max_connections=self._at_once)
        async with (
            httpx.AsyncClient(headers=headers, limits=limits, **options) as client,
            anyio.create_task_group() as group,
        ):
            for place in range(len(asked)):
                group.start_soon(one, place)
        if call.error is not None and not call.answered:
            raise call.error
        return [replies[place] for place in range(len(asked))]

    async def _reply(self, client: httpx.AsyncClient, messages: Messages, call: _Call) -> Reply:
        trouble = _Trouble("It was not asked: the endpoint had stopped answering.")
        for attempt in range(self._retries + 1):
            if call.stopped.is_set():
                return Reply("", trouble.why)
            try:
                reply = await self._attempt(client, messages)
            except _Trouble as found:
                trouble = found
            except InputError as error:
                self._give_up(call, error)
                return Reply("", error.what)
            else:
                call.answered += 1
                call.failed_in_a_row = 0
                return reply
            if not trouble.again or attempt == self._retries:
                break
            backoff = min(LONGEST_WAIT, FIRST_WAIT * 2**attempt) * random.uniform(0.5, 1.5)
            await self._pause(max(backoff, trouble.seconds), call)
        if not trouble.own:
            call.failed_in_a_row += 1
            if call.failed_in_a_row >= PATIENCE:
                self._give_up(call, self._silent(trouble.why))
        return Reply("", trouble.why, lasting=not trouble.again)

    async def _pause(self, seconds: float, call: _Call) -> None:
        if self._wait is not None:
            self._wait(seconds)
            return
        with anyio.move_on_after(seconds):
            await call.stopped.wait()

    async def _attempt(self, client: httpx.AsyncClient, messages: Messages) -> Reply:
        body = json.dumps({**self._body, "messages": [message.as_json() for message in messages]}).encode()
        content = bytearray()
        try:
            with anyio.fail_after(self._seconds):
                async with client.stream("POST", self._url, content=body) as response:
                    async for part in response.aiter_bytes():
                        content += part
                        if len(content) > MOST_BYTES:
                            raise _Trouble(f"The answer has more than {MOST_BYTES // 1_000_000} MB.", own=True)
        except TimeoutError:
            whole = "whole " if content else ""
            raise _Trouble(f"There was no {whole}answer within {self._seconds:g} seconds.") from None
        except httpx.RequestError as error:
            what = self._quoted(str(error)).rstrip(".") or type(error).__name__
            raise _Trouble(f"The connection failed: {what}.") from None
        if response.status_code == 200:
            return _read(content, self._quoted, self._whole)
        raise self._refused(response, content)

    def _refused(self, response: httpx.Response, content: bytes) -> Exception:
        status = response.status_code
        said = self._said(content)
        if status in RETRIED or status >= 500:
            return _Trouble(f"The endpoint answers {status}{said}.", seconds=_asked_wait(response.headers))
        if status == 401 or (status == 403 and not self._key):
            remedy = (
                f"Check the key in the environment variable {self._key_variable}."
                if self._key_variable
                else "It wants a key: name the environment variable that holds it in key_variable."
            )
            return self._error(f"the endpoint does not accept the key ({status}){said}.", remedy)
        if status == 404:
            remedy = "The address ends before /chat/completions, mostly in /v1; GET {address}/models lists the models."
            return self._error(f'it knows no such address, or no model "{self.name}" (404){said}.', remedy)
        if 300 <= status < 400:
            place = self._quoted(response.headers.get("location", "elsewhere"))
            return self._error(f"the endpoint sends on to {place}.", "Give that address, if you trust it.")
        # Too long, or against the rules of the provider: of this question; the same of all of them is told as silence.
        return _Trouble(f"The endpoint refuses the question ({status}){said}.", again=False)

    def _said(self, content: bytes) -> str:
        """What the server says about an error."""
        text = content.decode("utf-8", "replace")
        try:
            error = json.loads(text)["error"]
            text = str(error["message"] if isinstance(error, dict) else error)
        except (ValueError, KeyError, TypeError, RecursionError):
            pass
        text = self._quoted(text).rstrip(".")
        return f': "{text}"' if text else ""

    def _quoted(self, text: str) -> str:
        """What a server says, as it may stand in an error: one line, not long, without the key."""
        if self._key:
            text = text.replace(self._key, "[key]")
        text = " ".join("".join(c if c.isprintable() else " " for c in text).split())
        return text if len(text) <= QUOTED_CHARACTERS else f"{text[:QUOTED_CHARACTERS]}…"

    def _error(self, what: str, remedy: str) -> InputError:
        return InputError(what, where=self._url, remedy=remedy)

    def _silent(self, why: str) -> InputError:
        what = f"the endpoint left {PATIENCE} questions in a row unanswered. The last: {why}"
        return self._error(what, "Check that it runs and what it allows; what it has answered is kept.")

    def _give_up(self, call: _Call, error: InputError) -> None:
        call.error = call.error or error
        call.stopped.set()


def checked_address(address: str) -> str:
    """The address of an endpoint without a slash at its end.

    Raises InputError for one that is none, and for a key inside it: addresses stand in files and errors.
    """
    remedy = "Give it as http://127.0.0.1:8000/v1 or https://api.openai.com/v1."
    try:
        url = httpx.URL(address)
    except httpx.InvalidURL as error:
        raise InputError(f'"{address}" is no address: {error}.', where="endpoint", remedy=remedy) from None
    if url.userinfo or url.query or url.fragment:
        what = "the address of an endpoint holds no user, password, ? or #."
        raise InputError(what, where="endpoint", remedy="Put the key into an environment variable; see key_variable.")
    if url.scheme not in ("http", "https") or not url.host:
        raise InputError(f'"{address}" is no address of an endpoint.', where="endpoint", remedy=remedy)
    return str(url).rstrip("/").removesuffix("/chat/completions")


def key_of(variable: str) -> str:
    """The key that an environment variable holds; raises InputError, which does not tell it, where that is none."""
    key = os.environ.get(variable, "").strip()
    if not key:
        raise InputError(
            f"the environment variable {variable} is not set, and the key of the endpoint should stand there.",
            where="key_variable",
            remedy=f"export {variable}=...; leave key_variable out for an endpoint that needs no key.",
        )
    if not (key.isascii() and key.isprintable()) or " " in key:
        raise InputError(
            f"what the environment variable {variable} holds is no key: it has spaces, or characters beyond ASCII.",
            where="key_variable",
            remedy="Copy the key again.",
        )
    return key


def _read(content: bytes, quoted: Callable[[str], str], whole: bool) -> Reply:
    try:
        body = json.loads(content)
    except (ValueError, RecursionError):
        raise _Trouble("The answer is no whole JSON.") from None
    try:
        choice = body["choices"][0]
        text, ending = choice["message"]["content"], choice.get("finish_reason")
    except (KeyError, IndexError, TypeError, AttributeError):
        error = body.get("error") if isinstance(body, dict) else None
        said = f" It says: {quoted(str(error))}." if error else ""
        raise _Trouble(f"The answer is not of the schema of chat completions.{said}") from None
    tokens = _tokens(body.get("usage"))
    if ending in CUT_OFF:
        if whole or not isinstance(text, str):
            return _failed("The answer was cut off at max_tokens.", tokens)
        return Reply(text.encode(errors="replace").decode(), None, tokens, cut=True)
    if ending == "content_filter":
        return _failed("The provider's content filter took the answer away.", tokens)
    if not isinstance(text, str) or not text.strip():
        raise _Trouble("The answer is empty.", own=True)
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise _Trouble("The answer has half a character.", own=True)
    return Reply(text, None, tokens)


def _failed(why: str, tokens: tuple[int, int] | None) -> Reply:
    return Reply("", why, tokens, lasting=True)


def _tokens(usage: object) -> tuple[int, int] | None:
    if not isinstance(usage, Mapping):
        return None
    counts = (usage.get("prompt_tokens"), usage.get("completion_tokens"))
    return counts if all(type(count) is int and count >= 0 for count in counts) else None


def _asked_wait(headers: Mapping[str, str]) -> float:
    """Seconds, of either form of Retry-After (RFC 9110, 10.2.3); a date counts from the server's own."""
    asked = headers.get("retry-after", "").strip()
    if not asked:
        return 0.0
    try:
        seconds = float(asked)
    except ValueError:
        try:
            until = email.utils.parsedate_to_datetime(asked).timestamp()
            now = email.utils.parsedate_to_datetime(headers["date"]).timestamp() if "date" in headers else time.time()
        except ValueError:
            return 0.0
        seconds = until - now
    return min(max(seconds, 0.0), LONGEST_ASKED_WAIT) if seconds == seconds else 0.0

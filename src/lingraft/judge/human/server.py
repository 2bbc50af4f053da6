"""The page and what it asks for, as an ASGI application."""

import sqlite3
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from . import labels
from .asked import Asking, Comparing, Entering, Rating
from .ballots import Ballots, Given, Refused, State
from .guard import Guard, refusal
from .limits import RateLimit
from .page import FILES, page
from .questions import Question

MAX_BODY_BYTES = 1 << 16
COOKIE_SECONDS = 90 * 86_400
_STATUS = {"token": 401, "unknown": 404, "not_given": 409, "key_reused": 409}
Asked = TypeVar("Asked", bound=BaseModel)


class _Refused(HTTPException):
    """Told as {"error": name}."""


def application(
    ballots: Ballots,
    questions: Sequence[Question],
    *,
    votes_per_item: int = 2,
    url: str | None = None,
    clock: Callable[[], float] = time.monotonic,
    per_annotator: tuple[float, int] = (10, 40),
    per_address: tuple[float, int] = (200, 600),
) -> ASGIApp:
    """Serves `questions` to the annotators of `ballots`, until each has `votes_per_item` votes.

    `url` is the address that annotators use where it is not the server's own. Limits are requests a second and at once.
    """
    serving = _Serving(ballots, questions, votes_per_item, RateLimit(*per_annotator, clock))
    routes = [
        Route("/", serving.page),
        *(Route(f"/{name}", serving.file) for name in FILES),
        Route("/api/enter", serving.enter, methods=["POST"]),
        Route("/api/ballot", serving.ballot, methods=["POST"]),
        Route("/api/vote", serving.vote, methods=["POST"]),
    ]
    app = Starlette(
        routes=routes,
        exception_handlers={
            HTTPException: _told,
            Refused: _not_allowed,
            sqlite3.OperationalError: _busy,
            ClientDisconnect: _gone,
        },
    )
    return Guard(app, url=url, limit=RateLimit(*per_address, clock))  # outside of what answers 500, too


class _Serving:
    def __init__(self, ballots: Ballots, questions: Sequence[Question], votes_per_item: int, limit: RateLimit) -> None:
        self._ballots, self._votes_per_item, self._limit = ballots, votes_per_item, limit
        self._questions = {question.id: question for question in questions}
        self._cookie = f"lingraft_judge_{ballots.study}"
        self._language = questions[0].item.language.tag

    async def page(self, request: Request) -> Response:
        wanted = (request.query_params.get("lang"), self._language, *_accepted(request))
        html = page(labels.best(wanted), self._ballots.mode, self._ballots.study)
        return Response(html, media_type="text/html")

    async def file(self, request: Request) -> Response:
        content, media_type = FILES[request.url.path.removeprefix("/")]
        return Response(content, media_type=media_type)

    async def enter(self, request: Request) -> Response:
        """Exchange the token of a link for a cookie that scripts cannot read and other sites cannot have sent."""
        token = (await _read(request, Entering)).token
        if await run_in_threadpool(self._ballots.annotator, token) is None:
            raise _Refused(403, "token")
        reply = Response(status_code=204)
        secure = request.headers["origin"].startswith("https:")
        reply.set_cookie(self._cookie, token, max_age=COOKIE_SECONDS, httponly=True, samesite="strict", secure=secure)
        return reply

    async def ballot(self, request: Request) -> Response:
        annotator = await self._annotator(request)
        asked = await _read(request, Asking)
        _check_same(annotator, asked.annotator)
        position = asked.position
        state = await run_in_threadpool(self._ballots.state, annotator, self._votes_per_item, position)
        if state.given is None and position is not None:
            raise _Refused(404, "position")
        return self._shown(annotator, state)

    async def vote(self, request: Request) -> Response:
        """Answered only when the vote is on the disk."""
        annotator = await self._annotator(request)
        vote = await _read(request, Rating if self._ballots.mode == "rate" else Comparing)
        _check_same(annotator, vote.annotator)
        said = vote.model_dump(exclude={"annotator"})
        state = await run_in_threadpool(self._ballots.vote, annotator, self._votes_per_item, **said)
        return self._shown(annotator, state)

    async def _annotator(self, request: Request) -> int:
        token = request.cookies.get(self._cookie)
        annotator = await run_in_threadpool(self._ballots.annotator, token) if token else None
        if annotator is None:
            raise _Refused(401, "token" if token else "no_token")
        if wait := self._limit.wait(annotator):
            raise _Refused(429, "too_fast", {"retry-after": str(wait)})
        return annotator

    def _shown(self, annotator: int, state: State) -> Response:
        reply = {
            "annotator": annotator,
            "done": state.num_done,
            "left": state.num_left,
            "previous": state.previous,
            "ballot": state.given and self._ballot(state.given),
        }
        return JSONResponse(reply)

    def _ballot(self, given: Given) -> dict[str, Any]:
        """What an annotator may know of a question: no model, no item, nothing that says it is planted."""
        question = self._questions[given.question]
        return {
            "question": given.question,
            "position": given.position,
            "language": question.item.language.tag,
            "prompt": [turn.as_json() for turn in question.item.prompt],
            "answers": list(reversed(question.texts) if given.swapped else question.texts),
            "choice": given.choice,
            "comment": given.comment,
        }


def _check_same(annotator: int, shown: int | None) -> None:
    """Two people at one browser share its cookie, which is of the link that was opened last."""
    if shown not in (None, annotator):
        raise _Refused(409, "other_annotator")


async def _read(request: Request, form: type[Asked]) -> Asked:
    if request.headers.get("content-type", "").split(";")[0].strip().lower() != "application/json":
        raise _Refused(415, "json_only")
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > MAX_BODY_BYTES:
            raise _Refused(413, "too_large")
    try:
        return form.model_validate_json(bytes(body))
    except ValidationError as error:
        raise _Refused(422, "form") from error


async def _told(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    name = error.detail if isinstance(error, _Refused) else error.detail.lower().replace(" ", "_")
    return refusal(error.status_code, name, error.headers)


async def _not_allowed(request: Request, error: Exception) -> Response:
    return refusal(_STATUS[str(error)], str(error))


async def _busy(request: Request, error: Exception) -> Response:
    """The disk is full or another process holds the file: nothing was counted, the page tries again."""
    print(f"the ballots cannot be written now: {error}", file=sys.stderr)
    return refusal(503, "busy", {"retry-after": "2"})


async def _gone(request: Request, error: Exception) -> Response:
    """The browser left in the middle of its own request; nobody reads this."""
    return refusal(400, "gone")


def _accepted(request: Request) -> list[str]:
    """The languages a browser asks for, in its order."""
    return [part.split(";")[0].strip() for part in request.headers.get("accept-language", "").split(",")]

"""What every request must get past before anything looks at what it says, and what every reply carries."""

import ipaddress
from collections.abc import Mapping
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .limits import RateLimit

HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; base-uri 'none'; "
        "form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
    ),
    "cache-control": "no-store",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}


class Guard:
    """Refuses foreign hosts and origins and addresses that ask too often.

    A page elsewhere whose name was made to point here (DNS rebinding) sends its own name as Host: only addresses,
    `localhost` and the host of `url` are answered.
    """

    def __init__(self, app: ASGIApp, *, url: str | None, limit: RateLimit) -> None:
        self._app, self._limit = app, limit
        self._origins = {origin(url)} if url else set()
        self._host = urlsplit(url).hostname if url else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if not self._known(host):
            await refusal(421, "host")(scope, receive, guarded)
        elif wait := self._limit.wait((scope.get("client") or ("",))[0]):
            await refusal(429, "too_fast", {"retry-after": str(wait)})(scope, receive, guarded)
        elif scope["method"] == "POST" and headers.get("origin") not in {f"{scope['scheme']}://{host}"} | self._origins:
            await refusal(403, "origin")(scope, receive, guarded)
        else:
            await self._app(scope, receive, guarded)

    def _known(self, host: str) -> bool:
        try:
            name = urlsplit(f"//{host}").hostname
            if name is None:
                return False
            return name in ("localhost", self._host) or bool(ipaddress.ip_address(name))
        except ValueError:
            return False


def refusal(status: int, error: str, headers: Mapping[str, str] | None = None) -> JSONResponse:
    return JSONResponse({"error": error}, status, headers)


def origin(url: str) -> str:
    """Scheme, host and port of a URL, as browsers write them."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}".lower()

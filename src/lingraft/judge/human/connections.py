"""Connections that cannot hold the page from others: so many, and each request in time."""

import asyncio
import resource

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

REQUEST_SECONDS = 20.0
"""A request that is not whole by then is not waited for; the page tries again."""
MOST = 512


def most() -> int:
    """Connections at once; open files are limited, and the ballots need some."""
    allowed = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return MOST if allowed == resource.RLIM_INFINITY else min(MOST, allowed // 2)


class Connection(H11Protocol):
    """Closed where there are too many, of all (`most`) or of one address (half of that), and when it is late."""

    _late: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        address = self.client and self.client[0]
        same = sum(1 for other in self.connections if other.client and other.client[0] == address)
        if len(self.connections) > most() or same > most() // 2:
            transport.abort()
        else:
            self._wait()

    def handle_events(self) -> None:
        super().handle_events()
        if self.conn.their_state not in (h11.IDLE, h11.SEND_BODY):
            self._wait_no_more()

    def on_response_complete(self) -> None:
        self._wait()  # for the next one; it may be there already
        super().on_response_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        self._wait_no_more()
        super().connection_lost(exc)

    def _wait(self) -> None:
        self._wait_no_more()
        self._late = self.loop.call_later(REQUEST_SECONDS, self.transport.abort)

    def _wait_no_more(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None

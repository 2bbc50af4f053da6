"""Serve the page until it is stopped."""

import ipaddress
import re
import socket
from collections.abc import Callable
from urllib.parse import urlsplit

import uvicorn
from starlette.types import ASGIApp

from lingraft.core.errors import InputError

from .connections import Connection

PORTS = {"http": 80, "https": 443}


def bound(host: str, port: int, *, url: str | None = None) -> socket.socket:
    """A socket that listens there; port 0 is any free one.

    Raises InputError where that cannot be, and for every address of the machine without a `url` that links can name.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        if url is None and ipaddress.ip_address(found[4][0]).is_unspecified:
            raise InputError(
                f"{host} is every address of this machine, and links need one.",
                remedy="Say how annotators reach the page, for example --url http://192.168.1.5:8450.",
            )
        listening = socket.socket(found[0], socket.SOCK_STREAM)
        try:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.bind(found[4])
            listening.listen(256)
        except OSError:
            listening.close()
            raise
    except UnicodeError as error:
        raise InputError(
            f'"{host}" is no name of a machine.', remedy="Write --host as 127.0.0.1 or a name of this machine."
        ) from error
    except OSError as error:
        raise InputError(
            f"nothing can be served at {host}:{port}: {error.strerror}.",
            remedy="Another server may be running there; choose another --port.",
        ) from error
    return listening


def serve(app: ASGIApp, listening: socket.socket, *, ready: Callable[[], None] = lambda: None) -> None:
    """Until SIGINT or SIGTERM. Requests leave no trace: their addresses are personal data that nothing needs."""
    ready()
    config = uvicorn.Config(
        app,
        http=Connection,
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        lifespan="off",
        ws="none",
    )
    uvicorn.Server(config).run(sockets=[listening])


def checked_url(url: str) -> str:
    """As a browser writes it, without what follows the path. Raises InputError for what no browser can open."""
    try:
        parts = urlsplit(url)
        host, port = _as_browsers_write(parts.hostname or ""), parts.port
    except ValueError:
        host = ""
    if not host or parts.scheme not in PORTS or parts.username is not None:
        raise InputError(f'"{url}" is no address of a page.', remedy="Write it as https://judge.example.org.")
    place = host if port in (None, PORTS[parts.scheme]) else f"{host}:{port}"
    return f"{parts.scheme}://{place}{parts.path}".rstrip("/")


def _as_browsers_write(host: str) -> str:
    """An address in its short form, a name in ASCII. Raises ValueError for what is neither."""
    if ":" in host:
        return f"[{ipaddress.IPv6Address(host).compressed}]"
    name = host.encode("idna").decode().lower()
    if not re.fullmatch(r"[a-z0-9_-]+(\.[a-z0-9_-]+)*\.?", name):
        raise ValueError(name)
    return name


def address(listening: socket.socket) -> str:
    """What a browser on this machine opens."""
    host, port = listening.getsockname()[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


def link(url: str, token: str) -> str:
    """The token stands behind #, which no browser sends to a server or as a referrer."""
    return f"{url}/#{token}"


def is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"

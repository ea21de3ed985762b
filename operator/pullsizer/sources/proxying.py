"""The little of HTTP that a proxy speaks: the head of a request, and the door's own answers."""

from __future__ import annotations

import re
from base64 import b64encode
from dataclasses import dataclass, field
from enum import Enum
from typing import Final
from urllib.parse import urlsplit

from pullsizer.sources.addresses import split_authority

VERDICT_HEADER: Final = "Pullsizer-Door"

_REQUEST: Final = re.compile(r"(GET|HEAD|CONNECT) ([!-~]+) HTTP/1\.[01]")
_FIELD: Final = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([^\x00\r\n]*)")
# Meant for the door, or about a body or another protocol, of which there is none.
_NOT_FORWARDED: Final = frozenset(
    {"connection", "content-length", "host", "keep-alive", "proxy-authorization", "proxy-connection", "te", "upgrade"}
)


class Verdict(Enum):
    """Why the door did not let a request through, and the status it says so with."""

    NO_HOST = 400
    DENIED = 403
    UNKNOWN_HOST = 404
    ELSEWHERE = 421
    UNREACHABLE = 502
    PROXY_REFUSED = 511


@dataclass(frozen=True)
class Head:
    """The head of a request to a proxy, as it came."""

    method: str
    target: str
    fields: tuple[tuple[str, str], ...] = field(repr=False)

    def get(self, name: str, default: str = "") -> str:
        return next((value for key, value in self.fields if key.lower() == name), default)


@dataclass(frozen=True)
class Asked:
    """What a client wants of the door.

    :param tunnel: CONNECT; else one GET or HEAD to forward
    :param path: of the URL, with its query
    :param fields: of the request, without what is meant for the door
    """

    tunnel: bool
    host: str
    port: int
    method: str = ""
    path: str = ""
    fields: str = field(default="", repr=False)

    @property
    def scheme(self) -> str:
        return "https" if self.tunnel else "http"

    @property
    def authority(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.scheme == "http" and self.port == 80 else f"{host}:{self.port}"

    def head(self, *, to_proxy: bool = False, more: str = "") -> bytes:
        """The request as the server is to get it, or the next proxy."""
        if self.tunnel:
            first = f"CONNECT {self.authority}" if to_proxy else ""
        else:
            first = f"{self.method} http://{self.authority}{self.path}" if to_proxy else f"{self.method} {self.path}"
        if not first:
            return b""
        # One plain request a connection: its answer ends where the server closes, and the door need not understand it.
        last = "" if self.tunnel else "Connection: close\r\n"
        return f"{first} HTTP/1.1\r\nHost: {self.authority}\r\n{self.fields}{more}{last}\r\n".encode("latin-1")


def parse_head(head: bytes) -> Head:
    """The head of a request, its empty line included.

    :raises ValueError: for anything that a client of ours would not send
    """
    first, *lines = head.decode("latin-1").removesuffix("\r\n\r\n").split("\r\n")
    request = _REQUEST.fullmatch(first)
    if request is None:
        raise ValueError("not a request")
    fields = []
    for line in lines:
        found = _FIELD.fullmatch(line)
        if found is None:
            raise ValueError("not a header")
        fields.append((found[1], found[2].rstrip(" \t")))
    return Head(request[1], request[2], tuple(fields))


def parse_target(head: Head) -> Asked:
    """Where a request is to go.

    Only GET and HEAD are forwarded, without a body: measuring a model needs no more, and so nobody can use the operator
    to change anything.

    :raises ValueError: for all but `host:port` after CONNECT and an absolute http URL after GET and HEAD
    """
    if head.method == "CONNECT":
        host, port = split_authority(head.target)
        return Asked(tunnel=True, host=host, port=port)
    if head.get("transfer-encoding") or head.get("content-length", "0") != "0":
        raise ValueError("a body")
    parts = urlsplit(head.target)
    if parts.scheme != "http":
        raise ValueError("not an absolute URL")
    host, port = split_authority(parts.netloc, 80)
    path = parts._replace(scheme="", netloc="", fragment="").geturl()
    fields = "".join(f"{name}: {value}\r\n" for name, value in head.fields if name.lower() not in _NOT_FORWARDED)
    return Asked(False, host, port, head.method, path if path.startswith("/") else f"/{path}", fields)


def answer(status: int, *fields: str) -> bytes:
    """A whole answer of the door's own, after which it closes the connection."""
    lines = (f"HTTP/1.1 {status} Door", *fields, "Content-Length: 0", "Connection: close")
    return "".join(f"{line}\r\n" for line in (*lines, "")).encode("latin-1")


def basic(user: str, password: str) -> str:
    return f"Basic {b64encode(f'{user}:{password}'.encode()).decode()}"

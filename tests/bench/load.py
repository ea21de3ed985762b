"""A client that costs little: requests built beforehand, HTTP/1.1 over kept connections, the least of parsing.

All servers are asked by it in the same way, so what it costs itself is in every figure alike; `Burst.busy` says how
much of a core that was.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Self, cast
from urllib.parse import urlsplit

_HEAD_END: Final = b"\r\n\r\n"
_LAST_CHUNK: Final = b"\r\n0\r\n\r\n"


class LoadError(Exception):
    """A server did not answer as servers do, or not what was expected."""


def request(method: str, url: str, body: bytes = b"") -> bytes:
    """The bytes of a request, to be sent any number of times."""
    parts = urlsplit(url)
    target = f"{parts.path}?{parts.query}" if parts.query else parts.path
    lines = (
        f"{method} {target} HTTP/1.1",
        f"Host: {parts.netloc}",
        "Accept: application/json",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
    )
    return "\r\n".join(lines).encode() + _HEAD_END + body


class Connection(asyncio.Protocol):
    """One connection; one request at a time."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._answer: asyncio.Future[bytes] | None = None
        self._buffer = b""
        self.lost = False
        """Whether it cannot be asked any more."""

    @classmethod
    async def open(cls, url: str, tls: ssl.SSLContext | None) -> Self:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port or 443
        _, protocol = await asyncio.get_running_loop().create_connection(cls, host, port, ssl=tls)
        return protocol

    async def ask(self, data: bytes) -> bytes:
        """The whole answer: status line, headers and body."""
        assert self._transport is not None
        if self.lost:
            raise LoadError("the server has closed the connection")
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(data)
        return await self._answer

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's are no subclass

    def data_received(self, data: bytes) -> None:
        self._buffer = self._buffer + data if self._buffer else data
        if self._answer is not None and not self._answer.done() and _complete(self._buffer):
            self._answer.set_result(self._buffer)
            self._buffer = b""

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost = True
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(LoadError("the server closed the connection before its answer was whole"))


def _complete(data: bytes) -> bool:
    end = data.find(_HEAD_END)
    if end < 0:
        return False
    head = data[:end].lower()
    at = head.find(b"\r\ncontent-length:")
    if at >= 0:
        length = int(head[at + 17 :].partition(b"\r\n")[0])
        return len(data) >= end + 4 + length
    return data.endswith(_LAST_CHUNK)  # Go's servers send what is above 2 KiB in chunks


def body_of(answer: bytes) -> bytes:
    """The body of an answer.

    :raises LoadError: its status is not one of success
    """
    head, _, body = answer.partition(_HEAD_END)
    if not head.startswith(b"HTTP/1.1 2"):
        raise LoadError((head.partition(b"\r\n")[0] + b": " + body[:300]).decode(errors="replace"))
    if b"\r\ntransfer-encoding: chunked" not in head.lower():
        return body
    whole = b""
    while True:
        size, _, rest = body.partition(b"\r\n")
        length = int(size, 16)
        if length == 0:
            return whole
        whole += rest[:length]
        body = rest[length + 2 :]


@dataclass(frozen=True)
class Burst:
    """What came of asking for a while.

    :param seconds: of each answer
    :param wall: from the first question to the last answer
    :param busy: share of a core that the client itself took
    """

    seconds: tuple[float, ...]
    wall: float
    busy: float


async def burst(
    connections: Sequence[Connection], requests: Iterator[bytes], seconds: float, check: Callable[[bytes], None]
) -> Burst:
    """Ask on all connections at once, each again as soon as it has its answer, until the time is over.

    :param requests: without end; all connections take from them
    :param check: of a body; it raises where that is not what was to come. Of each connection's last answer: parsing all
        of them would be the client's main work. Status lines are looked at in all.
    """
    taken: list[float] = []
    now = time.perf_counter
    end = now() + seconds

    async def keep_asking(connection: Connection) -> bytes:
        for data in requests:
            begin = now()
            answer = await connection.ask(data)
            taken.append(now() - begin)
            if not answer.startswith(b"HTTP/1.1 200"):
                body_of(answer)
                raise LoadError(f"not what is expected: {answer[:100]!r}")
            if now() >= end:
                return answer
        raise LoadError("there are no more requests")

    begin, cpu = now(), time.process_time()
    last = await asyncio.gather(*(keep_asking(connection) for connection in connections))
    wall, busy = now() - begin, time.process_time() - cpu
    for answer in last:
        check(body_of(answer))
    return Burst(tuple(taken), wall, busy / wall)

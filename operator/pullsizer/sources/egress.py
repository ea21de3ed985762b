"""The egress door: an HTTP proxy inside the process, which resolves, checks and dials for every client.

Clients for the Hub and for object stores open sockets of their own, follow redirects of their own and look names up by
themselves. A check before they are called proves little: the name may mean another address a moment later. So they get
a proxy to go through. It looks the name up, checks every address it got, and dials one of just those.
"""

from __future__ import annotations

import asyncio
import hmac
import secrets
import ssl
from collections.abc import AsyncIterator, Collection, Iterable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import Final, Self

from pullsizer.sources.addresses import Address, EgressRules, allowed
from pullsizer.sources.proxying import VERDICT_HEADER, Asked, Verdict, answer, basic, parse_head, parse_target
from pullsizer.sources.relay import Ends, closing, relay
from pullsizer.sources.resolve import Resolver
from pullsizer.sources.tickets import Ticket
from pullsizer.sources.upstream import Proxy, Upstream

USER: Final = "pullsizer"
_CONNECTED: Final = b"HTTP/1.1 200 Connected\r\n\r\n"
_ADDRESSES_TRIED: Final = 4


@dataclass(frozen=True)
class DoorLimits:
    """What one door gives, so that no server and no bug uses up the process."""

    connections: int = 256
    """Three times what the measurer uses at once; 64 KiB of buffers each."""
    head_bytes: int = 32 << 10
    """A presigned URL is up to 4 KiB, a token up to 4 KiB; eight times that."""
    head_seconds: float = 5
    connect_seconds: float = 10
    address_seconds: float = 3
    idle_seconds: float = 60
    bytes: int = 256 << 20
    """Of one connection, both ways: sixteen of the largest answers that a client reads (`huggingface`)."""


class _Refused(Exception):
    def __init__(self, verdict: Verdict) -> None:
        super().__init__(verdict.name)
        self.verdict = verdict


@dataclass(eq=False)
class _Connection:
    """A client's connection, and where it leads once that was checked."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    ticket: Ticket | None = None
    asked: Asked | None = None
    addresses: tuple[Address, ...] = ()
    task: asyncio.Task[None] | None = field(default=None, repr=False)


class Door:
    """The proxy. An async context manager; `url` and `secret` are what clients need to go through it.

    :param rules: what may be called; `replace` changes it at any time
    """

    def __init__(
        self,
        rules: EgressRules = EgressRules(),  # noqa: B008 - frozen
        *,
        upstream: Upstream | None = None,
        resolver: Resolver | None = None,
        tls: ssl.SSLContext | None = None,
        limits: DoorLimits | None = None,
    ) -> None:
        self._rules = rules
        self._upstream = upstream or Upstream()
        self._resolver = resolver or Resolver()
        self._tls = tls
        self._limits = limits or DoorLimits()
        self._connections: set[_Connection] = set()
        self._tickets: dict[str, Ticket] = {}
        self._server: asyncio.Server | None = None
        self.secret = secrets.token_urlsafe(24)
        """The password that clients send: other processes on the node's loopback do not know it."""
        self._mark = secrets.token_urlsafe(12)

    @property
    def url(self) -> str:
        assert self._server is not None
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0, limit=self._limits.head_bytes)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()
        self._resolver.close()
        await _end(self._connections)
        await self._server.wait_closed()

    def replace(self, rules: EgressRules) -> None:
        """From now on other rules apply, also to connections that are open."""
        self._rules = rules
        for connection in self._connections:
            asked = connection.asked
            if asked is not None and not self._permits(asked, connection.addresses) and connection.task:
                connection.task.cancel()

    def verdict(self, headers: Mapping[str, str]) -> Verdict | None:
        """What the door decided, if an answer is the door's own. Servers do not know the mark."""
        mark, _, name = headers.get(VERDICT_HEADER, "").partition(" ")
        return Verdict[name] if hmac.compare_digest(mark.encode(errors="replace"), self._mark.encode()) else None

    @asynccontextmanager
    async def ticket(self, targets: Collection[tuple[str, int]], most: int) -> AsyncIterator[Ticket]:
        """Leave for one question: its connections end with it, whatever their client would keep of them.

        :param most: bytes of one connection, both ways
        """
        ticket = Ticket(frozenset(targets), most)
        self._tickets[ticket.authorization] = ticket
        try:
            yield ticket
        finally:
            del self._tickets[ticket.authorization]
            await _end(connection for connection in self._connections if connection.ticket is ticket)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = _Connection(reader, writer)
        connection.task = asyncio.get_running_loop().create_task(self._serve(connection))
        self._connections.add(connection)
        connection.task.add_done_callback(lambda _: self._connections.discard(connection))

    async def _serve(self, connection: _Connection) -> None:
        async with closing(connection.writer):
            try:
                await self._handle(connection)
            except _Refused as refused:
                verdict = refused.verdict
                if connection.ticket is not None:
                    connection.ticket.refused.append(verdict)
                field_line = f"{VERDICT_HEADER}: {self._mark} {verdict.name}"
                connection.writer.write(answer(verdict.value, field_line))
            except (ValueError, asyncio.LimitOverrunError):
                connection.writer.write(answer(400))
            except (OSError, EOFError, TimeoutError):
                # One of the two ends left: the other learns of it by the end of its connection.
                pass

    async def _handle(self, connection: _Connection) -> None:
        if len(self._connections) > self._limits.connections:
            connection.writer.transport.abort()  # not read, so not known to be a client of ours
            return
        async with asyncio.timeout(self._limits.head_seconds):
            head = parse_head(await connection.reader.readuntil(b"\r\n\r\n"))
        who = head.get("proxy-authorization")
        connection.ticket = self._tickets.get(who)
        if connection.ticket is None and not hmac.compare_digest(who.encode(), basic(USER, self.secret).encode()):
            connection.writer.write(answer(407, "Proxy-Authenticate: Basic"))
            return
        try:
            asked = parse_target(head)
        except ValueError:
            raise _Refused(Verdict.NO_HOST) from None
        try:
            async with asyncio.timeout(self._limits.connect_seconds):
                reader, writer = await self._dial(asked, connection)
        except (OSError, EOFError, asyncio.LimitOverrunError, TimeoutError):
            raise _Refused(Verdict.UNREACHABLE) from None
        async with closing(writer):
            if asked.tunnel:
                connection.writer.write(_CONNECTED)
            await relay(
                (connection.reader, connection.writer),
                (reader, writer),
                both_ways=asked.tunnel,
                most=connection.ticket.most if connection.ticket else self._limits.bytes,
                idle_seconds=self._limits.idle_seconds,
            )

    def _permits(self, asked: Asked, addresses: tuple[Address, ...]) -> bool:
        """Whether the rules let a target be called.

        Every address counts: a name with a public and a private address is not one that is met by accident.
        """
        trusted = (asked.host, asked.port) in self._rules.endpoints
        return trusted or all(allowed(address, self._rules) for address in addresses)

    async def _dial(self, asked: Asked, connection: _Connection) -> Ends:
        trusted = (asked.host, asked.port) in self._rules.endpoints
        addresses = await self._resolver.addresses(asked.host, trusted=trusted)
        # No await between the check and the note of what was checked: `replace` finds either the one or the other.
        if not self._permits(asked, addresses):
            raise _Refused(Verdict.DENIED)
        if connection.ticket is not None and (asked.host, asked.port) not in connection.ticket.targets:
            raise _Refused(Verdict.ELSEWHERE)
        connection.asked, connection.addresses = asked, addresses
        proxy = self._upstream.for_target(asked.scheme, asked.host, asked.port)
        if proxy is not None:
            return await self._dial_proxy(asked, proxy)
        if not addresses:
            raise _Refused(Verdict.UNKNOWN_HOST)
        for address in addresses[:_ADDRESSES_TRIED]:
            with suppress(OSError, TimeoutError):
                async with asyncio.timeout(self._limits.address_seconds):
                    reader, writer = await asyncio.open_connection(
                        str(address), asked.port, limit=self._limits.head_bytes
                    )
                writer.write(asked.head())
                return reader, writer
        raise _Refused(Verdict.UNREACHABLE)

    async def _dial_proxy(self, asked: Asked, proxy: Proxy) -> Ends:
        reader, writer = await asyncio.open_connection(
            proxy.host, proxy.port, limit=self._limits.head_bytes, ssl=self._tls if proxy.tls else None
        )
        try:
            who = f"Proxy-Authorization: {proxy.authorization}\r\n" if proxy.authorization else ""
            writer.write(asked.head(to_proxy=True, more=who))
            if not asked.tunnel:
                return reader, writer
            status, _, _ = (await reader.readuntil(b"\r\n\r\n")).partition(b"\r\n")
            if status.split(b" ")[1:2] != [b"200"]:
                raise _Refused(Verdict.PROXY_REFUSED)  # noqa: TRY301 - the writer is closed below
        except BaseException:
            writer.transport.abort()
            raise
        return reader, writer


async def _end(connections: Iterable[_Connection]) -> None:
    tasks = [connection.task for connection in connections if connection.task]
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)

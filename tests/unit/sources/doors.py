"""Speaking to a door by hand."""

from __future__ import annotations

import asyncio
from base64 import b64encode
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from ipaddress import ip_network

from pullsizer.sources.addresses import EgressRules
from pullsizer.sources.egress import Door
from pullsizer.sources.proxying import Verdict
from pullsizer.sources.resolve import Resolver

LOOPBACK = EgressRules(networks=(ip_network("127.0.0.1/32"),))


@dataclass
class Reply:
    status: int
    verdict: Verdict | None
    text: str


async def connect(door: Door) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection("127.0.0.1", int(door.url.rpartition(":")[2]))


def authorization(secret: str) -> str:
    return f"Proxy-Authorization: Basic {b64encode(f'pullsizer:{secret}'.encode()).decode()}\r\n"


async def ask(door: Door, first: str, *fields: str, secret: str | None = None) -> Reply:
    """What the door answers to a request, until it closes."""
    reader, writer = await connect(door)
    who = authorization(door.secret if secret is None else secret)
    lines = "".join(f"{line}\r\n" for line in fields)
    writer.write(f"{first} HTTP/1.1\r\n{who}{lines}\r\n".encode())
    return await reply(door, reader, writer)


async def reply(door: Door, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Reply:
    text = (await reader.read()).decode("latin-1")
    writer.close()
    await writer.wait_closed()
    head, *_ = text.split("\r\n\r\n")
    first, *lines = head.split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines)
    return Reply(int(first.split(" ")[1]) if first else 0, door.verdict(headers), text)


@asynccontextmanager
async def server(
    handle: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]],
) -> AsyncIterator[int]:
    async def closing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await handle(reader, writer)
        finally:
            writer.close()

    listening = await asyncio.start_server(closing, "127.0.0.1", 0)
    async with listening:
        yield listening.sockets[0].getsockname()[1]


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(1000):
        writer.write(data)


def names(**hosts: list[str]) -> Resolver:
    """A resolver for which names mean what a test says."""

    def look_up(host: str) -> list[str]:
        if host not in hosts:
            raise OSError(host)
        return hosts[host]

    return Resolver(look_up)

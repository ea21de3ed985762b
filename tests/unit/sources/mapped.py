"""Stores under the names that they have on the Internet: a proxy leads those to the ports of this machine."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from pullsizer.sources.measure import Measurer
from pullsizer.sources.relay import closing, relay
from pullsizer.sources.resolve import Resolver

from .doors import server

_PUBLIC = "93.184.215.14"
"""Some address of the Internet, for names that are not dialled: the proxy is."""


@dataclass
class Mapped:
    """A measurer, and the connections that its proxy was asked for."""

    measurer: Measurer
    asked: list[str] = field(default_factory=list)


@asynccontextmanager
async def mapped(names: Mapping[str, str], trusted: Path, **addresses: str) -> AsyncIterator[Mapped]:
    """A measurer for which `host:port` leads to an endpoint of this machine's.

    :param trusted: PEM of those whose certificates it trusts
    :param addresses: by host, of those that are not public
    """
    asked: list[str] = []
    under_way: set[asyncio.Task[object]] = set()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        under_way.add(task)
        target = (await reader.readuntil(b"\r\n\r\n")).split(b" ")[1].decode()
        asked.append(target)
        if target not in names:
            writer.write(b"HTTP/1.1 502 Unknown\r\n\r\n")
            return
        there = urlsplit(names[target])
        far = await asyncio.open_connection(there.hostname, there.port)
        writer.write(b"HTTP/1.1 200 Connected\r\n\r\n")
        async with closing(far[1]):
            await relay((reader, writer), far, both_ways=True, most=1 << 30, idle_seconds=60)

    async with server(handle) as port:
        environ = {"HTTPS_PROXY": f"http://127.0.0.1:{port}", "SSL_CERT_FILE": str(trusted)}
        resolver = Resolver(lambda host: [addresses.get(host, _PUBLIC)])
        async with Measurer(environ=environ, resolver=resolver) as measurer:
            yield Mapped(measurer, asked)
        await asyncio.gather(*under_way, return_exceptions=True)

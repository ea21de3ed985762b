"""Carrying bytes between two connections, within bounds."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Final, TypeAlias

Ends: TypeAlias = tuple[asyncio.StreamReader, asyncio.StreamWriter]

_CHUNK: Final = 1 << 16


async def relay(client: Ends, server: Ends, *, both_ways: bool, most: int, idle_seconds: float) -> None:
    """Carries bytes until either side ends, or too many came, or none for too long.

    :param both_ways: False: the client's request was sent already, and if it sends more, that was never checked: the
        connection ends
    :raises TimeoutError: nothing came for too long
    """
    loop = asyncio.get_running_loop()
    left = most

    async def carry(source: asyncio.StreamReader, sink: asyncio.StreamWriter | None) -> None:
        nonlocal left
        while data := await source.read(_CHUNK):
            left -= len(data)
            if left < 0 or sink is None:
                return
            timer.reschedule(loop.time() + idle_seconds)
            sink.write(data)
            await sink.drain()

    async with asyncio.timeout(idle_seconds) as timer:
        pumps = [
            loop.create_task(carry(server[0], client[1])),
            loop.create_task(carry(client[0], server[1] if both_ways else None)),
        ]
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)


@asynccontextmanager
async def closing(writer: asyncio.StreamWriter) -> AsyncIterator[None]:
    """Closes a connection in any case, and soon: a peer that does not read is not waited for."""
    try:
        yield
        writer.close()
        with suppress(OSError, TimeoutError):
            async with asyncio.timeout(1):
                await writer.wait_closed()
    finally:
        writer.transport.abort()

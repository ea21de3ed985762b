"""Large requests together: each is bounded by itself, and a hundred of them have no room."""

from __future__ import annotations

import asyncio
import gzip

import pytest

from classifier_runtime.core.room import REQUESTS_AT_ONCE
from tests.runtime.server.by_hand import ANSWER, GOOD, chunked, post, raw
from tests.runtime.server.conftest import Client, Start


async def taken(client: Client, sent: bytes, size: int) -> asyncio.StreamWriter:
    """Sends what is not all of a request, and returns when room of this size is taken for it."""
    _, writer = await asyncio.open_connection("127.0.0.1", client.server.port)
    writer.write(sent)
    await room_taken(client, client.server.serving.room.taken + size)
    return writer


async def room_taken(client: Client, size: int) -> None:
    async with asyncio.timeout(20):
        while client.server.serving.room.taken != size:  # noqa: ASYNC110 - it tells nobody
            await asyncio.sleep(0)


async def test_large_requests_have_room_beside_others_or_come_again_and_small_ones_always_do(start: Start) -> None:
    client = await start(max_request_bytes=100_000)
    announced = post(length=100_000, body=b"{")
    waiting = [await taken(client, announced, 100_000) for _ in range(REQUESTS_AT_ONCE)]

    line, headers, body = await raw(client, announced)
    assert line.split()[1] == b"429"
    assert b"Retry-After: 1" in headers
    assert b"no room" in body
    for small in (post(), chunked(GOOD), post(b"Content-Encoding: gzip", body=gzip.compress(GOOD))):
        assert (await raw(client, small))[2] == ANSWER

    for writer in waiting:
        writer.close()
        await writer.wait_closed()
    await room_taken(client, 0)
    assert (await client.refused(b" " * 90_000))[0] == 400


PIECE = b"%x\r\n%s\r\n" % (70_000, b" " * 70_000)


@pytest.mark.parametrize(
    ("sent", "size"),
    [
        (post(length=70_000), 70_000),
        (post(b"Content-Encoding: identity", length=70_000), 70_000),
        (post(length=65_536), 0),
        (post(b"Transfer-Encoding: chunked", length=-1, body=PIECE), 70_000),
        (post(b"Content-Encoding: gzip", length=100_000, body=gzip.compress(b" " * 70_000)), 70_000),
    ],
)
async def test_a_body_takes_the_room_that_it_says_or_that_came(start: Start, sent: bytes, size: int) -> None:
    client = await start(max_request_bytes=1_000_000)

    writer = await taken(client, sent, size)
    writer.close()
    await writer.wait_closed()


async def test_what_comes_piece_by_piece_has_room_beside_others_or_comes_again(start: Start) -> None:
    client = await start(max_request_bytes=100_000)
    begun = post(b"Transfer-Encoding: chunked", length=-1, body=PIECE)
    waiting = [await taken(client, begun, 70_000) for _ in range(REQUESTS_AT_ONCE * 100_000 // 70_000)]

    line, _, body = await raw(client, begun)
    assert line.split()[1] == b"429"
    assert b"no room" in body
    for writer in waiting:
        writer.close()
        await writer.wait_closed()
    await room_taken(client, 0)

"""HTTP written by hand, byte for byte, as no client of ours would."""

from __future__ import annotations

import asyncio

from tests.runtime.server.conftest import Client

PREDICT = "/v1/models/model:predict"
GOOD = b'{"instances": ["5"]}'
ANSWER = b'{"predictions":[0]}'


async def raw(client: Client, sent: bytes, then: bytes = b"") -> tuple[bytes, list[bytes], bytes]:
    """Status line, headers and body of the last answer on a connection, where each has a length.

    :param then: sent after the first answer
    """
    reader, writer = await asyncio.open_connection("127.0.0.1", client.server.port)
    try:
        async with asyncio.timeout(20):
            for part in (sent, then) if then else (sent,):
                writer.write(part)
                status, *headers = (await reader.readuntil(b"\r\n\r\n")).split(b"\r\n")
                length = next((int(one[15:]) for one in headers if one.lower().startswith(b"content-length:")), 0)
                body = await reader.readexactly(length)
    finally:
        writer.close()
    return status, headers, body


def post(*headers: bytes, body: bytes = GOOD, target: bytes = PREDICT.encode(), length: int | None = None) -> bytes:
    """:param length: what is said of it, where that is not its own; negative for nothing"""
    said = len(body) if length is None else length
    lines = [b"POST %s HTTP/1.1" % target, b"Host: x", *headers, *([b"Content-Length: %d" % said] if said >= 0 else [])]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


def chunked(*chunks: bytes) -> bytes:
    body = b"".join(b"%x\r\n%s\r\n" % (len(one), one) for one in chunks) + b"0\r\n\r\n"
    return post(b"Transfer-Encoding: chunked", body=body, length=-1)

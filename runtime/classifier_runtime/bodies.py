"""Bodies of requests: announced, packed, slow, or too large."""

from __future__ import annotations

import asyncio
from typing import Final

from aiohttp import HttpVersion11, web
from aiohttp.web_protocol import RequestPayloadError

from classifier_runtime.errors import InvalidRequest, Stalled, TooLarge

_ENCODINGS: Final = ("", "identity", "gzip", "deflate")
_MOST_PACKED: Final = 1032
"""Bytes that deflate makes of one at most (zlib's manual, "Maximum Compression Factor")."""


def size(http: web.BaseRequest, most_bytes: int) -> int:
    """Of a body that is about to be read: the most it can be."""
    announced = http.content_length
    if announced is None:
        return most_bytes if http.body_exists else 0
    if "Content-Encoding" in http.headers:
        announced *= _MOST_PACKED
    return min(announced, most_bytes)


async def read(http: web.BaseRequest, most_bytes: int, seconds: float) -> bytes:
    """A body, unpacked.

    :param most_bytes: of it, unpacked
    :param seconds: for all of it to come: who sends a byte a minute keeps what it sent in our memory
    :raises RequestError: why there is none
    """
    encoding = http.headers.get("Content-Encoding", "").lower()
    if encoding not in _ENCODINGS:
        raise InvalidRequest(f"the body is packed by {encoding!r}; send it plain, or by gzip or deflate")
    if (http.content_length or 0) > most_bytes:
        raise _too_large(most_bytes)
    if "Expect" in http.headers:
        await _go_on(http)
    try:
        if http.content.is_eof():
            return await http.read()
        async with asyncio.timeout(seconds):
            return await http.read()
    except web.HTTPRequestEntityTooLarge:
        raise _too_large(most_bytes) from None
    except RequestPayloadError:
        raise InvalidRequest("the body is cut, or not packed as its Content-Encoding says") from None
    except TimeoutError:
        raise Stalled(f"the body did not come within {seconds:g} s; send all of it") from None


def _too_large(most_bytes: int) -> TooLarge:
    return TooLarge(f"the body has more than {most_bytes} bytes; send less, or raise --max_request_bytes")


async def _go_on(http: web.BaseRequest) -> None:
    """What curl waits a second for before it sends a megabyte, and others for ever."""
    if http.headers["Expect"].lower() == "100-continue" and http.version == HttpVersion11:
        await http.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        http.writer.output_size = 0

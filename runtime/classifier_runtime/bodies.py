"""Bodies of requests: announced, packed, slow, or too large."""

from __future__ import annotations

import asyncio
from typing import Final

from aiohttp import HttpVersion11, StreamReader, web
from aiohttp.web_protocol import RequestPayloadError

from classifier_runtime.core.room import Place
from classifier_runtime.errors import InvalidRequest, Stalled, TooLarge

_PLAIN: Final = ("", "identity")
_ENCODINGS: Final = (*_PLAIN, "gzip", "deflate")


def announced(http: web.BaseRequest, most_bytes: int) -> int:
    """Bytes that are known to come; 0 of a body that is packed, or comes in chunks: how many, one sees as they come."""
    return min(http.content_length or 0, most_bytes) if _encoding(http) in _PLAIN else 0


async def read(http: web.BaseRequest, most_bytes: int, seconds: float, place: Place) -> bytes:
    """A body, unpacked.

    :param most_bytes: of it, unpacked
    :param seconds: for all of it to come: who sends a byte a minute keeps what it sent in our memory
    :param place: grows with what comes
    :raises RequestError: why there is none
    """
    encoding = _encoding(http)
    if encoding not in _ENCODINGS:
        raise InvalidRequest(f"the body is packed by {encoding!r}; send it plain, or by gzip or deflate")
    if (http.content_length or 0) > most_bytes:
        raise _too_large(most_bytes)
    if "Expect" in http.headers:
        await _go_on(http)
    try:
        if http.content.is_eof():
            return await _read(http.content, most_bytes, place)
        async with asyncio.timeout(seconds):
            return await _read(http.content, most_bytes, place)
    except RequestPayloadError:
        raise InvalidRequest("the body is cut, or not packed as its Content-Encoding says") from None
    except TimeoutError:
        raise Stalled(f"the body did not come within {seconds:g} s; send all of it") from None


async def _read(content: StreamReader, most_bytes: int, place: Place) -> bytes:
    """Piece by piece, so that what unpacks to gigabytes is left after as much as there may be."""
    body = bytearray()
    while piece := await content.readany():
        body += piece
        if len(body) > most_bytes:
            raise _too_large(most_bytes)
        place.grow(len(body))
    return bytes(body)


def _encoding(http: web.BaseRequest) -> str:
    return http.headers.get("Content-Encoding", "").lower()


def _too_large(most_bytes: int) -> TooLarge:
    return TooLarge(f"the body has more than {most_bytes} bytes; send less, or raise --max_request_bytes")


async def _go_on(http: web.BaseRequest) -> None:
    """What curl waits a second for before it sends a megabyte, and others for ever."""
    if http.headers["Expect"].lower() == "100-continue" and http.version == HttpVersion11:
        await http.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        http.writer.output_size = 0

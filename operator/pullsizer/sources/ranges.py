"""Pieces of a file on a web server, by ranges; and how long it is, by what a server says of its first byte."""

from __future__ import annotations

import re
from typing import Final

from yarl import URL

from pullsizer.quantity import MOST_BYTES
from pullsizer.sources.archives import Read
from pullsizer.sources.client import Answer, Client
from pullsizer.sources.redirects import Private, follow

FIRST_BYTE: Final = {"Range": "bytes=0-0"}

_DIGITS: Final = r"[0-9]{1,19}"
_RANGE: Final = re.compile(rf"bytes (?:({_DIGITS})-({_DIGITS})|\*)/({_DIGITS})")
_LENGTH: Final = re.compile(_DIGITS)


def length(found: Answer) -> int | None:
    """What `Content-Length` says, if it says what can be."""
    text = found.headers.get("Content-Length", "")
    return _bounded(text) if _LENGTH.fullmatch(text) else None


def whole_length(found: Answer) -> int | None:
    """The whole file's length from the answer to a GET for its first byte."""
    if found.status == 200:  # ranges are unknown to the server; it began to send all
        return length(found)
    match = _content_range(found) if found.status in (206, 416) else None
    return _bounded(match[3]) if match else None


def pieces(client: Client, url: URL, size: int, about: str, private: Private) -> Read:
    """Reads pieces of a file of `size` bytes. Nothing where the server knows no ranges, or the file is another now."""

    async def read(start: int, length: int) -> bytes:
        last = start + length - 1
        if last < start:
            return b""
        asked = {"Range": f"bytes={start}-{last}"}
        found, _ = await follow(client, "GET", url, about, headers=asked, private=private, most=length)
        match = _content_range(found) if found.status == 206 else None
        told = match and match[1] and tuple(map(int, match.groups()))
        return found.body if told == (start, last, size) else b""

    return read


def _content_range(found: Answer) -> re.Match[str] | None:
    return _RANGE.fullmatch(found.headers.get("Content-Range", ""))


def _bounded(digits: str) -> int | None:
    return size if (size := int(digits)) <= MOST_BYTES else None

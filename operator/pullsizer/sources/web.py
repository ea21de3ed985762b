"""`http(s)://…`: how big one file on a web server is."""

from __future__ import annotations

import re
from typing import Final, NoReturn

from yarl import URL

from pullsizer.model import ModelFacts, Source
from pullsizer.policy import SourceRules
from pullsizer.sources.access import Access
from pullsizer.sources.addresses import normal_host
from pullsizer.sources.archives import archive_kind
from pullsizer.sources.client import REDIRECTED, REDIRECTS, Answer, Client
from pullsizer.sources.failures import failure, retry_after, shown

_MOST_BYTES: Final = (1 << 63) - 1
_ETAG: Final = re.compile(r'(?:W/)?"[!#-~]{0,200}"')
_RANGE: Final = re.compile(r"bytes (?:[0-9]+-[0-9]+|\*)/([0-9]{1,19})")
_LENGTH: Final = re.compile(r"[0-9]{1,19}")
# Where HEAD is answered by these, GET may still work: presigned URLs are signed for one method, and not every server
# knows HEAD.
_HEAD_REFUSED: Final = frozenset({400, 403, 405, 406, 501})


def parse(uri: str) -> URL:
    """The URL of a single file.

    :raises MeasureError: InvalidURI; UnsupportedSource for a URL with credentials in it
    """
    host: str | None
    try:
        url = URL(uri).with_fragment(None)
        host, port = normal_host(url.raw_host or ""), url.port
    except ValueError:
        host = port = None
        url = URL()
    if not host or not port or any(ord(letter) <= 0x20 for letter in uri):
        raise failure("InvalidURI", f"{shown(Source(uri).public_uri)} is not a URL; write it as https://host/path/file")
    if url.raw_user or url.raw_password:
        raise failure("UnsupportedSource", f"a URI on {shown(host)} holds credentials, which the operator never uses")
    if not url.name:
        raise failure(
            "InvalidURI", f"the URI on {shown(host)} names no file; the downloader needs one at the end of the path"
        )
    return url


class Web:
    """Asks web servers about files."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def host(self, source: Source, access: Access, rules: SourceRules) -> str:
        return normal_host(parse(source.uri).raw_host or "")

    async def unchanged(self, source: Source, facts: ModelFacts, access: Access, rules: SourceRules) -> bool:
        return await self.measure(source, access, rules) == facts

    async def measure(self, source: Source, access: Access, rules: SourceRules) -> ModelFacts:
        url = parse(source.uri)
        about = shown(url.raw_host or "")
        found = await self._follow("HEAD", url, about)
        # Some servers answer every HEAD with a length of 0: that is not believed before GET says so, too.
        size = _length(found) if found.status == 200 else None
        if found.status in _HEAD_REFUSED or (found.status < 300 and not size):
            found = await self._follow("GET", url, about)
            size = _ranged_length(found)
        if size is None:
            _refuse(found, about)
        etag = found.headers.get("ETag", "")
        kept = etag if _ETAG.fullmatch(etag) else ""
        return ModelFacts(
            bytes=size, files=1, largest=size, archive=archive_kind(url.path, url.query_string), etag=kept
        )

    async def _follow(self, method: str, url: URL, about: str) -> Answer:
        """The answer after redirects. Each is a request of its own, so the door checks each.

        Errors name the first host only: where it sends us is a thing that the server said.
        """
        for _ in range(REDIRECTS + 1):
            if method == "HEAD":
                found = await self._client.ask("HEAD", url, about, {})
            else:
                found = await self._client.ask("GET", url, about, {"Range": "bytes=0-0"})
            location = found.headers.get("Location")
            if found.status not in REDIRECTED or location is None:
                return found
            try:
                url = url.join(URL(location)).with_fragment(None)
            except ValueError:
                raise failure("InvalidAnswer", f"{about} redirects to what is not a URL") from None
        raise failure("InvalidAnswer", f"{about} redirects more than {REDIRECTS} times")


def _length(found: Answer) -> int | None:
    text = found.headers.get("Content-Length", "")
    return _bounded(text) if _LENGTH.fullmatch(text) else None


def _ranged_length(found: Answer) -> int | None:
    """The whole file's length from the answer to a question for its first byte."""
    if found.status == 200:  # ranges are unknown to the server; it began to send all
        return _length(found)
    match = _RANGE.fullmatch(found.headers.get("Content-Range", "")) if found.status in (206, 416) else None
    return _bounded(match[1]) if match else None


def _bounded(digits: str) -> int | None:
    return size if (size := int(digits)) <= _MOST_BYTES else None


def _refuse(found: Answer, about: str) -> NoReturn:
    """Raises what an answer without a usable length means."""
    status, wait = found.status, retry_after(found.headers.get("Retry-After", ""))
    if status in (401, 403, 407):
        raise failure("Unauthorized", f"{about} does not give the file to everybody")
    if status in (404, 410):
        raise failure("NotFound", f"{about} has no such file")
    if status == 429:
        raise failure("RateLimited", f"{about} asked for fewer questions for a while", wait)
    if status >= 500:
        raise failure("SourceUnavailable", f"{about} answered with an error of its own (HTTP {status})", wait)
    if status < 300 or status == 416:
        raise failure("NoLength", f"{about} does not tell how long the file is")
    raise failure("InvalidAnswer", f"{about} answered with HTTP {status}")

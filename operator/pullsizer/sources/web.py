"""`http(s)://…`: how big one file on a web server is.

HEAD first: it costs a server nothing, and one that says no to it is left alone. Then GET for the first byte: that is
what the downloader does, so where the two differ, GET is right. Servers answer HEAD with the length of an error page,
of nothing, or of another representation.
"""

from __future__ import annotations

import re
from typing import Final

from yarl import URL

from pullsizer.model import Basis, ModelFacts, Source
from pullsizer.policy import SourceRules
from pullsizer.sources.access import Access
from pullsizer.sources.addresses import normal_host
from pullsizer.sources.answers import refuse
from pullsizer.sources.archives import archive_kind, unpacked
from pullsizer.sources.client import Client
from pullsizer.sources.failures import failure, shown
from pullsizer.sources.ranges import FIRST_BYTE, length, pieces, whole_length
from pullsizer.sources.redirects import Private, follow
from pullsizer.sources.secret_headers import secret_headers

_ETAG: Final = re.compile(r'(?:W/)?"[!#-~]{0,200}"')
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

    async def measure(self, source: Source, access: Access, rules: SourceRules) -> ModelFacts:
        url = parse(source.uri)
        about, private = shown(url.raw_host or ""), _private(url, access)
        head, _ = await follow(self._client, "HEAD", url, about, private=private)
        if head.status >= 300 and head.status not in _HEAD_REFUSED:
            refuse(head, about, "file")
        found, where = await follow(self._client, "GET", url, about, headers=FIRST_BYTE, private=private)
        basis: Basis = "measured"
        size = whole_length(found)
        if size is None and found.status < 300 and head.status == 200:
            size, basis = length(head) or None, "estimated"  # 0 is how some answer every HEAD
        if size is None:
            if found.status < 300 or found.status == 416:
                raise failure("NoLength", f"{about} does not tell how long the file is")
            refuse(found, about, "file")
        kind = archive_kind(url.path, url.query_string)
        inside, read = await unpacked(kind, size, pieces(self._client, where, size, about, private))
        etag = found.headers.get("ETag", "")
        return ModelFacts(
            bytes=size,
            files=1,
            largest=size,
            archive=kind,
            unpacked=inside,
            etag=etag if _ETAG.fullmatch(etag) else "",
            basis=basis if read == "measured" else read,
        )

    async def unchanged(self, source: Source, facts: ModelFacts, access: Access, rules: SourceRules) -> bool:
        # What could not be told about an archive is worth another try.
        if facts.etag and (facts.unpacked or facts.basis == "measured"):
            url = parse(source.uri)
            about, private = shown(url.raw_host or ""), _private(url, access)
            asked = {"If-None-Match": facts.etag}
            head, _ = await follow(self._client, "HEAD", url, about, headers=asked, private=private)
            if head.status == 304:
                return True
            if head.status == 200 and "ETag" in head.headers:
                # A weak one will do: it is about bytes that mean the same.
                return head.headers["ETag"].removeprefix("W/") == facts.etag.removeprefix("W/")
            if head.status >= 300 and head.status not in _HEAD_REFUSED:
                refuse(head, about, "file")
        return await self.measure(source, access, rules) == facts


def _private(url: URL, access: Access) -> Private:
    """What KServe's Secret for web servers (`https-host`, `headers`) has for the URL's host."""
    return Private(url, secret_headers(access.get(f"{url.raw_host}-headers"), shown(url.raw_host or "")))

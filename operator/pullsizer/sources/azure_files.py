"""`https://ACCOUNT.file.core.windows.net/share/path`: how big a folder of an Azure file share is.

The downloader's library (azure-storage-file-share) is synchronous there and opens sockets of its own; its one call that
is needed is made here: https://learn.microsoft.com/rest/api/storageservices/list-directories-and-files.
"""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime
from functools import partial
from typing import Final, NoReturn
from urllib.parse import quote, unquote, urlsplit
from xml.etree.ElementTree import Element, ParseError

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import fromstring
from yarl import URL

from pullsizer.errors import MeasureError
from pullsizer.model import ModelFacts, Source
from pullsizer.policy import SourceRules
from pullsizer.sources.access import Access
from pullsizer.sources.alone import Alone, WhenLarge
from pullsizer.sources.answers import refuse
from pullsizer.sources.archives import archive_kind, unpacked
from pullsizer.sources.azure_signing import shared_key, to_sign
from pullsizer.sources.client import Answer, Client
from pullsizer.sources.failures import failure, shown
from pullsizer.sources.filtering import Filters
from pullsizer.sources.tally import Item, Tally

_ANSWER: Final = 8 << 20
"""Bytes of a page: 5000 entries of 1.6 kB, ten times what one usually has."""
_MOST_ENTRIES: Final = 200_000
_MOST_PAGES: Final = 1000
_DEEPEST: Final = 6
"""Folders that the downloader looks into, one in another, the first included."""
_VERSION: Final = "2022-11-02"
"""Of the API: the first listings with ETags are those of 2020-04-08, with names as XML can have them of 2021-12-02."""
_REMEDY: Final = "write the model's size into the annotation pullsizer.dev/model-size"

# Only Azure's own hosts: the downloader takes any in whose path such a name stands, and signs for it.
_HOST: Final = re.compile(r"[a-z0-9][a-z0-9.-]{1,200}\.(?:file\.core\.windows|z[0-9]{1,2}\.file\.storage\.azure)\.net")
_SHARE: Final = re.compile(r"[a-z0-9$-]{3,63}")
_SIGNATURE: Final = re.compile(r"[!-~]{0,4096}")
_SIZE: Final = re.compile(r"[0-9]{1,19}")


@dataclass(frozen=True)
class Share:
    """A folder of a share.

    :param path: in it, as the downloader reads the URI: nothing is decoded
    :param signature: that came with the URI
    """

    host: str
    name: str
    path: str
    signature: str = ""

    @property
    def account(self) -> str:
        return self.host.partition(".")[0]


def parse(uri: str) -> Share:
    """The folder, as KServe's downloader reads the URI.

    :raises MeasureError: InvalidURI
    """
    try:
        parts = urlsplit(uri)
    except ValueError:
        parts = urlsplit("")
    name, slash, path = parts.path.lstrip("/").partition("/")
    valid = _HOST.fullmatch(parts.netloc.lower()) and _SHARE.fullmatch(name) and _SIGNATURE.fullmatch(parts.query)
    if not valid or not slash:
        raise failure(
            "InvalidURI",
            f"{shown(Source(uri).public_uri)} names no share and folder; write "
            "https://ACCOUNT.file.core.windows.net/SHARE/FOLDER",
        )
    return Share(parts.netloc.lower(), name, path.strip("/"), parts.query)


class AzureFiles:
    """Asks Azure Files about shares."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._alone = Alone()

    def host(self, source: Source, access: Access, rules: SourceRules) -> str:
        return parse(source.uri).host

    async def unchanged(self, source: Source, facts: ModelFacts, access: Access, rules: SourceRules) -> bool:
        return await self.measure(source, access, rules) == facts

    async def measure(self, source: Source, access: Access, rules: SourceRules) -> ModelFacts:
        async with self._alone.question() as when_large:
            asking = _Asking(self._client, parse(source.uri), access.get("AZURE_STORAGE_ACCESS_KEY"), when_large)
            return await asking.facts(source)


@dataclass(frozen=True)
class _Page:
    files: list[Item]
    folders: list[str]
    next: str


class _Asking:
    """One model's files, however many questions they take."""

    def __init__(self, client: Client, share: Share, key: str, when_large: WhenLarge) -> None:
        self._client, self._share, self._key, self._when_large = client, share, key, when_large
        self._about = f"the share {shown(share.name)} at {share.host}"
        self._entries = self._pages = 0

    async def facts(self, source: Source) -> ModelFacts:
        tally, folders, filters = Tally(), [self._share.path], Filters(source)
        for _ in range(_DEEPEST):
            inside: list[str] = []
            for folder in folders:
                inside += await self._add(tally, folder, filters)
            folders = inside
        if not tally.files:
            raise failure("NotFound", f"{self._about} has no files there, or the filters leave none")
        only = tally.last
        if tally.files != 1 or only is None or not (kind := archive_kind(only.name)):
            return tally.facts()
        found, basis = await unpacked(kind, only.size, partial(self._read, only.key))
        return tally.facts(kind, found, basis)

    async def _add(self, tally: Tally, folder: str, filters: Filters) -> list[str]:
        """Adds a folder's files, page by page; its folders are what is left to do."""
        folders, marker = [], ""
        while True:
            page = await self._page(folder, marker)
            # Filters apply to the path in the share, the model's own folder included.
            for item in await filters.leave(page.files, lambda one: one.key):
                tally.add(item)
            folders += page.folders
            if not page.next:
                return folders
            marker = page.next

    async def _page(self, folder: str, marker: str) -> _Page:
        self._pages += 1
        query = {"restype": "directory", "comp": "list", "include": "Etag"}
        found = await self._ask(
            folder, {**query, "marker": marker} if marker else query, {"x-ms-file-extended-info": "true"}, _ANSWER
        )
        if found.status != 200:
            self._refuse(found)
        try:
            page = await asyncio.to_thread(_parsed, found.body, folder)
        except (ValueError, ParseError, DefusedXmlException):
            raise self._odd() from None
        self._entries += len(page.files) + len(page.folders)
        if self._entries > _MOST_ENTRIES or self._pages > _MOST_PAGES:
            raise failure("UnsupportedSource", f"{self._about} has more files than the operator counts; {_REMEDY}")
        return page

    async def _read(self, path: str, at: int, length: int) -> bytes:
        found = await self._ask(path, {}, {"x-ms-range": f"bytes={at}-{at + length - 1}"}, length)
        return found.body if found.status == 206 else b""

    async def _ask(self, path: str, query: dict[str, str], headers: dict[str, str], most: int) -> Answer:
        share = self._share
        where = quote(f"/{share.name}/{path}".rstrip("/"))
        headers = {
            **headers, "x-ms-version": _VERSION, "x-ms-date": format_datetime(datetime.now(UTC), usegmt=True),
        }  # fmt: skip
        text = "&".join(f"{name}={quote(value, safe='')}" for name, value in query.items())
        if self._key:
            try:
                signed = shared_key(share.account, self._key, to_sign(share.account, where, query, headers))
            except ValueError:
                raise failure(
                    "Unauthorized", "AZURE_STORAGE_ACCESS_KEY in the Secret is no key of an account, which is in Base64"
                ) from None
            headers["Authorization"] = signed
        elif share.signature:
            text = f"{share.signature}&{text}" if text else share.signature
        url = URL(f"https://{share.host}{where}?{text}", encoded=True)
        # Redirects are not followed: Azure sends none.
        return await self._client.ask("GET", url, self._about, headers, most=most, when_large=self._when_large)

    def _refuse(self, found: Answer) -> NoReturn:
        if found.status in (401, 403):
            raise failure(
                "Unauthorized",
                f"{self._about} is private; {_REMEDY}, or ask an administrator to allow credentials for the namespace",
            )
        if found.status == 404:
            raise failure(
                "NotFound", f"{self._about} has no such folder, or is none; the downloader takes folders only"
            )
        refuse(found, self._about, "folder")

    def _odd(self) -> MeasureError:
        return failure("InvalidAnswer", f"{self._about} answers with what is not the listing of a folder")


def _parsed(body: bytes, folder: str) -> _Page:
    """:raises ValueError: and the parser's own errors, for any other answer"""
    root: Element = fromstring(body, forbid_dtd=True)
    entries = root.find("Entries")
    if root.tag != "EnumerationResults" or entries is None:
        raise ValueError("not a listing")
    files = []
    for one in entries.findall("File"):
        size, name = one.findtext("Properties/Content-Length", ""), _name(one)
        if not _SIZE.fullmatch(size):
            raise ValueError("no size")
        files.append(Item(_joined(folder, name), name, int(size), one.findtext("Properties/Etag", "")))
    folders = [_joined(folder, _name(one)) for one in entries.findall("Directory")]
    return _Page(files, folders, root.findtext("NextMarker", ""))


def _name(entry: Element) -> str:
    found = entry.find("Name")
    text = (found.text or "") if found is not None else ""
    if found is not None and found.get("Encoded") == "true":  # what XML cannot hold
        text = unquote(text)
    if text in ("", ".", "..") or "/" in text:
        raise ValueError("not a name")
    return text


def _joined(folder: str, name: str) -> str:
    return f"{folder}/{name}" if folder else name

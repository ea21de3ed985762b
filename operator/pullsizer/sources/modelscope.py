"""`modelscope://owner/model[:revision]`: how big a repository of ModelScope is.

The downloader's library (modelscope_hub) is synchronous and opens sockets of its own. Of its calls one is needed, which
is made here: the listing of a repository's files.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, NoReturn

import orjson
from yarl import URL

from pullsizer.model import ModelFacts, Source
from pullsizer.policy import SourceRules
from pullsizer.sources.access import Access
from pullsizer.sources.addresses import normal_host
from pullsizer.sources.alone import Alone, WhenLarge
from pullsizer.sources.answers import refuse
from pullsizer.sources.client import Answer, Client
from pullsizer.sources.failures import failure, shown
from pullsizer.sources.filtering import Filters
from pullsizer.sources.redirects import Private, follow
from pullsizer.sources.tally import Item, Tally

ENDPOINT: Final = "https://modelscope.cn"
CAP: Final = 3000
"""Files and folders that the server tells of at a time; there are no pages. A listing of just so many may lack some."""
_ANSWER: Final = 8 << 20
"""Bytes: 3000 entries of up to 2.7 kB, most of that what their last commit says."""
_MOST_ENTRIES: Final = 200_000
_MOST_QUESTIONS: Final = 500
_DEFAULT_REVISION: Final = "master"
_REMEDY: Final = "write the model's size into the annotation pullsizer.dev/model-size"

_PART: Final = r"[A-Za-z0-9_.-]{1,128}"
_REPO: Final = re.compile(rf"({_PART})/({_PART})(?::([!-~]{{1,256}})?)?")
_TOKEN: Final = re.compile(r"[!#-+.-:<-~-]{1,4096}")
_DOTS: Final = frozenset({".", ".."})


@dataclass(frozen=True)
class Repo:
    id: str
    revision: str


@dataclass(frozen=True)
class _Entry:
    path: str
    folder: bool
    size: int
    digest: str


def parse(uri: str) -> Repo:
    """The repository, as KServe's downloader reads the URI: one slash, and a revision after the first colon.

    :raises MeasureError: InvalidURI
    """
    found = _REPO.fullmatch(uri.partition("://")[2])
    if not found or found[1] in _DOTS or found[2] in _DOTS or "/" in (found[3] or ""):
        raise failure(
            "InvalidURI",
            f"{shown(Source(uri).public_uri)} is not a model of ModelScope; write modelscope://owner/model or "
            "modelscope://owner/model:revision, without a query and without credentials",
        )
    return Repo(f"{found[1]}/{found[2]}", found[3] or _DEFAULT_REVISION)


class ModelScope:
    """Asks ModelScope about its models."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._alone = Alone()

    def host(self, source: Source, access: Access, rules: SourceRules) -> str:
        parse(source.uri)
        return _endpoint(source).host or ""

    async def unchanged(self, source: Source, facts: ModelFacts, access: Access, rules: SourceRules) -> bool:
        # The listing tells no commit of the whole; its digest is as good, and one question in most cases.
        return await self.measure(source, access, rules) == facts

    async def measure(self, source: Source, access: Access, rules: SourceRules) -> ModelFacts:
        async with self._alone.question() as when_large:
            asking = _Asking(self._client, parse(source.uri), _endpoint(source), _token(access), when_large)
            return await asking.facts(_like_the_library(source))


class _Asking:
    """One repository's listing, however many questions that takes."""

    def __init__(self, client: Client, repo: Repo, endpoint: URL, token: str, when_large: WhenLarge) -> None:
        self._client, self._repo, self._when_large = client, repo, when_large
        self._about = f"ModelScope at {endpoint.host}"
        self._url = endpoint / "api/v1/models" / repo.id / "repo/files"
        # Some of the server reads the one, some the other; the library sends both.
        login = {"Authorization": f"Bearer {token}", "Cookie": f"m_session_id={token}"} if token else {}
        self._private = Private(endpoint, login)
        self._questions = self._entries = 0

    async def facts(self, source: Source) -> ModelFacts:
        """Sums up what the filters leave, folder by folder where the whole is more than the server tells at once."""
        tally, folders, complete, filters = Tally(), [""], True, Filters(source)
        while folders:
            folder = folders.pop()
            found = await self._list(folder, recursive=True)
            if len(found) >= CAP:
                found = await self._list(folder, recursive=False)
                complete = complete and len(found) < CAP
                inside = (entry.path for entry in found if entry.folder and _below(entry.path, folder))
                folders += dict.fromkeys(inside)
            files = [entry for entry in found if not entry.folder]
            for entry in await filters.leave(files, lambda one: one.path):
                tally.add(Item(entry.path, entry.path, entry.size, entry.digest))
        # The library does not unpack, and takes no more of a folder than the server tells either.
        return replace(tally.facts(), basis="measured" if complete else "estimated")

    async def _list(self, folder: str, *, recursive: bool) -> Sequence[_Entry]:
        self._questions += 1
        if self._questions > _MOST_QUESTIONS or self._entries > _MOST_ENTRIES:
            raise failure("UnsupportedSource", f"{self._repo.id} has more files than the operator counts; {_REMEDY}")
        asked = {"Revision": self._repo.revision, "Recursive": str(recursive)}
        url = self._url.with_query({**asked, "Root": folder} if folder else asked)
        found, _ = await follow(
            self._client, "GET", url, self._about, private=self._private, most=_ANSWER, when_large=self._when_large
        )
        if found.status != 200:
            self._refuse(found)
        try:
            entries = [_entry(one) for one in _files(orjson.loads(found.body))]
        except (ValueError, KeyError, TypeError, AttributeError):
            raise failure(
                "InvalidAnswer", f"{self._about} answers with what is not the list of a model's files"
            ) from None
        self._entries += len(entries)
        return entries

    def _refuse(self, found: Answer) -> NoReturn:
        name = shown(f"{self._repo.id}:{self._repo.revision}")
        if found.status in (401, 403):
            raise failure(
                "Unauthorized",
                f"modelscope://{self._repo.id} is private, or does not exist; if it exists, {_REMEDY}, or ask an "
                "administrator to allow credentials for the namespace",
            )
        if found.status == 404:
            raise failure("NotFound", f"{self._about} has no model {name}, or keeps it private")
        refuse(found, self._about, "model")


def _files(answer: Any) -> list[Any]:
    """The entries of a listing.

    :raises ValueError: and the like, for any other answer
    """
    if answer.get("Success") is False:
        raise ValueError("not a success")
    files = answer["Data"]["Files"]
    if files is not None and not isinstance(files, list):
        raise TypeError("not a list")
    return files or []


def _entry(one: Any) -> _Entry:
    path, folder = one["Path"], one.get("Type") == "tree"
    size, digest = (0 if folder else one["Size"]), one.get("Sha256") or ""
    if not isinstance(path, str) or type(size) is not int or size < 0 or not isinstance(digest, str):
        raise TypeError("not an entry")
    return _Entry(path, folder, size, digest)


def _below(path: str, folder: str) -> bool:
    """Whether a folder really lies in the one that was listed: who lists a folder in itself would be asked for ever."""
    return path.startswith(f"{folder}/") if folder else bool(path)


def _like_the_library(source: Source) -> Source:
    """The filters as the library reads them: commas separate, and `.*`, as in a regex, stands for `*`, too."""

    def more(patterns: tuple[str, ...]) -> tuple[str, ...]:
        each = [part.strip() for pattern in patterns for part in pattern.split(",") if part.strip()]
        return tuple(dict.fromkeys([*each, *(one.replace(".*", "*") for one in each)]))

    return replace(source, allow=more(source.allow), ignore=more(source.ignore))


def _endpoint(source: Source) -> URL:
    """Where the container is sent, which may be a bare host, or else ModelScope itself."""
    text = source.endpoint.strip() or ENDPOINT
    try:
        url = URL(text if "://" in text else f"https://{text}")
        normal_host(url.raw_host or "")
        origin = url.origin()
    except ValueError:
        raise failure("InvalidURI", "the endpoint is no URL of ModelScope; correct MODELSCOPE_DOMAIN") from None
    return origin.with_path(url.path.rstrip("/")) if url.path.strip("/") else origin


def _token(access: Access) -> str:
    token = access.get("MODELSCOPE_API_TOKEN")
    if token and not _TOKEN.fullmatch(token):
        raise failure(
            "Unauthorized", "what the Secret holds for ModelScope is not a token; it has spaces or odd characters"
        )
    return token

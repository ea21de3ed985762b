"""`hf://owner/model[:revision]`: how big a repository of the Hub is, by the Hub's own client library."""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import Callable
from concurrent.futures import CancelledError, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Final, TypeVar

import httpx2
from huggingface_hub import HfApi
from huggingface_hub.errors import HfHubHTTPError, RevisionNotFoundError
from huggingface_hub.hf_api import ModelInfo
from huggingface_hub.utils import parse_ratelimit_headers  # type: ignore[attr-defined] # documented there
from yarl import URL

from pullsizer.errors import MeasureError
from pullsizer.model import ModelFacts, Source
from pullsizer.policy import SourceRules
from pullsizer.sources import bridge
from pullsizer.sources.access import Access
from pullsizer.sources.addresses import normal_host
from pullsizer.sources.client import Client
from pullsizer.sources.counting import who_counts
from pullsizer.sources.failures import failure, retry_after, shown
from pullsizer.sources.listings import Listing, Listings
from pullsizer.sources.manners import HUB_CALLS

T = TypeVar("T")

_ANSWER: Final = 16 << 20
"""Bytes: some 50,000 files at 330 bytes each. The largest repositories that are models have a few thousand."""
_MOST_BYTES: Final = (1 << 63) - 1
# What the library reads of an answer. Cookies, above all, must not travel from one namespace's call to another's.
_HEADERS_KEPT: Final = ("content-type", "location", "ratelimit", "retry-after", "x-error-code")

_PART: Final = r"[A-Za-z0-9_](?:[A-Za-z0-9._-]{0,94}[A-Za-z0-9_])?"
_REPO: Final = re.compile(rf"{_PART}/{_PART}")
_REVISION: Final = re.compile(r"[!-~]{1,256}")
_TOKEN: Final = re.compile(r"[!-~]{1,4096}")
_COMMIT: Final = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True)
class Repo:
    """A model's repository, and the revision wanted; none is the default branch."""

    id: str
    revision: str | None = None

    @property
    def pinned(self) -> bool:
        """Whether the revision is a commit, which never changes."""
        return bool(_COMMIT.fullmatch(self.revision or ""))


def parse(uri: str) -> Repo:
    """The repository, as KServe's downloader reads the URI: one slash, and a revision after the first colon.

    :raises MeasureError: InvalidURI
    """
    path = uri.partition("://")[2]
    name, _, revision = path.partition(":")
    valid = _REPO.fullmatch(name) and "--" not in name and ".." not in name and not name.endswith(".git")
    if not valid or "/" in revision or (revision and not _REVISION.fullmatch(revision)):
        raise failure(
            "InvalidURI",
            f"{shown(Source(uri).public_uri)} is not a model of the Hub; write hf://owner/model or "
            "hf://owner/model:revision, without a query and without credentials",
        )
    return Repo(name, revision or None)


class HuggingFace:
    """Asks a Hub about its models."""

    def __init__(self, client: Client) -> None:
        bridge.install()
        self._client = client
        self._pool = ThreadPoolExecutor(HUB_CALLS, "hub")  # each question waits in a thread
        self._large = asyncio.Lock()
        self._listings = Listings()

    def host(self, source: Source, access: Access, rules: SourceRules) -> str:
        parse(source.uri)
        return _origin(_endpoint(source, rules)).host or ""

    async def measure(self, source: Source, access: Access, rules: SourceRules) -> ModelFacts:
        endpoint = _endpoint(source, rules)
        repo, token = parse(source.uri), _token(access)
        key = (endpoint, repo, _scope(token))
        listing = await self._listings.get(key, partial(self._listing, repo, endpoint, token))
        if len(listing.files) * (1 + len(source.allow) + len(source.ignore)) > 10_000:  # some 10 ms: not on the loop
            return await asyncio.get_running_loop().run_in_executor(self._pool, _facts, listing, source)
        return _facts(listing, source)

    async def unchanged(self, source: Source, facts: ModelFacts, access: Access, rules: SourceRules) -> bool:
        endpoint = _endpoint(source, rules)
        repo, token = parse(source.uri), _token(access)
        if repo.pinned:
            return repo.revision == facts.revision
        api = HfApi(endpoint=endpoint, token=False)
        ask = partial(api.model_info, repo.id, revision=repo.revision, expand=["sha"], token=token or False)
        info = await self._call(ask, repo, endpoint, token)
        return bool(facts.revision) and info.sha == facts.revision

    async def _listing(self, repo: Repo, endpoint: str, token: str | None) -> Listing:
        api = HfApi(endpoint=endpoint, token=False)
        ask = partial(api.model_info, repo.id, revision=repo.revision, files_metadata=True, token=token or False)
        return await self._call(lambda: _listing_of(ask()), repo, endpoint, token)

    async def _call(self, ask: Callable[[], T], repo: Repo, endpoint: str, token: str | None) -> T:
        """What a question to the library returns; all that it may raise becomes a `MeasureError`."""
        origin = _origin(endpoint)
        about = f"the Hub at {origin.host}"
        large = over = False
        counted = who_counts()

        async def alone() -> None:
            nonlocal large
            if large:
                return
            await self._large.acquire()
            large = True
            if over:  # nobody waits any more: the end of the call has passed
                self._large.release()
                raise CancelledError

        async def send(request: httpx2.Request) -> httpx2.Response:
            url = URL(str(request.url), encoded=True)
            headers = {"Accept": "application/json"}
            # The library drops it too when it follows a redirect elsewhere. This is the line that makes sure.
            if "authorization" in request.headers and url.origin() == origin:
                headers["Authorization"] = request.headers["authorization"]
            counted()
            found = await self._client.ask("GET", url, about, headers, most=_ANSWER, when_large=alone)
            kept = [(name, found.headers[name]) for name in _HEADERS_KEPT if name in found.headers]
            return httpx2.Response(found.status, headers=kept, content=found.body, request=request)

        try:
            return await bridge.call(ask, send, self._pool)
        except HfHubHTTPError as error:
            raise _explained(error, repo, about) from None
        except MeasureError:
            raise
        except Exception:  # noqa: BLE001 - what the library makes of an answer of any shape; its text may hold the answer
            raise failure("InvalidAnswer", f"{about} answers with what is not the description of a model") from None
        finally:
            over = True
            if large:
                self._large.release()

    async def close(self) -> None:
        await self._listings.close()
        self._pool.shutdown(wait=False, cancel_futures=True)


def _origin(endpoint: str) -> URL:
    """Scheme, host and port of the Hub; a token goes nowhere else."""
    try:
        origin = URL(endpoint).origin()
        normal_host(origin.raw_host or "")
    except ValueError:
        sentence = "the endpoint is no URL of a Hub; correct HF_ENDPOINT, or the policy's sources.huggingFace.endpoint"
        raise failure("InvalidURI", sentence) from None
    return origin


def _endpoint(source: Source, rules: SourceRules) -> str:
    """The Hub that the container names, or else the administrator's."""
    return source.endpoint.rstrip("/") or rules.hugging_face.endpoint


def _token(access: Access) -> str | None:
    token = access.get("HF_TOKEN") or None
    if token and not _TOKEN.fullmatch(token):
        raise failure(
            "Unauthorized", "what the Secret holds for the Hub is not a token; it has spaces or odd characters"
        )
    return token


def _scope(token: str | None) -> str:
    """What tells one credential from another without being it."""
    return hashlib.sha256(token.encode()).hexdigest() if token else "anonymous"


def _listing_of(info: ModelInfo) -> Listing:
    if info.siblings is None:
        raise ValueError("no files")
    return Listing(str(info.sha or ""), tuple((str(file.rfilename), file.size) for file in info.siblings))


def _facts(listing: Listing, source: Source) -> ModelFacts:
    """How much of a repository the downloader will take: all of it but what its filters leave out."""
    sizes, model = [], shown(source.public_uri)
    for path, size in listing.files:
        if source.selects(path):
            if type(size) is not int or size < 0:
                raise failure("InvalidAnswer", f"the Hub does not tell the size of every file of {model}")
            sizes.append(size)
    total = sum(sizes)
    if total > _MOST_BYTES:
        raise failure("InvalidAnswer", f"the Hub tells impossible sizes for the files of {model}")
    revision = listing.sha if _COMMIT.fullmatch(listing.sha) else ""
    return ModelFacts(bytes=total, files=len(sizes), largest=max(sizes, default=0), revision=revision)


def _explained(error: HfHubHTTPError, repo: Repo, about: str) -> MeasureError:
    """The Hub's answer in our words. The library's own would show its body and headers."""
    status = error.response.status_code
    if status in (401, 403):
        return failure(
            "Unauthorized",
            f"hf://{repo.id} is private or gated, or does not exist; if it exists, write its size into the annotation "
            "pullsizer.dev/model-size, or ask an administrator to allow a token for the namespace",
        )
    if status == 404 and isinstance(error, RevisionNotFoundError):
        revision = Source(repo.revision or "main").public_uri  # a query pasted behind it is part of it
        return failure("NotFound", f"hf://{repo.id} has no revision {shown(revision)}")
    if status == 404:
        return failure("NotFound", f"{about} has no model {shown(repo.id)}")
    if status == 429:
        return failure("RateLimited", f"{about} asked for fewer questions for a while", _wait(error.response.headers))
    if status >= 500:
        wait = _wait(error.response.headers)
        return failure("SourceUnavailable", f"{about} answered with an error of its own (HTTP {status})", wait)
    return failure("InvalidAnswer", f"{about} answered with HTTP {status}")


def _wait(headers: httpx2.Headers) -> float | None:
    """Seconds, within reason, by either header that the Hub documents."""
    if "retry-after" in headers:
        return retry_after(headers["retry-after"])
    limit = parse_ratelimit_headers(headers)
    return retry_after(str(limit.reset_in_seconds)) if limit is not None and limit.remaining == 0 else None

"""`hf://owner/model[:revision]`: how big a repository of the Hub is, by the Hub's own client library.

A repository is one request, and one more for each thousand files and folders beyond the first: its tree, the only
answer in which the Hub says whether a file is in Xet's store (`xetHash`), and whole where a model's description is not:
beyond a thousand files that may be cut off (huggingface_hub #3122, #3565). What the tree does not have to name is the
commit of a branch. It would take a second request, of the 500 in five minutes that strangers have, and nothing is
computed from it; so it is kept where an answer names it, and whether a branch changed is seen from its files.

A mirror may know nothing of trees: the clients of KServe 0.20 and before ask for descriptions. Then so do we; how a
file comes is not known then.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import Callable
from concurrent.futures import CancelledError, ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from typing import Final, TypeVar

import httpx2
from huggingface_hub import HfApi
from huggingface_hub.errors import HfHubHTTPError
from yarl import URL

from pullsizer.errors import MeasureError
from pullsizer.model import ModelFacts, Source
from pullsizer.policy import SourceRules
from pullsizer.sources import bridge
from pullsizer.sources.access import Access
from pullsizer.sources.addresses import normal_host
from pullsizer.sources.client import Client
from pullsizer.sources.counting import who_counts
from pullsizer.sources.failures import failure, shown
from pullsizer.sources.filtering import quick
from pullsizer.sources.hub_errors import explained, not_now
from pullsizer.sources.hub_listing import COMMIT, facts_of, of_info, of_tree
from pullsizer.sources.listings import Listing, Listings
from pullsizer.sources.manners import HUB_CALLS

T = TypeVar("T")

_ANSWER: Final = 16 << 20
"""Bytes: a page of a tree has half a MiB; a description of 50,000 files, at 330 bytes each, all of it."""
_MOST_REQUESTS: Final = 250
"""For one listing: twice what the largest repository takes that is measured. A `Link` can lead in a circle."""
# What the library reads of an answer. Cookies, above all, must not travel from one namespace's call to another's.
_HEADERS_KEPT: Final = ("content-type", "link", "location", "x-error-code")

_PART: Final = r"[A-Za-z0-9_](?:[A-Za-z0-9._-]{0,94}[A-Za-z0-9_])?"
_REPO: Final = re.compile(rf"{_PART}/{_PART}")
_REVISION: Final = re.compile(r"[!-~]{1,256}")
_TOKEN: Final = re.compile(r"[!-~]{1,4096}")


@dataclass(frozen=True)
class Repo:
    """A model's repository, and the revision wanted; none is the default branch."""

    id: str
    revision: str | None = None

    @property
    def pinned(self) -> bool:
        """Whether the revision is a commit, which never changes."""
        return bool(COMMIT.fullmatch(self.revision or ""))


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
        return await self._facts(source, access, rules, anew=False)

    async def unchanged(self, source: Source, facts: ModelFacts, access: Access, rules: SourceRules) -> bool:
        repo = parse(source.uri)
        if repo.pinned:
            return repo.revision == facts.revision
        return await self._facts(source, access, rules, anew=True) == facts

    async def _facts(self, source: Source, access: Access, rules: SourceRules, *, anew: bool) -> ModelFacts:
        endpoint = _endpoint(source, rules)
        repo, token = parse(source.uri), _token(access)
        key = (endpoint, repo, _scope(token))
        listing = await self._listings.get(key, partial(self._listing, repo, endpoint, token), anew=anew)
        if quick(len(listing.files), source):
            return facts_of(listing, source)
        return await asyncio.get_running_loop().run_in_executor(self._pool, facts_of, listing, source)

    async def _listing(self, repo: Repo, endpoint: str, token: str | None) -> Listing:
        api = HfApi(endpoint=endpoint, token=False)
        commits: list[str] = []
        listing = await self._call(partial(_listed, api, repo, token), repo, endpoint, commits)
        return replace(listing, commit=listing.commit or next(iter(commits), ""))

    async def _call(self, ask: Callable[[], T], repo: Repo, endpoint: str, commits: list[str]) -> T:
        """What a question to the library returns; all that it may raise becomes a `MeasureError`.

        :param commits: those that answers name are added to it
        """
        origin = _origin(endpoint)
        about = f"the Hub at {origin.host}"
        large = over = False
        requests = 0
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
            nonlocal requests
            requests += 1
            if requests > _MOST_REQUESTS:
                raise failure("InvalidAnswer", f"{about} has more pages than a repository can have")
            url = URL(str(request.url), encoded=True)
            headers = {"Accept": "application/json"}
            # The library drops it too when it follows a redirect elsewhere, but not when it follows a `Link`.
            if "authorization" in request.headers and url.origin() == origin:
                headers["Authorization"] = request.headers["authorization"]
            counted()
            found = await self._client.ask("GET", url, about, headers, most=_ANSWER, when_large=alone)
            if found.status == 429 or found.status >= 500:
                # Not for the library: it would sleep and ask again, in a thread that nobody can wake.
                raise not_now(found, about)
            commits.extend(found.headers.getall("X-Repo-Commit", ()))
            kept = [(name, found.headers[name]) for name in _HEADERS_KEPT if name in found.headers]
            return httpx2.Response(found.status, headers=kept, content=found.body, request=request)

        try:
            return await bridge.call(ask, send, self._pool)
        except HfHubHTTPError as error:
            raise explained(error, repo.id, repo.revision, about) from None
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


def _listed(api: HfApi, repo: Repo, token: str | None) -> Listing:
    """In a thread: a repository's files, by the library."""
    who = token or False
    try:
        tree = of_tree(api.list_repo_tree(repo.id, recursive=True, revision=repo.revision, token=who))
    except HfHubHTTPError as error:
        # The Hub names its errors. Who does not, and lets us in, does not know the question.
        if error.response.status_code in (401, 403) or "x-error-code" in error.response.headers:
            raise
        return of_info(api.model_info(repo.id, files_metadata=True, revision=repo.revision, token=who))
    return Listing(repo.revision if repo.revision and repo.pinned else "", tree)

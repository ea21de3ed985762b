"""`https://….git`: how big a shallow clone is.

The downloader's library (dulwich) is synchronous and opens sockets of its own, and to measure with it would be to
clone. It takes the newest state of every branch, tag and pull request, not of the default branch alone, and keeps that
as a pack beside the files. So this asks the server for the very same pack, counts while it comes and keeps nothing.
Files in Large File Storage are not fetched by the library: they count as the pointers that they are.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Final

from yarl import URL

from pullsizer.model import ModelFacts, Source
from pullsizer.policy import SourceRules
from pullsizer.sources.access import Access
from pullsizer.sources.addresses import normal_host
from pullsizer.sources.alone import Alone, WhenLarge
from pullsizer.sources.answers import refuse
from pullsizer.sources.client import Answer, Client
from pullsizer.sources.failures import failure, shown
from pullsizer.sources.git_lines import DELIMITER, FLUSH, Lines, line, lines, packed, read_refs, wanted
from pullsizer.sources.git_objects import Objects, TooBigError
from pullsizer.sources.git_pack import Pack
from pullsizer.sources.proxying import basic
from pullsizer.sources.redirects import Private, follow

_MOST_PACK: Final = 32 << 20
"""Bytes: two of the largest listings. Weights are bigger, but hosts keep those in Large File Storage."""
_UNKEPT: Final = 128 << 20
"""Bytes of an answer that are counted while they pass; the pack in it ends earlier by its own bound."""
_MOST_NAMES: Final = 20_000
"""Branches, tags and pull requests; a megabyte to ask for, where each stands for something else."""
_MOST_GREETING: Final = 4 << 20
"""Bytes of a server's first answer, in which old ones tell all names: some 60,000."""
_SERVICE: Final = "git-upload-pack"
_REMEDY: Final = "write the model's size into the annotation pullsizer.dev/model-size"
_NOT_GIT: Final = (
    "has no git repository there, and the downloader clones whatever has .git in an https:// URI; correct the URI"
)
_V2: Final = {"Git-Protocol": "version=2"}


@dataclass(frozen=True)
class _Server:
    """Where a repository is, and what is known of it by now.

    :param v2: whether it speaks the protocol's second version; else its first answer told the names
    :param refs: what each name stands for
    """

    base: URL
    about: str
    private: Private
    v2: bool = True
    refs: tuple[tuple[bytes, bytes], ...] = ()

    @property
    def head(self) -> bytes:
        return next((commit for name, commit in self.refs if name == b"HEAD"), b"")


def parse(uri: str) -> URL:
    """Where the downloader clones from.

    :raises MeasureError: InvalidURI; UnsupportedSource for a URL with a password in it
    """
    try:
        url = URL(uri).with_fragment(None)
        normal_host(url.raw_host or "")
        valid = not url.query_string and not any(ord(letter) <= 0x20 for letter in uri) and url.port
    except ValueError:
        valid = None
    if not valid:
        raise failure(
            "InvalidURI",
            f"{shown(Source(uri).public_uri)} is not the URL of a git repository; write it as https://host/path.git",
        )
    if url.raw_password:
        raise failure("UnsupportedSource", f"a URI on {shown(url.raw_host or '')} holds a password, which nobody uses")
    return url


class Git:
    """Asks git servers about repositories."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._alone = Alone()

    def host(self, source: Source, access: Access, rules: SourceRules) -> str:
        return normal_host(parse(source.uri).raw_host or "")

    async def unchanged(self, source: Source, facts: ModelFacts, access: Access, rules: SourceRules) -> bool:
        server = await self._refs(source, access, b"HEAD")
        return bool(facts.revision) and server.head == facts.revision.encode()

    async def measure(self, source: Source, access: Access, rules: SourceRules) -> ModelFacts:
        server = await self._refs(source, access, b"HEAD", b"refs/")
        if not server.head:
            raise failure("NotFound", f"{server.about} has the repository, but no commit on its default branch")
        wants = dict.fromkeys(commit for _, commit in server.refs)
        objects = Objects()
        try:
            pack = await self._pack(server, list(wants), objects)
            tree = objects.work_tree(bytes.fromhex(server.head.decode()))
        except TooBigError:
            raise failure(
                "UnsupportedSource",
                f"a shallow clone from {server.about} is more than the {_MOST_PACK >> 20} MiB that the operator looks "
                f"through; {_REMEDY}",
            ) from None
        except ValueError:
            raise failure("InvalidAnswer", f"{server.about} answers with what is not a git pack") from None
        return ModelFacts(
            bytes=tree.bytes + pack.length,
            files=tree.files,
            largest=tree.largest,
            revision=server.head.decode(),
            basis="measured" if tree.exact else "estimated",
        )

    async def _refs(self, source: Source, access: Access, *prefixes: bytes) -> _Server:
        """The repository's names that begin with one of these."""
        server = await self._find(parse(source.uri), access)
        found: list[tuple[bytes, bytes]] = []
        texts = Lines()

        def add(more: Iterable[tuple[bytes, bytes]]) -> None:
            found.extend(more)
            if len(found) > _MOST_NAMES:
                raise failure(
                    "UnsupportedSource",
                    f"the repository on {server.about} has more than {_MOST_NAMES:,} branches, tags and pull requests, "
                    f"of each of which the downloader takes the newest state; {_REMEDY}",
                )

        async def each(data: bytes) -> None:
            add(read_refs(text.removesuffix(b"\n") for text in texts.feed(data)))

        with _understood(server.about):
            if server.v2:
                asked = b"".join(line(b"ref-prefix " + prefix) for prefix in prefixes)
                await self._ask(server, line(b"command=ls-refs") + DELIMITER + asked + FLUSH, _UNKEPT, each)
                if not texts.complete:
                    raise ValueError("half a line")
            else:
                add(one for one in server.refs if one[0].startswith(prefixes))
        return replace(server, refs=tuple(found))

    async def _find(self, url: URL, access: Access) -> _Server:
        """The server behind a URL, wherever it says that it moved to."""
        password = access.get("GIT_PASSWORD")
        # A name in the URI is used with a password that belongs to it: alone it may be a token, which is none of ours.
        user = (url.user if password else None) or access.get("GIT_USERNAME")
        login = {"Authorization": basic(user, password)} if user or password else {}
        about, private = shown(url.raw_host or ""), Private(url, login)
        asked = _under(url.with_user(None), "info/refs").with_query(service=_SERVICE)
        found, asked = await follow(
            self._client, "GET", asked, about, headers=_V2, private=private, most=_MOST_GREETING
        )
        _check(found, about)
        if found.headers.get("Content-Type", "").partition(";")[0] != f"application/x-{_SERVICE}-advertisement":
            raise failure("InvalidAnswer", f"{about} {_NOT_GIT}")
        if asked.scheme != "https" or not asked.raw_path.endswith("/info/refs"):
            raise failure("InvalidAnswer", f"{about} redirects to where no git repository can be")
        base = asked.with_query(None).with_path(asked.raw_path.removesuffix("/info/refs"), encoded=True)
        with _understood(about):
            return _greeted(_Server(base, about, private), lines(found.body))

    async def _pack(self, server: _Server, wants: list[bytes], objects: Objects) -> Pack:
        """Reads a shallow pack of all that is wanted.

        :raises ValueError: for what is none
        :raises TooBigError: for too big a one
        """
        pack, texts = Pack(objects), Lines()

        async def each(data: bytes) -> None:
            for piece in packed(texts.feed(data)):
                if pack.length + len(piece) > _MOST_PACK:
                    raise TooBigError
                for _ in pack.feed(piece):
                    await asyncio.sleep(0)

        async with self._alone.question() as when_large:
            await self._ask(server, wanted(wants, v2=server.v2), _UNKEPT, each, when_large)
        if not pack.complete:
            raise ValueError("half a pack")
        return pack

    async def _ask(
        self,
        server: _Server,
        body: bytes,
        most: int,
        each: Callable[[bytes], Awaitable[None]] | None = None,
        when_large: WhenLarge | None = None,
    ) -> Answer:
        url = _under(server.base, _SERVICE)
        headers = {
            **server.private.at(url),
            **_V2,
            "Content-Type": f"application/x-{_SERVICE}-request",
            "Accept": f"application/x-{_SERVICE}-result",
        }
        found = await self._client.ask(
            "POST", url, server.about, headers, body=body, most=most, each=each, when_large=when_large
        )
        _check(found, server.about)
        return found


def _under(base: URL, path: str) -> URL:
    return base.with_path(f"{base.raw_path.rstrip('/')}/{path}", encoded=True)


def _greeted(server: _Server, texts: list[bytes]) -> _Server:
    """The server with what its first answer tells.

    :raises ValueError: for no such answer
    """
    if texts == [b"# service=%b" % _SERVICE.encode()]:
        return replace(server, v2=False)  # it has no names to tell
    texts = [text for text in texts if not text.startswith(b"# ") and text != b"version 1"]
    v2 = texts[:1] == [b"version 2"]
    abilities = b" ".join(texts[1:] if v2 else [texts[0].partition(b"\0")[2]]).replace(b"=", b" ").split(b" ")
    if b"sha256" in abilities:
        raise failure("UnsupportedSource", f"the repository on {server.about} is one of SHA-256; {_REMEDY}")
    if b"shallow" not in abilities or not (v2 or b"side-band-64k" in abilities):
        raise failure("UnsupportedSource", f"{server.about} has no shallow clones, which the downloader needs")
    return replace(server, v2=v2, refs=() if v2 else read_refs(texts))


@contextmanager
def _understood(about: str) -> Iterator[None]:
    """What reads an answer may fail by a ValueError."""
    try:
        yield
    except (ValueError, IndexError):
        raise failure("InvalidAnswer", f"{about} answers with what is not git's protocol") from None


def _check(found: Answer, about: str) -> None:
    """Raises what a status means that is not success."""
    status = found.status
    if status == 200:
        return
    if status in (401, 403, 407):
        raise failure(
            "Unauthorized",
            f"the repository on {about} is private, or does not exist; if it exists, {_REMEDY}, or ask an "
            "administrator to allow credentials for the namespace",
        )
    if status in (404, 410):
        raise failure("NotFound", f"{about} {_NOT_GIT}")
    refuse(found, about, "repository")

"""A stub of the Hub's documented API, and of a web server with single files; for tests and for `make demo`.

    python -m tests.stubs.hub --port 8765 --latency 0.3

Serves the shapes of models.yaml, and these, which need no configuration:

    stub/model-<n>       any number of distinct small models
    stub/files-<n>       so many files; a page of the tree has a thousand
    stub/lfs             like a model, but nothing is in Xet's store
    stub/mixed           every other file of its weights is in Xet's store
    stub/gated           anybody may list it; whoever lacks the token `TOKEN` is shown no Xet hash
    stub/locked          needs the token `TOKEN`, and says that it is gated
    stub/private         needs the token `TOKEN`
    stub/renamed         was renamed to stub/model-1
    stub/circle          a tree without end
    stub/status-<code>   answers with that status, 429 with what the Hub says of its limits
    stub/gigabyte        an answer that never ends
    stub/drip            a byte of an answer now and then
    stub/never           no answer at all
    stub/unsized         files without sizes

All else is missing, for which the Hub answers 401 to strangers and 404 to those with a token. `GET /requests` tells
what was asked so far.
"""

from __future__ import annotations

import argparse
import asyncio
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Self

from aiohttp import web

from tests.stubs.repository import SMALL, Shape, Storage, sha_of, shape_of, shapes, siblings, tree

TOKEN: Final = "hf_of_the_stub"
RETRY_AFTER: Final = 7
FILES: Final = {"sklearn/model.joblib": 4_500_000, "mnist/model.tar.gz": 120_000_000, "iris/model.zip": 60_000}
_PAGE: Final = 1000
_MASKED: Final = "*" * 64
_CHUNK: Final = bytes(1 << 16)


@dataclass(frozen=True)
class Repository:
    """One at a revision, and whether who asks may read it."""

    id: str
    name: str
    shape: Shape
    sha: str
    member: bool


@dataclass
class HubStub:
    """The server. An async context manager; in tests it listens on a free port of the loopback.

    :param latency: seconds before each answer
    :param moved: how often `main` of a repository was moved, which changes its commit
    :param busy: how many of the next requests are answered 429, with a Retry-After of one second
    :param trees: whether it knows of trees; old mirrors do not
    :param asked: every request's method, path and Authorization, in order
    """

    models: dict[str, Shape] = field(default_factory=shapes)
    files: dict[str, int] = field(default_factory=lambda: dict(FILES))
    latency: float = 0.0
    host: str = "127.0.0.1"
    port: int = 0
    moved: Counter[str] = field(default_factory=Counter)
    busy: int = 0
    trees: bool = True
    asked: list[tuple[str, str, str | None]] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}"

    async def __aenter__(self) -> Self:
        app = web.Application(middlewares=[self._count])
        app.router.add_get(r"/api/models/{repo:[^/]+/[^/]+}", self._model)
        app.router.add_get(r"/api/models/{repo:[^/]+/[^/]+}/revision/{revision}", self._model)
        app.router.add_get(r"/api/models/{repo:[^/]+/[^/]+}/tree/{revision}", self._tree)
        app.router.add_get("/files/{name:.+}", self._file)
        app.router.add_get("/requests", self._requests)
        self._runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=0)
        await self._runner.setup()
        await web.TCPSite(self._runner, self.host, self.port).start()
        self.port = self._runner.addresses[0][1]
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()

    @web.middleware
    async def _count(self, request: web.Request, handler: Any) -> web.StreamResponse:
        if request.path != "/requests":
            self.asked.append((request.method, request.path, request.headers.get("Authorization")))
            await asyncio.sleep(self.latency)
        answer: web.StreamResponse = await handler(request)
        return answer

    async def _requests(self, _: web.Request) -> web.Response:
        paths = Counter(path for _, path, _ in self.asked)
        return web.json_response({"total": len(self.asked), "paths": paths})

    async def _model(self, request: web.Request) -> web.StreamResponse:
        found = await self._repository(request)
        if not isinstance(found, Repository):
            return found
        answer: dict[str, Any] = {"_id": found.sha[:24], "id": found.id, "sha": found.sha}
        if request.query.getall("expand", None) is None:
            private, gated = found.name == "private", found.name in ("gated", "locked") and "auto"
            answer |= {"modelId": found.id, "private": private, "gated": gated, "tags": ["safetensors"]}
            blobs = request.query.get("blobs", "").lower() == "true" and found.name != "unsized"
            answer["siblings"] = siblings(found.shape, blobs=blobs)
        return web.json_response(answer, headers={"ETag": f'W/"{found.sha}"'})

    async def _tree(self, request: web.Request) -> web.StreamResponse:
        """A page of the tree; `Link` leads to the next."""
        if not self.trees:
            return web.Response(status=404, text="no such page")
        found = await self._repository(request)
        if not isinstance(found, Repository):
            return found
        storage: Storage = "lfs" if found.name == "lfs" else "mixed" if found.name == "mixed" else "xet"
        entries = tree(found.shape, storage, recursive=request.query.get("recursive", "").lower() == "true")
        first = int(request.query.get("cursor", "0"))
        page = entries[first : first + _PAGE]
        for entry in page:
            if found.name == "gated" and not found.member and "xetHash" in entry:
                entry["xetHash"] = _MASKED
            if found.name == "unsized":
                entry["size"] = None
        headers = {}
        if found.name == "circle" or first + _PAGE < len(entries):
            after = 0 if found.name == "circle" else first + _PAGE
            headers["Link"] = f'<{self.url}{request.rel_url.update_query(cursor=after)}>; rel="next"'
        return web.json_response(page, headers=headers)

    async def _repository(self, request: web.Request) -> Repository | web.StreamResponse:
        """What is asked for, or the answer where that is refused."""
        repo, revision = request.match_info["repo"], request.match_info.get("revision", "main")
        owner, _, name = repo.partition("/")
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if self.busy:
            self.busy -= 1
            return web.Response(status=429, headers={"Retry-After": "1"})
        shape = self.models.get(repo)
        if owner == "stub":
            if name in ("gigabyte", "drip", "never"):
                return await _misbehave(request, name)
            if status := re.fullmatch(r"status-(\d{3})", name):
                return _status(int(status[1]))
            if name == "renamed":
                there = str(request.rel_url).replace("/stub/renamed", "/stub/model-1", 1)
                return web.Response(status=307, headers={"Location": there})
            if name == "locked" and token != TOKEN:
                return _error(403 if token else 401, "GatedRepo", "Access to this model is restricted.")
            shape = shape or _of_the_stub(name, member=token == TOKEN)
        if shape is None:
            return _error(404 if token else 401, "RepoNotFound", "Invalid username or password.")
        sha = sha_of(f"{repo}@{self.moved[repo]}")
        if revision not in ("main", sha):
            return _error(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        return Repository(repo, name, shape, sha, token == TOKEN)

    async def _file(self, request: web.Request) -> web.StreamResponse:
        size = self.files.get(request.match_info["name"])
        if size is None:
            return web.Response(status=404, text="no such file")
        headers = {"ETag": f'"{sha_of(request.path)}"', "Accept-Ranges": "bytes"}
        wanted = request.http_range
        start, stop = wanted.start or 0, min(wanted.stop or size, size)
        partial = "Range" in request.headers
        if partial:
            headers["Content-Range"] = f"bytes {start}-{stop - 1}/{size}"
        headers |= {"Content-Type": "application/octet-stream", "Content-Length": str(stop - start)}
        response = web.StreamResponse(status=206 if partial else 200, headers=headers)
        await response.prepare(request)
        if request.method != "HEAD":
            for chunk in _zeros(stop - start):
                await response.write(chunk)
        return response


def _of_the_stub(name: str, *, member: bool) -> Shape | None:
    if files := re.fullmatch(r"files-(\d+)", name):
        return Shape(bytes=int(files[1]) * SMALL, files=int(files[1]), largest=SMALL)
    known = name.startswith("model-") or name in ("lfs", "mixed", "gated", "locked", "unsized", "circle")
    return Shape(bytes=1_000_000_000, files=9, largest=900_000_000) if known or (name == "private" and member) else None


def _zeros(count: int) -> Iterator[bytes]:
    for begin in range(0, count, len(_CHUNK)):
        yield _CHUNK[: min(len(_CHUNK), count - begin)]


def _status(status: int) -> web.Response:
    """That, and with 429 what https://huggingface.co/docs/hub/rate-limits says."""
    headers = {"Retry-After": str(RETRY_AFTER)}
    if status == 429:
        headers |= {
            "RateLimit": f'"api";r=0;t={RETRY_AFTER}',
            "RateLimit-Policy": '"fixed window";"api";q=500;w=300',
        }
    return web.Response(status=status, headers=headers, text="secret words")


def _error(status: int, code: str, message: str) -> web.Response:
    headers = {"X-Error-Code": code, "X-Error-Message": message}
    return web.json_response({"error": message}, status=status, headers=headers)


async def _misbehave(request: web.Request, how: str) -> web.StreamResponse:
    """Answers until the client leaves: too much, too slowly, or nothing."""
    response = web.StreamResponse(headers={"Content-Type": "application/json"})
    if how == "never":
        await asyncio.Event().wait()
    await response.prepare(request)
    while True:
        if how == "gigabyte":
            await response.write(_CHUNK)
        else:
            await response.write(b" ")
            await asyncio.sleep(0.05)


async def _serve(arguments: argparse.Namespace) -> None:
    models = shapes() | {repo: shape_of(Path(folder)) for repo, folder in arguments.repository}
    async with HubStub(models, latency=arguments.latency, host=arguments.host, port=arguments.port) as hub:
        print(hub.url, flush=True)
        await asyncio.Event().wait()


def main() -> None:
    parser = argparse.ArgumentParser(description="A stub of the Hub, for tests and the demo.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0: any free one; the URL is printed")
    parser.add_argument("--latency", type=float, default=0.0, help="seconds before each answer")
    parser.add_argument(
        "--repository", nargs=2, action="append", default=[], metavar=("NAME", "FOLDER"), help="of the folder's shape"
    )
    asyncio.run(_serve(parser.parse_args()))


if __name__ == "__main__":
    main()

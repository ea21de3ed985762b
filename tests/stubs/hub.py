"""A stub of the Hub's documented API, and of a web server with single files; for tests and for `make demo`.

    python -m tests.stubs.hub --port 8765 --latency 0.3

Serves the shapes of models.yaml, and these, which need no configuration:

    stub/model-<n>       any number of distinct small models
    stub/status-<code>   answers with that status, 429 with Retry-After
    stub/private         needs the token `TOKEN`
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
import hashlib
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Self

import yaml
from aiohttp import web

TOKEN: Final = "hf_of_the_stub"
RETRY_AFTER: Final = 7
FILES: Final = {"sklearn/model.joblib": 4_500_000, "mnist/model.tar.gz": 120_000_000, "iris/model.zip": 60_000}
_MODELS: Final = Path(__file__).with_name("models.yaml")
_SMALL: Final = 2048
_CHUNK: Final = bytes(1 << 16)


@dataclass(frozen=True)
class Shape:
    """A repository as models.yaml describes one."""

    bytes: int
    files: int
    largest: int


def sizes(shape: Shape) -> list[int]:
    """Sizes of the files of a shape, that sum up to its bytes: weights as large as the largest, the rest small."""
    found = [shape.largest]
    left = shape.bytes - shape.largest
    for after in range(shape.files - 2, -1, -1):
        # What the files after this one need at least, as far as there is so much; the last takes all that is left.
        found.append(min(shape.largest, max(left - after * _SMALL, min(left, _SMALL))) if after else left)
        left -= found[-1]
    if sum(found) != shape.bytes or max(found) != shape.largest or min(found) < 0:
        raise ValueError(f"no files have {shape}")
    return found


def siblings(shape: Shape, *, blobs: bool) -> list[dict[str, Any]]:
    found = sizes(shape)
    weights = sum(size > _SMALL for size in found)
    names = [".gitattributes", "README.md", "config.json", "tokenizer.json", "tokenizer_config.json"]
    names += [f"extra/{index}.json" for index in range(len(found))]
    listed: list[dict[str, Any]] = []
    for index, size in enumerate(found):
        heavy = index < weights
        name = f"model-{index + 1:05}-of-{weights:05}.safetensors" if heavy else names[index - weights]
        file: dict[str, Any] = {"rfilename": name}
        if blobs:
            file |= {"size": size, "blobId": sha_of(name)}
            if heavy:
                file["lfs"] = {"size": size, "sha256": hashlib.sha256(name.encode()).hexdigest(), "pointerSize": 135}
        listed.append(file)
    return listed


def sha_of(text: str) -> str:
    return hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()


def shapes(path: Path = _MODELS) -> dict[str, Shape]:
    """The shapes of models.yaml, by repository."""
    rows = yaml.safe_load(path.read_text())
    return {row["uri"].removeprefix("hf://"): Shape(row["bytes"], row["files"], row["largest"]) for row in rows}


@dataclass
class HubStub:
    """The server. An async context manager; in tests it listens on a free port of the loopback.

    :param latency: seconds before each answer
    :param moved: how often `main` of a repository was moved, which changes its commit
    :param busy: how many of the next requests are answered 429, with a Retry-After of one second
    :param asked: every request's method, path and Authorization, in order
    """

    models: dict[str, Shape] = field(default_factory=shapes)
    files: dict[str, int] = field(default_factory=lambda: dict(FILES))
    latency: float = 0.0
    host: str = "127.0.0.1"
    port: int = 0
    moved: Counter[str] = field(default_factory=Counter)
    busy: int = 0
    asked: list[tuple[str, str, str | None]] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}"

    async def __aenter__(self) -> Self:
        app = web.Application(middlewares=[self._count])
        app.router.add_get(r"/api/models/{repo:[^/]+/[^/]+}", self._model)
        app.router.add_get(r"/api/models/{repo:[^/]+/[^/]+}/revision/{revision}", self._model)
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
                return web.Response(
                    status=int(status[1]), headers={"Retry-After": str(RETRY_AFTER)}, text="secret words"
                )
            if name.startswith("model-") or name == "unsized" or (name == "private" and token == TOKEN):
                shape = shape or Shape(bytes=1_000_000_000, files=9, largest=900_000_000)
        if shape is None:
            return _error(404 if token else 401, "RepoNotFound", "Invalid username or password.")
        sha = sha_of(f"{repo}@{self.moved[repo]}")
        if revision not in ("main", sha):
            return _error(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        answer: dict[str, Any] = {"_id": sha[:24], "id": repo, "sha": sha}
        if request.query.getall("expand", None) is None:
            answer |= {"modelId": repo, "private": name == "private", "gated": False, "tags": ["safetensors"]}
            blobs = request.query.get("blobs", "").lower() == "true" and name != "unsized"
            answer["siblings"] = siblings(shape, blobs=blobs)
        return web.json_response(answer, headers={"ETag": f'W/"{sha}"'})

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


def _zeros(count: int) -> Iterator[bytes]:
    for begin in range(0, count, len(_CHUNK)):
        yield _CHUNK[: min(len(_CHUNK), count - begin)]


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
    async with HubStub(latency=arguments.latency, host=arguments.host, port=arguments.port) as hub:
        print(hub.url, flush=True)
        await asyncio.Event().wait()


def main() -> None:
    parser = argparse.ArgumentParser(description="A stub of the Hub, for tests and the demo.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0: any free one; the URL is printed")
    parser.add_argument("--latency", type=float, default=0.0, help="seconds before each answer")
    asyncio.run(_serve(parser.parse_args()))


if __name__ == "__main__":
    main()

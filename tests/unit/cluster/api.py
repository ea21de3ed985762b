"""A server on a real socket that a test makes say what an API server may say; and a client of it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web
from kubernetes.aio import client

from pullsizer.cluster import KubeApi

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def served(handler: Handler) -> AsyncGenerator[KubeApi, None]:
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handler)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    configuration = client.Configuration(host=f"http://127.0.0.1:{runner.addresses[0][1]}")
    configuration.api_key["BearerToken"] = "bearer sesame"
    try:
        async with KubeApi(configuration) as api:
            yield api
    finally:
        await runner.cleanup()


def item(name: str, version: int, **more: Any) -> dict[str, Any]:
    return {"metadata": {"name": name, "namespace": "n", "uid": f"u-{name}", "resourceVersion": str(version)}, **more}


def refusal(status: int, message: str = "no", **headers: str) -> web.Response:
    return web.json_response({"kind": "Status", "message": message}, status=status, headers=headers)


class Things:
    """One resource: what a list answers, and events that a test sends to whoever watches."""

    def __init__(self) -> None:
        self.items: dict[str, dict[str, Any]] = {}
        self.version = 1
        self.lists = 0
        self.watched_from: list[str] = []
        self.fail: list[web.Response] = []
        self._watchers: asyncio.Queue[asyncio.Queue[bytes | None]] = asyncio.Queue()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        if self.fail:
            return self.fail.pop(0)
        if request.query.get("watch") != "true":
            self.lists += 1
            return web.json_response(
                {
                    "apiVersion": "v1",
                    "kind": "ThingList",
                    "metadata": {"resourceVersion": str(self.version)},
                    "items": list(self.items.values()),
                }
            )
        self.watched_from.append(request.query["resourceVersion"])
        queue: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._watchers.put_nowait(queue)
        response = web.StreamResponse()
        await response.prepare(request)
        while (chunk := await queue.get()) is not None:
            await response.write(chunk)
        return response

    async def watcher(self) -> asyncio.Queue[bytes | None]:
        """The next one to watch."""
        return await asyncio.wait_for(self._watchers.get(), 10)


def event(kind: str, thing: dict[str, Any]) -> bytes:
    return json.dumps({"type": kind, "object": thing}).encode() + b"\n"

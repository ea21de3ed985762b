"""Plain HTTP for probes and metrics."""

from __future__ import annotations

from collections.abc import Callable

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest


def application(waiting: Callable[[], list[str]]) -> web.Application:
    """/livez: the event loop turns. /readyz: nothing is waited for, also as the one that stands by.

    :param waiting: what is not there yet
    """

    async def live(_: web.Request) -> web.Response:
        return web.Response(text="ok")

    async def ready(_: web.Request) -> web.Response:
        missing = waiting()
        if missing:
            return web.Response(status=503, text=f"waiting for: {', '.join(missing)}")
        return web.Response(text="ok")

    async def metrics(_: web.Request) -> web.Response:
        return web.Response(body=generate_latest(), headers={"Content-Type": CONTENT_TYPE_LATEST})

    app = web.Application()
    app.add_routes([web.get("/livez", live), web.get("/readyz", ready), web.get("/metrics", metrics)])
    return app

"""Probes: alive as long as answering can ever succeed again, ready while requests are taken."""

from __future__ import annotations

from collections.abc import Iterator

import orjson

from classifier_runtime.core.serving import Serving
from classifier_runtime.protocols.errors import body
from classifier_runtime.protocols.http import Request, Response, Route


def routes(serving: Serving) -> Iterator[Route]:
    def broken() -> Response | None:
        return None if serving.broken is None else Response(body(serving.broken), 503)

    async def alive(_: Request) -> Response:
        return broken() or Response(b'{"status":"alive"}')

    async def live(_: Request) -> Response:
        return broken() or Response(b'{"live":true}')

    async def ready(_: Request) -> Response:
        # The protocol's text and its OpenAPI document disagree on the key.
        return Response(
            orjson.dumps({"ready": serving.ready, "live": serving.broken is None}), 200 if serving.ready else 503
        )

    yield Route("GET", "/", alive)
    yield Route("GET", "/v2/health/live", live)
    yield Route("GET", "/v2/health/ready", ready)

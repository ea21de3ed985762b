"""What aiohttp answers by itself, as our clients read errors: what is no HTTP, and bodies that cannot be unpacked."""

from __future__ import annotations

import asyncio

from aiohttp import web
from aiohttp.http_exceptions import ContentEncodingError

from classifier_runtime.errors import InvalidRequest, ModelFailed
from classifier_runtime.protocols import errors


class Connection(web.RequestHandler):
    """Of one client, who has as long for a first request as between two: aiohttp would wait for it for ever."""

    _unasked: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._unasked = self._loop.call_later(self._keepalive_timeout, self._leave_if_unasked)

    def connection_lost(self, exc: BaseException | None) -> None:
        if self._unasked is not None:
            self._unasked.cancel()
        super().connection_lost(exc)

    def _leave_if_unasked(self) -> None:
        if not self._request_count:
            self.force_close()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Says what is wrong. What was sent is not in it, nor logged: it can be the rest of a text."""
        if request.writer.output_size > 0:
            raise ConnectionError("an answer is begun already")
        if isinstance(exc, ContentEncodingError):
            said = errors.response(InvalidRequest("the body is not packed as its Content-Encoding says"))
        elif status < 500:
            said = errors.response(InvalidRequest(f"not HTTP as it should be: {(message or '').partition(':')[0]}"))
        else:
            said = errors.response(ModelFailed("an error of the server's own"))
        response = web.Response(body=said.body, status=said.status, content_type=said.content_type)
        response.force_close()
        return response


class Connections(web.Server):
    """Of all clients."""

    def __call__(self) -> Connection:
        return Connection(self, loop=self._loop, **self._kwargs)

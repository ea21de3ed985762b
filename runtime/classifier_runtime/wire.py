"""What aiohttp answers by itself, as our clients read errors: what is no HTTP, and bodies that cannot be unpacked."""

from __future__ import annotations

from aiohttp import web
from aiohttp.http_exceptions import ContentEncodingError

from classifier_runtime.errors import InvalidRequest, ModelFailed
from classifier_runtime.protocols import errors


class Connection(web.RequestHandler):
    """Of one client."""

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

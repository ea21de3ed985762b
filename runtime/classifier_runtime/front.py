"""HTTP by aiohttp: a request read, its handler found, its answer or its error written, and all of it counted.

No `web.Application`: its router, middlewares and signals take as long as everything here together.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from functools import partial
from typing import Final, TypeAlias
from urllib.parse import parse_qs

from aiohttp import web

from classifier_runtime import bodies, logs, metrics
from classifier_runtime.core.serving import Serving, State
from classifier_runtime.errors import ModelFailed, RequestError
from classifier_runtime.protocols import errors
from classifier_runtime.protocols.http import NoSuchPath, Request, Response, Route, Router, WrongMethod
from classifier_runtime.wire import Connections

log = logging.getLogger(__name__)

Answer: TypeAlias = Callable[[web.BaseRequest], Awaitable[web.Response]]
Traced: TypeAlias = Callable[[web.BaseRequest, Route, Answer], Awaitable[web.Response]]

_GONE: Final = 499
"""In metrics: the client went before its answer, as nginx writes it."""
_NOTHING: Final[Mapping[str, str | list[str]]] = {}
_TIMES: Final = {
    "tokenize_milliseconds": "x-tokenize-time",
    "queue_milliseconds": "x-queue-time",
    "forward_milliseconds": "x-inference-time",
}
_LONGEST_ID: Final = 256


class Front:
    """:param most_bytes: of a body, unpacked
    :param body_seconds: for a body to come
    :param log_requests: a line for each
    :param traced: puts a span around the answer to a request to classify
    """

    def __init__(
        self,
        serving: Serving,
        routes: Iterable[Route],
        *,
        most_bytes: int,
        body_seconds: float,
        log_requests: bool,
        traced: Traced | None = None,
    ) -> None:
        self._serving = serving
        self._router = Router(serving.name, routes)
        self._most_bytes = most_bytes
        self._body_seconds = body_seconds
        self._log_requests = log_requests
        self._traced = traced

    def server(self, keepalive_seconds: float) -> web.Server:
        return Connections(
            self._answer if self._traced is None else partial(self._answer_traced, self._traced),
            handler_cancellation=True,
            access_log=None,
            keepalive_timeout=keepalive_seconds,
        )

    async def _answer_traced(self, traced: Traced, http: web.BaseRequest) -> web.Response:
        try:
            route, _ = self._router.find(http.method, _target(http.raw_path).partition("?")[0])
        except (RequestError, NoSuchPath, WrongMethod):
            return await self._answer(http)
        return await (self._answer(http) if route.protocol is None else traced(http, route, self._answer))

    async def _answer(self, http: web.BaseRequest) -> web.Response:
        began = time.perf_counter()
        protocol: str | None = None
        status = _GONE
        headers: Mapping[str, str] = {}
        try:
            try:
                path, _, query = _target(http.raw_path).partition("?")
                route, args = self._router.find(http.method, path)
                protocol = route.protocol
                with self._serving.room.of(bodies.announced(http, self._most_bytes)) as place:
                    body = b""
                    if http.body_exists:
                        body = await bodies.read(http, self._most_bytes, self._body_seconds, place)
                    request = Request(http.headers, _query(query) if query else _NOTHING, args, body)
                    response = await route.handler(request)
            except (RequestError, NoSuchPath, WrongMethod) as error:
                response = errors.response(error)
            except Exception as error:  # noqa: BLE001 - whatever it is: a client gets an answer, and the log where it was
                log.error("a request failed", extra={"protocol": protocol, "traceback": logs.where(error)})  # noqa: TRY400
                response = errors.response(ModelFailed("an error of the server's own; its log says more"))
            status, headers = response.status, response.headers
        finally:
            if protocol is not None:
                seconds = time.perf_counter() - began
                metrics.request(protocol, status, seconds)
                if self._log_requests:
                    _log(http, protocol, status, seconds, headers)
        return self._written(http, response)

    def _written(self, http: web.BaseRequest, response: Response) -> web.Response:
        headers = {"Content-Type": response.content_type, **response.headers}
        if (name := _id(http)) is not None:
            headers["x-request-id"] = name
        written = web.Response(body=response.body, status=response.status, headers=headers)
        if self._serving.state in (State.LEAVING, State.ENDING):
            written.force_close()
        return written


def _target(sent: str) -> str:
    """Proxies send the whole URL, which every server has to take (RFC 9112, 3.2.2)."""
    if sent.startswith("/"):
        return sent
    return "/" + sent.partition("://")[2].partition("/")[2]


def _query(text: str) -> dict[str, str | list[str]]:
    found = parse_qs(text, keep_blank_values=True)
    return {key: values[0] if len(values) == 1 else values for key, values in found.items()}


def _id(http: web.BaseRequest) -> str | None:
    """By which a client finds its request; None where it has none, or what is none."""
    name = http.headers.get("x-request-id")
    return name if name is not None and len(name) <= _LONGEST_ID and name.isascii() and name.isprintable() else None


def _log(http: web.BaseRequest, protocol: str, status: int, seconds: float, headers: Mapping[str, str]) -> None:
    times = {name: float(headers[header]) for name, header in _TIMES.items() if header in headers}
    logs.request(protocol, status, seconds, request_id=_id(http), **times)

"""A collector of traces, on a real socket: what OpenTelemetry's exporters send, decoded."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import grpc
from aiohttp import web
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

_SERVICE: Final = "opentelemetry.proto.collector.trace.v1.TraceService"


@dataclass(frozen=True, slots=True)
class Spanned:
    """A span, as it came. Ids are hexadecimal, times nanoseconds."""

    name: str
    trace: str
    id: str
    parent: str
    kind: int
    start: int
    end: int
    error: bool
    attributes: Mapping[str, Any]


@dataclass
class Collector:
    """:ivar status: that it answers with
    :ivar raw: all that came, for searching
    """

    endpoint: str = ""
    status: int = 200
    spans: list[Spanned] = field(default_factory=list)
    resource: dict[str, Any] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    raw: bytes = b""
    asked: int = 0
    _came: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def until(self, name: str, count: int = 1) -> list[Spanned]:
        """As soon as there are so many spans of a name."""
        async with asyncio.timeout(20), self._came:
            await self._came.wait_for(lambda: len(self.named(name)) >= count)
        return self.named(name)

    async def until_asked(self) -> None:
        async with asyncio.timeout(20), self._came:
            await self._came.wait_for(lambda: self.asked > 0)

    def named(self, name: str) -> list[Spanned]:
        return [span for span in self.spans if span.name == name]

    def children(self, of: Spanned) -> list[Spanned]:
        return sorted((span for span in self.spans if span.parent == of.id), key=lambda span: span.start)

    async def take(self, body: bytes) -> None:
        self.raw += body
        self.asked += 1
        for group in ExportTraceServiceRequest.FromString(body).resource_spans if self.status == 200 else ():
            self.resource = _values(group.resource.attributes)
            for span in (span for scope in group.scope_spans for span in scope.spans):
                self.spans.append(
                    Spanned(
                        span.name,
                        span.trace_id.hex(),
                        span.span_id.hex(),
                        span.parent_span_id.hex(),
                        span.kind,
                        span.start_time_unix_nano,
                        span.end_time_unix_nano,
                        span.status.code == 2,
                        _values(span.attributes),
                    )
                )
        async with self._came:
            self._came.notify_all()


def _values(attributes: Any) -> dict[str, Any]:
    return {one.key: getattr(one.value, one.value.WhichOneof("value")) for one in attributes}


@asynccontextmanager
async def by_http() -> AsyncIterator[Collector]:
    found = Collector()

    async def export(http: web.BaseRequest) -> web.Response:
        assert http.path == "/v1/traces"
        body = await http.read()
        found.headers = dict(http.headers)
        await found.take(gzip.decompress(body) if body[:2] == b"\x1f\x8b" else body)
        return web.Response(status=found.status, body=ExportTraceServiceResponse().SerializeToString())

    runner = web.ServerRunner(web.Server(export))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    found.endpoint = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield found
    finally:
        await runner.cleanup()


@asynccontextmanager
async def by_grpc() -> AsyncIterator[Collector]:
    found = Collector()

    async def export(body: bytes, _: Any) -> bytes:
        await found.take(body)
        return ExportTraceServiceResponse().SerializeToString()

    server = grpc.aio.server()
    handlers: dict[str, grpc.RpcMethodHandler[bytes, bytes]] = {"Export": grpc.unary_unary_rpc_method_handler(export)}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(_SERVICE, handlers),))
    found.endpoint = f"http://127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    await server.start()
    try:
        yield found
    finally:
        await server.stop(None)

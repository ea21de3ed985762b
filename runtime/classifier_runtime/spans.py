"""A trace of each request to classify: a server's span by OpenTelemetry's conventions, and in it what took the time.

In it are numbers, names of ours and what the conventions ask for; nothing that a client wrote: no path but the route's,
no query, no header.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import import_module
from typing import Any, Final, TypeAlias

import grpc
from aiohttp import web
from opentelemetry import trace
from opentelemetry.propagate import extract
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.trace import Span, SpanKind, Status, StatusCode

from classifier_runtime import __version__
from classifier_runtime.core.job import Instance, Result
from classifier_runtime.protocols.grpc import INFER
from classifier_runtime.protocols.http import Route

Context: TypeAlias = grpc.aio.ServicerContext[Any, Any]
Call: TypeAlias = Callable[[Any, Context], Awaitable[Any]]

# By protocol; the first is the specification's default.
_EXPORTERS: Final = {
    "http/protobuf": "opentelemetry.exporter.otlp.proto.http.trace_exporter",
    "grpc": "opentelemetry.exporter.otlp.proto.grpc.trace_exporter",
}
_SCOPE: Final = "classifier_runtime"
# Those that the conventions count as the server's fault.
_GRPC_FAULTS: Final = frozenset(
    {
        grpc.StatusCode.UNKNOWN,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.UNIMPLEMENTED,
        grpc.StatusCode.INTERNAL,
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.DATA_LOSS,
    }
)


class Tracer:
    """Of one server.

    :param provider: whose spans go where they are to go
    """

    def __init__(self, provider: TracerProvider, model: str) -> None:
        self._provider = provider
        self._model = model
        self._tracer = provider.get_tracer(_SCOPE, __version__)

    async def of_http(
        self, http: web.BaseRequest, route: Route, answer: Callable[[web.BaseRequest], Awaitable[web.Response]]
    ) -> web.Response:
        """The answer, and a span of it."""
        attributes = {
            "http.request.method": route.method,
            "http.route": route.path,
            "url.path": route.path.replace("{model}", self._model),
            "url.scheme": "http",
            "network.protocol.version": f"{http.version.major}.{http.version.minor}",
        }
        with self._span(f"{route.method} {route.path}", http.headers, attributes) as span:
            response = await answer(http)
            span.set_attribute("http.response.status_code", response.status)
            if response.status >= 500:
                _failed(span, str(response.status))
        return response

    async def of_grpc(self, call: Call, method: str, request: Any, context: Context) -> Any:
        """The same of a call.

        :param method: `package.Service/Method`
        """
        said = context.invocation_metadata() or ()
        carrier = {key: value for key, value in said if isinstance(value, str)}
        with self._span(method, carrier, {"rpc.system.name": "grpc", "rpc.method": method}) as span:
            try:
                return await call(request, context)
            finally:
                code = _status(context)
                span.set_attribute("rpc.response.status_code", code.name)
                if code in _GRPC_FAULTS:
                    _failed(span, code.name)

    def result(self, instances: Sequence[Instance], done: Result) -> None:
        """What a request's time went to. Called within its span, when it is classified."""
        span = trace.get_current_span()
        if not span.is_recording():
            return
        span.set_attributes(
            {
                "classifier.instances": len(instances),
                "classifier.tokens": done.tokens,
                "classifier.truncated": done.truncated,
            }
        )
        times = done.timings
        if not times.began:  # there was nothing to classify
            return
        now, clock = time.time_ns(), time.perf_counter()
        tokenized = times.began + times.tokenize
        ends = (tokenized, tokenized + times.queue, clock - times.decode, clock)
        begin = times.began
        # What was computed of a request in several batches has gaps, in which other requests had their turn.
        for name, end in zip(("tokenize", "queue", "forward", "decode"), ends, strict=True):
            child = self._tracer.start_span(name, start_time=now - round((clock - begin) * 1e9))
            child.end(now - round((clock - end) * 1e9))
            begin = end

    def interceptor(self) -> grpc.aio.ServerInterceptor:
        return _Interceptor(self)

    def close(self) -> None:
        """Send what is left; takes as long as the exporter's timeout where nobody answers."""
        self._provider.shutdown()

    @contextmanager
    def _span(self, name: str, carrier: Mapping[str, str], attributes: dict[str, str]) -> Iterator[Span]:
        """What is raised in it is no event of it: its message may quote what was sent."""
        with self._tracer.start_as_current_span(
            name,
            extract(carrier),
            SpanKind.SERVER,
            {**attributes, "classifier.model.name": self._model},
            record_exception=False,
            set_status_on_exception=False,
        ) as span:
            try:
                yield span
            except asyncio.CancelledError:
                span.set_attribute("error.type", "cancelled")
                raise


class _Interceptor(grpc.aio.ServerInterceptor):
    """Puts `of_grpc` around inferences; probes are not traced, as over HTTP."""

    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer

    async def intercept_service(self, continuation: Callable[[Any], Awaitable[Any]], details: Any) -> Any:
        handler = await continuation(details)
        method = details.method.removeprefix("/")
        if handler is None or method != INFER:
            return handler

        async def traced(request: Any, context: Context) -> Any:
            return await self._tracer.of_grpc(handler.unary_unary, method, request, context)

        return grpc.unary_unary_rpc_method_handler(
            traced,
            request_deserializer=handler.request_deserializer,
            response_serializer=handler.response_serializer,
        )


class _Ids(logging.Filter):
    """Gives lines of the log that belong to a request the ids of its span, as collectors look for them."""

    def filter(self, record: logging.LogRecord) -> bool:
        context = trace.get_current_span().get_span_context()
        if context.is_valid:
            record.trace_id = trace.format_trace_id(context.trace_id)
            record.span_id = trace.format_span_id(context.span_id)
        return True


def start(environ: Mapping[str, str], model: str) -> Tracer:
    """:raises Exception: a variable has a value that OpenTelemetry does not take"""
    resource = Resource.create()
    if str(resource.attributes[SERVICE_NAME]).startswith("unknown_service"):
        resource = resource.merge(Resource({SERVICE_NAME: model}))
    # Not at the interpreter's exit, where it would wait half a minute for a collector that is gone.
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(_exporter(environ)))
    for handler in logging.getLogger().handlers:
        handler.addFilter(_Ids())
    return Tracer(provider, model)


def _exporter(environ: Mapping[str, str]) -> SpanExporter:
    protocol = (
        environ.get("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL")
        or environ.get("OTEL_EXPORTER_OTLP_PROTOCOL")
        or next(iter(_EXPORTERS))
    )
    if protocol not in _EXPORTERS:
        raise ValueError(f"OTEL_EXPORTER_OTLP_PROTOCOL: {protocol!r} is none of {', '.join(_EXPORTERS)}")
    exporter: SpanExporter = import_module(_EXPORTERS[protocol]).OTLPSpanExporter()
    return exporter


def _failed(span: Span, kind: str) -> None:
    span.set_attribute("error.type", kind)
    span.set_status(Status(StatusCode.ERROR))


def _status(context: Context) -> grpc.StatusCode:
    """Of a call that ended; gRPC has a number there, or nothing of one that went well."""
    code: Any = context.code()
    return next((status for status in grpc.StatusCode if code in (status, status.value[0])), grpc.StatusCode.OK)

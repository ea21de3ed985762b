"""Traces, by OpenTelemetry's own exporters into a collector on a real socket."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from itertools import pairwise

import aiohttp
import grpc
import pytest

from classifier_runtime import tracing
from classifier_runtime.protocols import inference_pb2 as pb
from classifier_runtime.protocols.grpc import INFER
from classifier_runtime.server import Server
from classifier_runtime.settings import Settings
from classifier_runtime.spans import Tracer
from tests.runtime.server import collector as collectors
from tests.runtime.server.collector import Collector
from tests.runtime.server.conftest import Client, Start
from tests.runtime.server.doubles import SEQUENCE, TextBackend, loaded

V1 = "POST /v1/models/{model}:predict"
TRACE = "0af7651916cd43dd8448eb211c80319c"
CALLER = "b7ad6b7169203331"
TRACEPARENT = f"00-{TRACE}-{CALLER}-01"


@pytest.fixture
async def collector(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Collector]:
    async with collectors.by_http() as found:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", found.endpoint)
        monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "10")
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "1")
        yield found


def tracer() -> Tracer:
    made = tracing.start(os.environ, "model")
    assert made is not None
    return made


async def infer(client: Client, *texts: str, metadata: tuple[tuple[str, str], ...] = ()) -> grpc.StatusCode:
    tensor = pb.ModelInferRequest.InferInputTensor(name="input-0", datatype="BYTES", shape=[len(texts)])
    tensor.contents.bytes_contents.extend(text.encode() for text in texts)
    request = pb.ModelInferRequest(model_name="model", inputs=[tensor])
    async with grpc.aio.insecure_channel(f"127.0.0.1:{client.server.grpc_port}") as channel:
        call = channel.unary_unary(
            f"/{INFER}",
            request_serializer=pb.ModelInferRequest.SerializeToString,
            response_deserializer=pb.ModelInferResponse.FromString,
        )(request, metadata=metadata)
        return await call.code()


async def test_a_request_is_a_span_of_its_route_and_in_it_what_took_the_time(
    start: Start, collector: Collector
) -> None:
    client = await start(tracer=tracer())
    await client.predict("5", "long", "1 2 3")

    [server] = await collector.until(V1)

    assert server.kind == 2
    assert not server.error
    assert not server.parent
    assert server.attributes == {
        "http.request.method": "POST",
        "http.route": "/v1/models/{model}:predict",
        "http.response.status_code": 200,
        "url.path": "/v1/models/model:predict",
        "url.scheme": "http",
        "network.protocol.version": "1.1",
        "classifier.model.name": "model",
        "classifier.instances": 3,
        "classifier.tokens": 5,
        "classifier.truncated": 1,
    }
    parts = collector.children(server)
    assert [part.name for part in parts] == ["tokenize", "queue", "forward", "decode"]
    assert {part.trace for part in parts} == {server.trace}
    assert server.start <= parts[0].start
    assert all(one.end == following.start for one, following in pairwise(parts))
    assert parts[-1].end <= server.end


async def test_an_inference_by_grpc_is_a_span_by_the_conventions_for_calls(start: Start, collector: Collector) -> None:
    client = await start(tracer=tracer())
    await infer(client, "5", "1")

    [server] = await collector.until(INFER)

    assert server.kind == 2
    assert server.attributes == {
        "rpc.system.name": "grpc",
        "rpc.method": INFER,
        "rpc.response.status_code": "OK",
        "classifier.model.name": "model",
        "classifier.instances": 2,
        "classifier.tokens": 2,
        "classifier.truncated": 0,
    }
    assert len(collector.children(server)) == 4


async def test_a_caller_s_trace_is_continued(start: Start, collector: Collector) -> None:
    client = await start(tracer=tracer())
    await client.ask("/v1/models/model:predict", {"instances": ["5"]}, headers={"Traceparent": TRACEPARENT})
    await infer(client, "5", metadata=(("traceparent", TRACEPARENT),))

    for name in (V1, INFER):
        [span] = await collector.until(name)
        assert (span.trace, span.parent) == (TRACE, CALLER)


async def test_what_a_caller_does_not_sample_is_not_sent(start: Start, collector: Collector) -> None:
    client = await start(tracer=tracer())
    unsampled = {"traceparent": TRACEPARENT.removesuffix("01") + "00"}
    await client.ask("/v1/models/model:predict", {"instances": ["5"]}, headers=unsampled)
    await client.predict("5")

    [span] = await collector.until(V1)

    assert span.trace != TRACE
    assert len(collector.spans) == 5


async def test_a_traceparent_that_is_none_begins_a_trace(start: Start, collector: Collector) -> None:
    client = await start(tracer=tracer())
    for said in ("", "no such", "00-0-0-01", "\xff" * 55):
        headers = {"traceparent": said, "tracestate": said, "baggage": said}
        assert (await client.ask("/v1/models/model:predict", {"instances": ["5"]}, headers=headers))[0] == 200

    assert all(not span.parent for span in await collector.until(V1, 4))


async def test_an_error_of_the_server_s_is_one_of_the_span_and_one_of_the_client_s_is_not(
    start: Start, collector: Collector
) -> None:
    client = await start(tracer=tracer())
    await client.refused({"instances": 7})
    await client.refused({"instances": ["fail"]})
    refused, failed = await collector.until(V1, 2)
    assert (refused.attributes["http.response.status_code"], refused.error) == (400, False)
    assert (failed.attributes["http.response.status_code"], failed.error) == (500, True)
    assert failed.attributes["error.type"] == "500"

    assert await infer(client) == grpc.StatusCode.OK
    assert await infer(client, "fail") == grpc.StatusCode.INTERNAL
    empty, failed = await collector.until(INFER, 2)
    assert not collector.children(empty)
    assert (failed.attributes["rpc.response.status_code"], failed.error) == ("INTERNAL", True)


async def test_a_client_that_goes_ends_its_span(start: Start, collector: Collector) -> None:
    backend = TextBackend()
    client = await start(SEQUENCE, backend, tracer=tracer())
    waiting = asyncio.create_task(client.predict("slow"))
    await asyncio.to_thread(backend.entered.wait, 20)
    waiting.cancel()

    [span] = await collector.until(V1)

    backend.go.set()
    assert span.attributes["error.type"] == "cancelled"


async def test_probes_metrics_and_unknown_paths_are_not_traced(start: Start, collector: Collector) -> None:
    client = await start(tracer=tracer())
    for path in ("/v2/health/ready", "/v1/models", "/v2", "/nothing", "/v1/models/other"):
        await client.ask(path)
    await client.metrics()
    await client.predict("5")

    await collector.until(V1)

    assert len(collector.spans) == 5


@pytest.mark.parametrize("status", [400, 503])
async def test_a_collector_that_fails_harms_no_request(start: Start, collector: Collector, status: int) -> None:
    collector.status = status
    client = await start(tracer=tracer())
    for _ in range(20):
        await client.predict("5")
    await collector.until_asked()
    assert await client.predict("5") == [0]


async def test_nobody_where_the_collector_should_be_harms_no_request(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "1")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "1")
    client = await start(tracer=tracer())
    for _ in range(20):
        assert await client.predict("5") == [0]


async def test_what_is_left_is_sent_at_the_end(collector: Collector, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "600000")
    settings = Settings(host="127.0.0.1", http_port=0, grpc_port=0, drain_seconds=0)
    server = Server(settings, lambda _: loaded(), tracer=tracer())
    await server.start()
    await server.load()
    async with aiohttp.ClientSession() as session:
        await Client(server, session).predict("5")
    assert not collector.spans
    await server.drain()
    await server.close()
    assert len(collector.spans) == 5


async def test_opentelemetry_s_own_variables_count(
    start: Start, collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_SERVICE_NAME", "sentiment-v2")
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-tenant=a")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip")
    client = await start(tracer=tracer())
    await client.predict("5")
    await collector.until(V1)
    assert collector.resource["service.name"] == "sentiment-v2"
    assert collector.resource["deployment.environment.name"] == "test"
    assert collector.headers["x-tenant"] == "a"


async def test_a_service_has_the_model_s_name_unless_it_is_told_another(start: Start, collector: Collector) -> None:
    client = await start(tracer=tracer())
    await client.predict("5")
    await collector.until(V1)
    assert collector.resource["service.name"] == "model"


async def test_traces_go_by_grpc_where_that_is_said(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    async with collectors.by_grpc() as collector:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.endpoint)
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")
        monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "10")
        client = await start(tracer=tracer())
        await client.predict("5")
        assert len(await collector.until(V1)) == 1


@pytest.mark.parametrize(
    ("environ", "wanted"),
    [
        ({}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318"}, True),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://c:4318/v1/traces"}, True),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": ""}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318", "OTEL_SDK_DISABLED": "True"}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318", "OTEL_TRACES_EXPORTER": "none"}, False),
        ({"OTEL_TRACES_EXPORTER": "otlp"}, True),
    ],
)
def test_traces_are_sent_where_it_is_said_where_to(environ: dict[str, str], wanted: bool) -> None:
    assert tracing.wanted(environ) is wanted


def test_a_protocol_that_there_is_none_of_is_one_warning(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json")
    assert tracing.start(os.environ, "model") is None
    [message] = caplog.messages
    assert "'http/json' is none of http/protobuf, grpc" in message


def test_opentelemetry_is_not_imported_unless_configured_and_where_it_is_missing_a_warning_says_what_to_install() -> (
    None
):
    script = """
import os, sys, logging
logging.basicConfig()
import classifier_runtime.__main__
from classifier_runtime import tracing
assert tracing.start({}, "model") is None
assert not any(name.startswith("opentelemetry") for name in sys.modules), "imported"
sys.modules["opentelemetry.sdk"] = None
assert tracing.start({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318"}, "model") is None
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    [warning] = done.stderr.splitlines()
    assert "pip install 'pullsizer[runtime-tracing]'" in warning

"""From the first moment to the last: live at once, ready when that is true, and no request lost at the end."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator

import aiohttp
import pytest

from classifier_runtime import server as server_module
from classifier_runtime.core import engine as engine_module
from classifier_runtime.core.job import Floats
from classifier_runtime.errors import DeviceLost, ModelRefused
from classifier_runtime.server import Server
from classifier_runtime.settings import Settings
from tests.runtime.server.conftest import Client, Start
from tests.runtime.server.doubles import SEQUENCE, TOKENS, TextBackend, loaded

SETTINGS = Settings(host="127.0.0.1", http_port=0, grpc_port=0, drain_seconds=0)


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as made:
        yield made


async def test_a_server_is_live_while_it_loads_and_ready_when_it_has(session: aiohttp.ClientSession) -> None:
    go = threading.Event()

    def load(_: Settings) -> object:
        assert go.wait(20)
        return loaded()

    server = Server(SETTINGS, load)  # type: ignore[arg-type]
    await server.start()
    client = Client(server, session)
    loading = asyncio.create_task(server.load())
    assert await client.ask("/v2/health/live") == (200, {"live": True})
    assert await client.ask("/") == (200, {"status": "alive"})
    assert await client.ask("/v2/health/ready") == (503, {"ready": False, "live": True})
    not_ready = (503, "Model with name model is not ready.")
    status, answer = await client.ask("/v1/models/model")
    assert (status, answer["error"]) == not_ready
    assert await client.refused({"instances": ["5"]}) == not_ready
    assert await client.refused({"inputs": "5"}, "/") == not_ready
    go.set()
    await loading
    assert await client.ask("/v2/health/ready") == (200, {"ready": True, "live": True})
    assert await client.predict("5") == [0]
    await server.close()


async def test_a_model_that_is_refused_ends_the_start(session: aiohttp.ClientSession) -> None:
    def load(_: Settings) -> object:
        raise ModelRefused("no classifier")

    server = Server(SETTINGS, load)  # type: ignore[arg-type]
    await server.start()
    with pytest.raises(ModelRefused, match="no classifier"):
        await server.load()
    await server.close()


async def test_what_was_taken_is_finished_and_what_comes_then_is_refused(start: Start) -> None:
    backend = TextBackend()
    client = await start(SEQUENCE, backend)
    taken = asyncio.create_task(client.predict("slow"))
    await asyncio.to_thread(backend.entered.wait, 20)
    draining = asyncio.create_task(client.server.drain())
    await asyncio.sleep(0)
    assert (await client.ask("/v2/health/ready"))[0] == 503
    assert (await client.ask("/v2/health/live"))[0] == 200
    while (await client.ask("/v1/models/model:predict", {"instances": []}))[0] != 503:
        pass
    backend.go.set()
    assert await taken == [0]
    await draining


async def test_a_server_ends_in_time_with_a_batch_that_does_not_and_says_so_to_who_waits(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_module, "FINISH_SECONDS", 0.3)
    monkeypatch.setattr(server_module, "CLOSE_SECONDS", 0.2)
    monkeypatch.setattr(engine_module, "_JOIN_SECONDS", 0.01)
    backend = TextBackend()
    client = await start(SEQUENCE, backend)
    taken = [asyncio.create_task(client.refused({"instances": [text]})) for text in ("slow", "5", "5")]
    await client.metric("classifier_in_flight_requests 3.0")
    async with asyncio.timeout(15):  # a batch waits for twenty
        await client.server.drain()
        await client.server.close()
    assert [status for status, _ in await asyncio.gather(*taken)] == [503] * 3
    backend.go.set()


async def test_requests_are_taken_while_endpoints_are_withdrawn_and_connections_closed(start: Start) -> None:
    client = await start(drain_seconds=30)
    draining = asyncio.create_task(client.server.drain())
    await asyncio.sleep(0)
    async with client.session.post(client.url + "/v1/models/model:predict", json={"instances": ["5"]}) as answer:
        assert answer.status == 200
        assert answer.headers["Connection"] == "close"
    draining.cancel()


async def test_a_lost_device_fails_liveness_so_that_the_pod_is_started_anew(start: Start) -> None:
    class Lost(TextBackend):
        def forward(self, items: object) -> list[Floats]:
            raise DeviceLost("the device failed; the process has to be started anew")

    client = await start(SEQUENCE, Lost())
    assert (await client.ask("/v2/health/live"))[0] == 200
    assert (await client.refused({"instances": ["5"]}))[0] == 500
    for path in ("/", "/v2/health/live", "/v2/health/ready", "/v1/models/model"):
        assert (await client.ask(path))[0] == 503


async def test_an_error_that_nobody_thought_of_is_answered_and_not_shown(start: Start) -> None:
    class Wrong(TextBackend):
        def forward(self, items: object) -> list[Floats]:
            raise RuntimeError("a text of a customer's")

    client = await start(SEQUENCE, Wrong())
    status, error = await client.refused({"instances": ["5"]})
    assert status == 500
    assert "customer" not in error


async def test_times_and_the_requests_id_are_headers_of_the_answer(client: Client) -> None:
    body = {"instances": ["long", "long", "5"]}
    url = client.url + "/v1/models/model:predict"
    async with client.session.post(url, json=body, headers={"X-Request-Id": "abc"}) as answer:
        headers = answer.headers
    assert headers["x-request-id"] == "abc"
    assert headers["x-truncated"] == "2"
    assert all(float(headers[f"x-{name}-time"]) >= 0 for name in ("tokenize", "queue", "inference"))


async def test_a_request_id_that_is_no_word_is_not_echoed(client: Client) -> None:
    async with client.session.get(client.url + "/", headers={"X-Request-Id": "x" * 1000}) as answer:
        assert "x-request-id" not in answer.headers


async def test_metrics_say_what_was_answered(start: Start) -> None:
    client = await start()
    await client.predict("5", "long", "0 1")
    await client.refused({"instances": 7})
    lines = await client.metrics()
    assert 'classifier_label_info{id="1",label="POSITIVE"} 1.0' in lines
    assert 'classifier_predictions_total{id="0"} 2.0' in lines
    assert 'classifier_predictions_total{id="1"} 1.0' in lines
    assert "classifier_queue_tokens 0.0" in lines
    assert "classifier_in_flight_requests 0.0" in lines
    assert "classifier_ready 1.0" in lines
    for name in (
        'classifier_requests_total{code="200",protocol="v1"}',
        'classifier_requests_total{code="400",protocol="v1"}',
        "classifier_truncated_total",
        "classifier_batch_tokens_sum",
        "classifier_tokenize_seconds_count",
        "classifier_queue_seconds_count",
        "classifier_forward_seconds_count",
        "classifier_decode_seconds_count",
        "classifier_model_load_seconds",
        "classifier_peak_memory_bytes",
    ):
        assert any(line.startswith(name) for line in lines), name


async def test_predictions_of_tokens_are_counted_by_token_without_special_ones(start: Start) -> None:
    client = await start(TOKENS)
    await client.predict("0 1 1")
    lines = await client.metrics()
    assert 'classifier_predictions_total{id="0"} 1.0' in lines
    assert 'classifier_predictions_total{id="1"} 2.0' in lines


async def test_a_head_is_answered_as_a_get(client: Client) -> None:
    async with client.session.head(client.url + "/v2/health/ready") as answer:
        assert answer.status == 200


async def test_requests_are_computed_together(start: Start) -> None:
    backend = TextBackend()
    client = await start(SEQUENCE, backend)
    slow = asyncio.create_task(client.predict("slow"))
    await asyncio.to_thread(backend.entered.wait, 20)
    others = [asyncio.create_task(client.predict("5")) for _ in range(20)]
    await client.metric("classifier_queue_tokens 20.0")
    backend.go.set()
    await asyncio.gather(slow, *others)
    assert backend.seen == [1, 20]

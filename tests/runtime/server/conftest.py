"""Servers on real sockets, one for each test."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from io import BytesIO
from typing import Any

import aiohttp
import pytest

from classifier_runtime.core.serving import Facts
from classifier_runtime.server import Server
from classifier_runtime.settings import Settings
from classifier_runtime.spans import Tracer
from tests.runtime.server.doubles import SEQUENCE, TextBackend, loaded

Start = Callable[..., Awaitable["Client"]]


class Client:
    """Asks one server."""

    def __init__(self, server: Server, session: aiohttp.ClientSession) -> None:
        self.server = server
        self.session = session
        self.url = f"http://127.0.0.1:{server.port}"

    async def ask(self, path: str, body: Any = None, **given: Any) -> tuple[int, Any]:
        """Status and JSON; a GET where there is no body, and a body that is bytes as it is."""
        method = "GET" if body is None else "POST"
        if isinstance(body, bytes):
            given["data"] = BytesIO(body)  # of bytes, aiohttp's client warns from a megabyte on
        else:
            given["json"] = body
        async with self.session.request(method, self.url + path, **given) as answer:
            return answer.status, await answer.json(content_type=None)

    async def predict(self, *instances: Any, **parameters: Any) -> Any:
        """V1's predictions."""
        status, answer = await self.ask("/v1/models/model:predict", {"instances": instances, "parameters": parameters})
        assert status == 200, answer
        return answer["predictions"]

    async def refused(self, body: Any, path: str = "/v1/models/model:predict", **given: Any) -> tuple[int, str]:
        """Status and sentence of an error."""
        status, answer = await self.ask(path, body, **given)
        assert set(answer) == {"error"}
        return status, answer["error"]

    async def metrics(self) -> list[str]:
        async with self.session.get(self.url + "/metrics") as answer:
            return (await answer.text()).splitlines()

    async def metric(self, line: str) -> None:
        """Returns as soon as a line of the metrics begins so."""
        async with asyncio.timeout(20):
            while not any(one.startswith(line) for one in await self.metrics()):  # noqa: ASYNC110 - what happens is in the server
                await asyncio.sleep(0.01)


@pytest.fixture
async def start() -> AsyncIterator[Start]:
    """Servers of any facts, backend and settings, for the test to start."""
    servers: list[Server] = []
    async with aiohttp.ClientSession() as session:

        async def make(
            facts: Facts = SEQUENCE,
            backend: TextBackend | None = None,
            queue_tokens: int = 1_000_000,
            tracer: Tracer | None = None,
            **said: Any,
        ) -> Client:
            settings = Settings(host="127.0.0.1", http_port=0, **{"drain_seconds": 0, "grpc_port": 0, **said})
            server = Server(settings, lambda _: loaded(facts, backend, queue_tokens=queue_tokens), tracer=tracer)
            servers.append(server)
            await server.start()
            await server.load()
            return Client(server, session)

        yield make
    for server in servers:
        await server.close()


@pytest.fixture
async def client(start: Start) -> Client:
    """Of a server of sequences with three classes."""
    return await start()

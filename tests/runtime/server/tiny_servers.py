"""Whole servers of tiny models."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from functools import cache

import aiohttp
import pytest

from classifier_runtime import loading
from classifier_runtime.server import Loaded, Server
from classifier_runtime.settings import Settings
from tests.runtime import tiny
from tests.runtime.server.conftest import Client

Serve = Callable[[str], Awaitable[Client]]


@cache
def loaded(name: str) -> Loaded:
    return loading.load(Settings(model_dir=tiny.model(name), device="cpu", backend="torch-padded", threads=1))


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    """A server of a tiny model."""
    servers: list[Server] = []
    async with aiohttp.ClientSession() as session:

        async def make(name: str) -> Client:
            server = Server(
                Settings(host="127.0.0.1", http_port=0, grpc_port=0, drain_seconds=0), lambda _: loaded(name)
            )
            servers.append(server)
            await server.start()
            await server.load()
            return Client(server, session)

        yield make
    for server in servers:
        await server.close()

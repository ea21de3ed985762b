"""Real sockets and real clients: a Hub, web servers and measurers, each on free ports of the loopback."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

import pytest
from aiohttp import web

from pullsizer.policy import SourceRules
from pullsizer.sources.access import Access
from pullsizer.sources.measure import Measurer
from tests.stubs.hub import HubStub

from .certificates import make_bundle


def hub_access(token: str | None) -> Access:
    """As a namespace asks that has a token."""
    return Access(f"models/uid/{token}", {"HF_TOKEN": token or ""})


Handler: TypeAlias = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass
class Site:
    """A web server, and what it was asked."""

    port: int
    scheme: str = "http"
    asked: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)

    def url(self, path: str, host: str = "127.0.0.1") -> str:
        return f"{self.scheme}://{host}:{self.port}{path}"


Serve: TypeAlias = Callable[..., Awaitable[Site]]


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    """Starts web servers that answer everything with one handler."""
    async with AsyncExitStack() as stack:

        async def start(handler: Handler, tls: ssl.SSLContext | None = None) -> Site:
            site = Site(0, "https" if tls else "http")

            async def noted(request: web.BaseRequest) -> web.StreamResponse:
                site.asked.append((request.method, request.path, dict(request.headers)))
                assert isinstance(request, web.Request)
                return await handler(request)

            app = web.Application()
            app.router.add_route("*", "/{path:.*}", noted)
            runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=0)
            await runner.setup()
            stack.push_async_callback(runner.cleanup)
            await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls).start()
            site.port = runner.addresses[0][1]
            return site

        yield start


@dataclass
class Listener:
    """A server that notes who connects, and answers nothing."""

    port: int
    connections: int = 0


@asynccontextmanager
async def listening() -> AsyncIterator[Listener]:
    listener = Listener(0)

    def accept(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        listener.connections += 1
        writer.transport.abort()

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    listener.port = server.sockets[0].getsockname()[1]
    async with server:
        yield listener


@pytest.fixture
async def listener() -> AsyncIterator[Listener]:
    async with listening() as found:
        yield found


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The certificate of localhost."""
    return make_bundle(tmp_path_factory.mktemp("tls") / "bundle.pem", "localhost")


@pytest.fixture
async def hub() -> AsyncIterator[HubStub]:
    async with HubStub() as stub:
        yield stub


@pytest.fixture
async def measurer(tmp_path: Path) -> AsyncIterator[Measurer]:
    # A folder without certificates: to read the system's takes longer than most tests.
    async with Measurer(environ={"SSL_CERT_DIR": str(tmp_path)}) as ours:
        yield ours


@pytest.fixture
def rules(hub: HubStub) -> SourceRules:
    """The hub is the administrator's endpoint; nothing else that is not public may be asked."""
    return rules_for(hub.url)


def rules_for(endpoint: str, *allow: str, timeout: str = "10s") -> SourceRules:
    return SourceRules.model_validate({"huggingFace": {"endpoint": endpoint}, "allowCIDRs": allow, "timeout": timeout})


@pytest.fixture
def local() -> SourceRules:
    """The loopback may be asked, as an administrator may decide."""
    return rules_for("http://hub.invalid", "127.0.0.0/8")

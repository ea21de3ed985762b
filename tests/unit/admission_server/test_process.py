"""`python -m pullsizer webhook` as a process, against as much of an API server as it takes to start.

What the real one does is proven in tests/cluster; here it is the process: ready when all is there, and its end.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import ssl
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import orjson
import pytest
from aiohttp import web

from tests.controlplane.cluster import write_kubeconfig
from tests.controlplane.pki import Pki
from tests.controlplane.ports import free_port
from tests.unit.admission_server.served import (
    HOST,
    UNKNOWN,
    Json,
    accepted,
    basis_of,
    lease,
    model_pod,
    model_pull,
    review,
    tls_secret,
)

PATIENCE = 30


@dataclass
class ApiServer:
    """Lists what it holds, and tells of what is new since; a list of `withheld` kinds is refused."""

    objects: dict[str, list[Json]] = field(default_factory=dict)
    withheld: set[str] = field(default_factory=set)
    _news: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def put(self, kind: str, item: Json) -> None:
        found = self.objects.setdefault(kind, [])
        item.setdefault("metadata", {})["resourceVersion"] = str(len(found) + 1)
        async with self._news:
            found.append(item)
            self._news.notify_all()

    async def answer(self, http: web.Request) -> web.StreamResponse:
        kind = http.path.rpartition("/")[2]
        if kind in self.withheld:
            return web.json_response({"kind": "Status", "code": 503, "message": "not yet"}, status=503)
        found = self.objects.setdefault(kind, [])
        if "watch" not in http.query:
            metadata = {"resourceVersion": str(len(found))}
            return web.json_response({"kind": "List", "metadata": metadata, "items": found})
        told = int(http.query["resourceVersion"])
        response = web.StreamResponse()
        await response.prepare(http)
        while True:
            async with self._news:
                while len(found) <= told:
                    await self._news.wait()
            await response.write(orjson.dumps({"type": "ADDED", "object": found[told]}) + b"\n")
            told += 1


@dataclass
class Process:
    """The webhook's, and what it takes to talk to it."""

    api: ApiServer
    child: asyncio.subprocess.Process
    client: aiohttp.ClientSession
    url: str
    plain: str

    async def readiness(self) -> tuple[int, list[str]]:
        """Of the probe; 0 while nobody listens."""
        with contextlib.suppress(aiohttp.ClientConnectorError):
            async with self.client.get(f"{self.plain}/readyz") as reply:
                missing = (await reply.json())["missing"] if reply.status == 503 else []
                return reply.status, missing
        return 0, []

    async def until(self, condition: Callable[[tuple[int, list[str]]], bool]) -> None:
        """Another process can only be asked again and again."""
        async with asyncio.timeout(PATIENCE):
            while not condition(await self.readiness()):
                assert self.child.returncode is None, "it ended"
                await asyncio.sleep(0.05)

    async def until_waiting(self) -> None:
        async with asyncio.timeout(PATIENCE):
            while True:
                async with self.client.get(f"{self.plain}/metrics") as reply:
                    if "pullsizer_admission_waiting 1.0" in await reply.text():
                        return

    async def mutate(self, uri: str) -> Json:
        async with self.client.post(f"{self.url}/mutate-pods", json=review(model_pod(uri))) as reply:
            answer: Json = await reply.json()
            return answer


@asynccontextmanager
async def started(folder: Path, pki: Pki, api: ApiServer) -> AsyncIterator[Process]:
    app = web.Application()
    app.router.add_get("/{path:.*}", api.answer)
    runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=0)
    await runner.setup()
    await web.TCPSite(runner, HOST, 0).start()
    server = f"http://{HOST}:{runner.addresses[0][1]}"
    kubeconfig = write_kubeconfig(folder / "kubeconfig", {"server": server}, {"token": "t"})
    port, plain = free_port(), free_port()
    flags = (f"--kubeconfig={kubeconfig}", f"--host={HOST}", f"--port={port}", f"--metrics-port={plain}")
    environment = {name: value for name, value in os.environ.items() if name != "POD_NAMESPACE"}
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "pullsizer", "webhook", *flags, "--drain-seconds=0.5", env=environment
    )
    tls = ssl.create_default_context(cafile=str(pki.ca))
    try:
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=tls)) as client:
            yield Process(api, child, client, f"https://{HOST}:{port}", f"http://{HOST}:{plain}")
    finally:
        if child.returncode is None:
            child.kill()
        await child.wait()
        await runner.cleanup()


@pytest.fixture
async def api(pki: Pki) -> ApiServer:
    server = ApiServer()
    await server.put("secrets", tls_secret(pki, "process"))
    await server.put("leases", lease())
    policy = accepted("mode: Auto\nwaitForSize: 4s") | {"metadata": {"name": "pullsizer-config-accepted"}}
    await server.put("configmaps", policy)
    return server


async def test_it_is_ready_when_certificate_and_caches_are_there_and_says_what_is_missing(
    tmp_path: Path, pki: Pki, api: ApiServer
) -> None:
    secrets, api.objects["secrets"] = api.objects["secrets"], []
    api.withheld = {"modelpulls", "limitranges"}
    async with started(tmp_path, pki, api) as process:
        await process.until(lambda found: found == (503, ["certificate", "modelpulls", "limitranges"]))

        await api.put("secrets", secrets[0])
        api.withheld = set()

        await process.until(lambda found: found[0] == 200)


async def test_at_its_end_it_says_so_and_finishes_what_it_has_begun(tmp_path: Path, pki: Pki, api: ApiServer) -> None:
    async with started(tmp_path, pki, api) as process:
        await process.until(lambda found: found[0] == 200)
        waiting = asyncio.create_task(process.mutate(UNKNOWN))
        await process.until_waiting()

        process.child.send_signal(signal.SIGTERM)
        await process.until(lambda found: found == (503, ["draining"]))
        assert not waiting.done()
        await api.put("modelpulls", model_pull(UNKNOWN))

        assert basis_of(await waiting) == "model"
        assert await asyncio.wait_for(process.child.wait(), PATIENCE) == 0


async def test_while_draining_new_connections_are_still_taken(tmp_path: Path, pki: Pki, api: ApiServer) -> None:
    async with started(tmp_path, pki, api) as process:
        await process.until(lambda found: found[0] == 200)
        process.child.send_signal(signal.SIGTERM)
        # No connection to this port before: whoever has not heard yet that the endpoint is withdrawn makes one now.
        assert basis_of(await process.mutate("s3://bucket/model")) == "default"
        assert await asyncio.wait_for(process.child.wait(), PATIENCE) == 0

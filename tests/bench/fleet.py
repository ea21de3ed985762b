"""Thousands of services on a real API server, and what one controller makes of them. KServe itself does not run."""

from __future__ import annotations

import asyncio
import inspect
import json
import ssl
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import orjson

from pullsizer.names import API_VERSION, PLURAL
from tests.bench.load import Connection, body_of, request
from tests.controlplane import ControlPlane
from tests.controlplane.cluster import Document
from tests.installation import NAMESPACE, Installation, start_hub

CONTROLLER: Final = "pullsizer-controller"
_WRITERS: Final = 16
_WRITES: Final = ("create", "update", "patch", "delete")
_PAGE: Final = 500
_SERVICES: Final = "serving.kserve.io/v1beta1/inferenceservices"
_MODEL_PULLS: Final = f"{API_VERSION}/{PLURAL}"
_IDLE: Final = 0.1
"""Seconds of CPU time in two: what the watches and the Lease take."""


class Fleet:
    """The plane, the stub of the Hub, the controller, and services.

    :param limit: `requestsPer5Minutes`
    :param latency: seconds that the Hub takes
    """

    def __init__(self, plane: ControlPlane, limit: int, latency: float) -> None:
        self._plane = plane
        self._hub = start_hub(plane, latency)
        self._tls = ssl.create_default_context(cafile=str(plane.ca))
        self._tls.load_cert_chain(*plane.pki.client("bench", user="bench", group="system:masters"))
        self._installation = Installation(plane, self._policy(limit))
        self._audited = 0

    def start(self) -> None:
        """Install; the webhook does not run, so nobody is to call it."""
        self._installation.apply()
        for kind in ("mutatingwebhookconfiguration", "validatingwebhookconfiguration"):
            self._plane.kubectl("delete", kind, "pullsizer.dev")
        self.start_controller()
        self._installation.until_accepted(self._installation.policy)

    def set_limit(self, limit: int) -> None:
        """Change `requestsPer5Minutes`, as an administrator does."""
        self._installation.set_policy(self._policy(limit))

    def _policy(self, limit: int) -> str:
        return (
            "mode: Auto\nsources:\n  allowCIDRs: [127.0.0.1/32]\n"
            f"  huggingFace: {{endpoint: {self._hub!r}, requestsPer5Minutes: {limit}}}\n"
        )

    def start_controller(self) -> None:
        self._installation.start_controller()
        self._plane.until(lambda: self.metric("pullsizer_leader") == 1, 60, "the controller leads")

    def stop_controller(self) -> None:
        self._plane.stop_process(CONTROLLER)

    # -- services ------------------------------------------------------------------------------------------------------

    async def make(self, namespace: str, uris: Sequence[str], prefix: str = "service") -> float:
        """One service for each URI; how many seconds that took."""
        self._plane.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})
        url = self._url(_SERVICES, namespace)
        waiting = iter([request("POST", url, _service(f"{prefix}-{number}", uri)) for number, uri in enumerate(uris)])
        begin = time.perf_counter()

        async def keep_making() -> None:
            connection = await Connection.open(url, self._tls)
            for data in waiting:
                body_of(await connection.ask(data))
            connection.close()

        await asyncio.gather(*(keep_making() for _ in range(min(_WRITERS, len(uris)))))
        return time.perf_counter() - begin

    async def model_pulls(self, namespace: str) -> list[Document]:
        """All of a namespace."""
        return await self._list(self._url(_MODEL_PULLS, namespace))

    async def waits(self, namespace: str) -> list[float]:
        """Seconds from each service's making until its model was measured; the API server's times are whole seconds."""
        services = await self._list(self._url(_SERVICES, namespace))
        made = {item["metadata"]["name"]: _moment(item["metadata"]["creationTimestamp"]) for item in services}
        return [
            _moment(condition(item)["lastTransitionTime"]) - made[item["spec"]["serviceRef"]["name"]]
            for item in await self.model_pulls(namespace)
            if measured(item)
        ]

    def _url(self, resource: str, namespace: str) -> str:
        group, _, plural = resource.rpartition("/")
        return f"{self._plane.server}/apis/{group}/namespaces/{namespace}/{plural}"

    async def _list(self, url: str) -> list[Document]:
        base = f"{url}?limit={_PAGE}"
        connection = await Connection.open(base, self._tls)
        found: list[Document] = []
        more = ""
        while True:
            page = orjson.loads(body_of(await connection.ask(request("GET", base + more))))
            found += page["items"]
            token = page["metadata"].get("continue")
            if not token:
                connection.close()
                return found
            more = f"&continue={token}"

    async def once(self, namespace: str, count: int, so: Callable[[Document], object]) -> list[Document]:
        """All of a namespace, once so many of them are so."""
        found: list[Document] = []

        async def enough() -> bool:
            nonlocal found
            found = await self.model_pulls(namespace)
            return sum(bool(so(item)) for item in found) >= count

        await until(enough)
        return found

    async def seconds_to_measured(self, namespace: str, uri: str, name: str) -> float:
        """From making a service until its ModelPull says how big its model is."""
        begin = time.perf_counter()
        await self.make(namespace, [uri], name)
        while True:
            for item in await self.model_pulls(namespace):
                if item["spec"]["serviceRef"]["name"] == f"{name}-0" and measured(item):
                    return time.perf_counter() - begin
            await asyncio.sleep(0.02)

    # -- figures -------------------------------------------------------------------------------------------------------

    def metric(self, name: str, **labels: str) -> float:
        return self._installation.metric(name, "controller", **labels)

    def hub_calls(self) -> Counter[str]:
        """By path, since the Hub's start; the path that was asked for first comes first."""
        with urllib.request.urlopen(f"{self._hub}/requests") as answer:
            return Counter(json.load(answer)["paths"])

    def writes(self) -> Counter[str]:
        """What the controller wrote since this was asked last: by verb, resource and answer."""
        found: Counter[str] = Counter()
        with self._plane.audit_log.open("rb") as log:
            log.seek(self._audited)
            for line in log:
                if not line.endswith(b"\n"):
                    break
                self._audited += len(line)
                if f"serviceaccount:{NAMESPACE}:{CONTROLLER}".encode() not in line:
                    continue
                event = orjson.loads(line)
                if event["verb"] in _WRITES:
                    what = event["objectRef"]
                    name = "/".join(filter(None, (what["resource"], what.get("subresource"))))
                    found[f"{event['verb']} {name} {event['responseStatus']['code']}"] += 1
        return Counter({what: count for what, count in found.items() if "leases" not in what})

    def process(self) -> dict[str, float]:
        """Of the controller: memory now and at its peak, in MiB, and seconds of CPU time."""
        pid = self._plane.processes.get(CONTROLLER).popen.pid
        status = dict(
            line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines() if ":" in line
        )
        tasks = Path(f"/proc/{pid}/task").glob("*/schedstat")
        return {
            "rss_mib": int(status["VmRSS"].split()[0]) / 1024,
            "peak_mib": int(status["VmHWM"].split()[0]) / 1024,
            "cpu_s": sum(int(file.read_text().split()[0]) for file in tasks) / 1e9,
        }

    async def settled(self) -> None:
        """Until the controller has nothing to do: its CPU time stands still."""
        before = -1.0

        def idle() -> bool:
            nonlocal before
            before, last = self.process()["cpu_s"], before
            return before - last < _IDLE

        await until(idle, pause=2)


async def until(condition: Callable[[], object], *, seconds: float = 3600, pause: float = 0.2) -> None:
    """Until the condition, which may be one to be awaited, is true."""
    async with asyncio.timeout(seconds):
        while True:
            found = condition()
            if inspect.isawaitable(found):
                found = await found
            if found:
                return
            await asyncio.sleep(pause)


def measured(model_pull: Document) -> bool:
    return condition(model_pull).get("status") == "True"


def condition(model_pull: Document) -> dict[str, Any]:
    conditions = model_pull.get("status", {}).get("conditions", ())
    return next((item for item in conditions if item["type"] == "Measured"), {})


def _moment(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def _service(name: str, uri: str) -> bytes:
    model = {"modelFormat": {"name": "huggingface"}, "storageUri": uri}
    return orjson.dumps(
        {
            "apiVersion": "serving.kserve.io/v1beta1",
            "kind": "InferenceService",
            "metadata": {"name": name},
            "spec": {"predictor": {"model": model}},
        }
    )

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

    async def _moment(text: str) -> float:
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

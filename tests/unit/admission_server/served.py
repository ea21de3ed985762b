"""The webhook's server on real TLS sockets, its caches filled by hand; and what the API server would send it."""

from __future__ import annotations

import asyncio
import base64
import datetime as dt
import itertools
import json
import ssl
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp
from aiohttp import web
from prometheus_client import REGISTRY

from pullsizer.admission.caches import Caches
from pullsizer.admission.server import WebhookServer
from pullsizer.admission.tls import Certificate
from pullsizer.admission.waiting import Waiters
from pullsizer.model import Failure, Knowledge, ModelFacts, Source
from pullsizer.modelpull import Measurement, ModelPull, ServiceRef, model_status
from tests.controlplane.pki import Pki

HOST = "127.0.0.1"
NAMESPACE = "models"
UNKNOWN = "hf://acme/not-measured-yet"
KNOWN = "hf://acme/measured"
SIZE = ModelFacts(bytes=16_000_000_000, files=17, largest=5_000_000_000)
NOT_FOUND = Failure("NotFound", "the Hub knows no such model")

Json = dict[str, Any]
_uids = itertools.count()


# -- what the API server sends ---------------------------------------------------------------------------------------


def model_pod(uri: str = KNOWN, **metadata: Any) -> Json:
    """A pod as it is after KServe's webhook."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "generateName": "classifier-predictor-",
            "namespace": NAMESPACE,
            "labels": {"serving.kserve.io/inferenceservice": "classifier", "component": "predictor"},
            **metadata,
        },
        "spec": {
            "initContainers": [
                {
                    "name": "storage-initializer",
                    "image": "kserve/storage-initializer:v0.20.0",
                    "args": [uri, "/mnt/models"],
                    "resources": {
                        "requests": {"cpu": "100m", "memory": "100Mi"},
                        "limits": {"cpu": "1", "memory": "1Gi"},
                    },
                    "volumeMounts": [{"name": "kserve-provision-location", "mountPath": "/mnt/models"}],
                }
            ],
            "containers": [{"name": "kserve-container", "image": "server"}],
            "volumes": [{"name": "kserve-provision-location", "emptyDir": {}}],
        },
    }


def review(pod: Json, *, version: str = "v1", **request: Any) -> Json:
    return {
        "apiVersion": f"admission.k8s.io/{version}",
        "kind": "AdmissionReview",
        "request": {
            "uid": f"uid-{next(_uids)}",
            "kind": {"group": "", "version": "v1", "kind": "Pod"},
            "operation": "CREATE",
            "namespace": NAMESPACE,
            "userInfo": {"username": "system:serviceaccount:kube-system:replicaset-controller"},
            "object": pod,
            **request,
        },
    }


def patch_of(answer: Json) -> list[Json]:
    """The operations of an answer that allows."""
    response = answer["response"]
    assert response["allowed"] is True
    return json.loads(base64.b64decode(response["patch"])) if "patch" in response else []


def basis_of(answer: Json) -> str:
    """What the decision was based on, by the annotation that the patch adds."""
    (note,) = (item["value"] for item in patch_of(answer) if item["path"].startswith("/metadata/annotations"))
    text = note if isinstance(note, str) else note["pullsizer.dev/sizing"]
    return str(json.loads(text)["containers"]["storage-initializer"]["basis"])


# -- what the watches bring ------------------------------------------------------------------------------------------


def model_pull(uri: str = KNOWN, knowledge: Knowledge = SIZE) -> Json:
    source = Source(uri)
    service = ServiceRef("InferenceService", "classifier", "uid-of-service")
    item = ModelPull(NAMESPACE, service, "predictor", (source,)).to_object()
    return item | {"status": {"models": [model_status(source, Measurement(knowledge, time.time()))]}}


def accepted(text: str) -> Json:
    return {"data": {"config.yaml": text}}


def lease() -> Json:
    return {
        "metadata": {"name": "pullsizer-controller", "resourceVersion": "1"},
        "spec": {
            "holderIdentity": "controller-0",
            "renewTime": dt.datetime.now(dt.UTC).isoformat(),
            "leaseDurationSeconds": 3600,
        },
    }


def tls_secret(pki: Pki, name: str) -> Json:
    """A new certificate as the controller stores it."""
    crt, key = (base64.b64encode(path.read_bytes()).decode() for path in pki.server(name))
    return {"metadata": {"name": "pullsizer-webhook-tls"}, "data": {"tls.crt": crt, "tls.key": key}}


# -- the server --------------------------------------------------------------------------------------------------------


def count(name: str, **labels: str) -> float:
    """A metric's value. The registry is the process's own, so only differences tell something."""
    return REGISTRY.get_sample_value(f"pullsizer_admission_{name}", labels) or 0.0


@dataclass
class Served:
    """A server that runs, and a client of it."""

    server: WebhookServer
    caches: Caches
    waiters: Waiters
    certificate: Certificate
    missing: list[str]
    port: int
    plain: str
    tls: ssl.SSLContext
    client: aiohttp.ClientSession

    @property
    def url(self) -> str:
        return f"https://{HOST}:{self.port}"

    async def mutate(self, pod: Json, **request: Any) -> Json:
        async with self.client.post(f"{self.url}/mutate-pods?timeout=5s", json=review(pod, **request)) as reply:
            assert reply.status == 200, await reply.text()
            answer: Json = await reply.json()
            return answer

    async def serial(self) -> int:
        """Of the certificate that a new connection is shown."""
        return await shown_serial(self.port, self.tls)


async def shown_serial(port: int, tls: ssl.SSLContext) -> int:
    _, writer = await asyncio.open_connection(HOST, port, ssl=tls)
    shown = writer.get_extra_info("peercert")
    writer.close()
    await writer.wait_closed()
    return int(shown["serialNumber"], 16)


@asynccontextmanager
async def serve(pki: Pki, *, certificate: bool = True) -> AsyncIterator[Served]:
    """A server that knows `KNOWN`, in mode Auto, without a controller."""
    caches, waiters, holder = Caches(), Waiters(), Certificate()
    caches.put_accepted(accepted("mode: Auto"))
    caches.put_model_pull(model_pull())
    if certificate:
        holder.put_secret(tls_secret(pki, "first"))
    missing: list[str] = []
    server = WebhookServer(
        caches, waiters, namespace="pullsizer-system", kserve_namespace="kserve", missing=lambda: missing
    )
    secure = web.ServerRunner(server.reviews(keepalive_timeout=120), shutdown_timeout=1)
    plain = web.AppRunner(server.metrics_application(), access_log=None)
    tls = ssl.create_default_context(cafile=str(pki.ca))
    await secure.setup()
    await plain.setup()
    await web.TCPSite(secure, HOST, 0, ssl_context=holder.context).start()
    await web.TCPSite(plain, HOST, 0).start()
    try:
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=tls, limit=0)) as client:
            yield Served(
                server,
                caches,
                waiters,
                holder,
                missing,
                secure.addresses[0][1],
                f"http://{HOST}:{plain.addresses[0][1]}",
                tls,
                client,
            )
    finally:
        await secure.cleanup()
        await plain.cleanup()

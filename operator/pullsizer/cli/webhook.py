"""`pullsizer webhook`: the watches fill the caches, the server answers from them, SIGTERM drains it."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Callable
from typing import Any

from aiohttp import web

from pullsizer.admission import metrics
from pullsizer.admission.caches import Caches
from pullsizer.admission.server import WebhookServer
from pullsizer.admission.tls import Certificate
from pullsizer.admission.waiting import Waiters
from pullsizer.cluster.client import KubeApi
from pullsizer.cluster.reflector import Reflector
from pullsizer.names import (
    ACCEPTED_CONFIGMAP,
    API_VERSION,
    KSERVE_CONFIGMAP,
    KSERVE_GROUP,
    LEAF_SECRET,
    LEASE,
    PLURAL,
)
from pullsizer.settings import WebhookSettings

_log = logging.getLogger(__name__)
Take = Callable[[dict[str, Any]], None]


async def run(settings: WebhookSettings) -> int:
    """Serve until SIGTERM or SIGINT; the exit code."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    certificate, caches = Certificate(), Caches()
    async with await KubeApi.connect(settings.kubeconfig) as api:
        reflectors = _reflectors(api, settings, caches, certificate)

        def missing() -> list[str]:
            waiting = [reflector.name for reflector in reflectors if not reflector.synced.is_set()]
            return waiting if certificate.loaded else ["certificate", *waiting]

        server = WebhookServer(
            caches,
            Waiters(),
            namespace=settings.namespace,
            kserve_namespace=settings.kserve_namespace,
            missing=missing,
        )
        watches = [asyncio.create_task(reflector.run(), name=reflector.name) for reflector in reflectors]
        # The API server keeps its connections; one that idles longer than it does would be reset under a request.
        tls = web.ServerRunner(server.reviews(keepalive_timeout=120), shutdown_timeout=10)
        plain = web.AppRunner(server.metrics_application(), access_log=None)
        try:
            await tls.setup()
            await plain.setup()
            site = web.TCPSite(tls, settings.host, settings.port, ssl_context=certificate.context)
            await site.start()
            await web.TCPSite(plain, settings.host, settings.metrics_port).start()
            _log.info("serving host=%s port=%s metrics_port=%s", settings.host, settings.port, settings.metrics_port)
            await stop.wait()
            server.draining = True
            _log.info("draining seconds=%s", settings.drain_seconds)
            await asyncio.sleep(settings.drain_seconds)
        finally:
            await tls.cleanup()
            await plain.cleanup()
            for watch in watches:
                watch.cancel()
            await asyncio.gather(*watches, return_exceptions=True)
    return 0


def _reflectors(api: KubeApi, settings: WebhookSettings, caches: Caches, certificate: Certificate) -> list[Reflector]:
    """One for each kind of object that admission knows about; those with a name are watched by it alone."""

    def watch(name: str, path: str, put: Take, remove: Take, *, only: str = "", optional: bool = False) -> Reflector:
        selector = f"metadata.name={only}" if only else ""
        return Reflector(
            api, path, name=name, field_selector=selector, on_change=put, on_delete=remove, optional=optional
        )

    def put_accepted(item: dict[str, Any]) -> None:
        caches.put_accepted(item)
        metrics.POLICY_ACCEPTED.set(caches.accepted)

    own, kserve = f"namespaces/{settings.namespace}", f"namespaces/{settings.kserve_namespace}"
    containers = f"/apis/{KSERVE_GROUP}/v1alpha1/clusterstoragecontainers"
    leases = f"/apis/coordination.k8s.io/v1/{own}/leases"
    return [
        watch("modelpulls", f"/apis/{API_VERSION}/{PLURAL}", caches.put_model_pull, caches.remove_model_pull),
        watch("policy", f"/api/v1/{own}/configmaps", put_accepted, caches.remove_accepted, only=ACCEPTED_CONFIGMAP),
        watch("limitranges", "/api/v1/limitranges", caches.put_limit_range, caches.remove_limit_range),
        watch("resourcequotas", "/api/v1/resourcequotas", caches.put_resource_quota, caches.remove_resource_quota),
        watch("namespaces", "/api/v1/namespaces", caches.put_namespace, caches.remove_namespace),
        # Where we may not read them, KServe not being there yet or elsewhere, its shipped defaults are what holds.
        watch(
            "kserve-config",
            f"/api/v1/{kserve}/configmaps",
            caches.put_kserve_configmap,
            caches.remove_kserve_configmap,
            only=KSERVE_CONFIGMAP,
            optional=True,
        ),
        watch(
            "storage-containers",
            containers,
            caches.put_storage_container,
            caches.remove_storage_container,
            optional=True,
        ),
        watch("lease", leases, caches.put_lease, caches.remove_lease, only=LEASE),
        # A Secret that is gone takes no certificate with it: what was loaded is good until it ends.
        watch("certificate", f"/api/v1/{own}/secrets", certificate.put_secret, lambda _: None, only=LEAF_SECRET),
    ]

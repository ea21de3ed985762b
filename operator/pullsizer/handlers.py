"""Registers with kopf, and translates. No logic: what is seen is handed on.

Only `@kopf.on.event`: everything else writes annotations or finalizers on what it watches, and a new annotation on an
InferenceService restarts its model servers.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Final, Protocol

import kopf

from pullsizer.cluster import KubeApi
from pullsizer.names import KSERVE_GROUP

PLURALS: Final = ("inferenceservices", "llminferenceservices")


class Services(Protocol):
    """Whoever cares about services."""

    def service_seen(self, item: Mapping[str, Any]) -> None: ...

    def service_gone(self, item: Mapping[str, Any]) -> None: ...


async def watch_services(services: Services, api: KubeApi, versions: Mapping[str, str], started: asyncio.Event) -> None:
    """Hands all services to `services`, until cancelled.

    kopf takes SIGTERM and SIGINT for itself, and would then return; once `started` is set they can be taken back.

    :param versions: of each resource, which one to watch
    """
    await kopf.operator(
        registry=registry(services, api, versions),
        settings=settings(),
        standalone=True,  # the Lease decides who works
        clusterwide=True,
        ready_flag=started,
    )


def registry(services: Services, api: KubeApi, versions: Mapping[str, str]) -> kopf.OperatorRegistry:
    found = kopf.OperatorRegistry()

    async def seen(event: Mapping[str, Any], **_: Any) -> None:
        item = event["object"]
        if event["type"] == "DELETED":
            services.service_gone(item)
        else:
            services.service_seen(item)

    async def login(**_: Any) -> kopf.ConnectionInfo:
        return kopf.ConnectionInfo(**await api.credentials())

    for plural, version in versions.items():
        kopf.on.event(KSERVE_GROUP, version, plural, id=plural, registry=found)(seen)
    kopf.on.login(registry=found)(login)
    return found


class _Nothing(kopf.DiffBaseStorage):
    """Nobody asks what changed since: no object is copied to be compared, and nothing could be written to one."""

    def build(self, **_: Any) -> kopf.BodyEssence:
        return kopf.BodyEssence()

    def fetch(self, **_: Any) -> None:
        return None

    def store(self, **_: Any) -> None:
        pass


def settings() -> kopf.OperatorSettings:
    found = kopf.OperatorSettings()
    found.persistence.diffbase_storage = _Nothing()
    found.posting.enabled = False  # our Events say what we want to say
    found.scanning.disabled = True  # it would list and watch the definitions of everything, megabytes of schemas
    # Bookmarks come once a minute: silence for longer is a connection that died.
    found.watching.inactivity_timeout = 100
    found.watching.server_timeout = 290
    found.watching.connect_timeout = 10
    found.networking.request_timeout = 30
    found.networking.connect_timeout = 10
    return found

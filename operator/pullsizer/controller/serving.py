"""Keeps the webhook's certificates: the two Secrets, and `caBundle` in both webhook configurations.

The CA's key is in a Secret of its own, which only the controller may read. Of the configurations we own nothing but
`caBundle`, so that manifests need not have it; what GitOps wipes is back within seconds.
"""

from __future__ import annotations

import base64
import binascii
import logging
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from pullsizer.cluster import KubeApi
from pullsizer.controller import rotation
from pullsizer.controller.certificates import Pair, contains, expiry
from pullsizer.controller.metrics import CA_BUNDLE_WRITES, CERTIFICATE_EXPIRY
from pullsizer.controller.rotation import Material
from pullsizer.controller.work import WorkQueue
from pullsizer.names import CA_SECRET, FIELD_MANAGER, LEAF_SECRET, SERVICE, WEBHOOK_CONFIGURATION

log = logging.getLogger(__name__)

Object = dict[str, Any]

KINDS: Final = {
    "MutatingWebhookConfiguration": "mutatingwebhookconfigurations",
    "ValidatingWebhookConfiguration": "validatingwebhookconfigurations",
}
API: Final = "/apis/admissionregistration.k8s.io/v1"
_EVERY: Final = 600.0
"""Seconds between looks at what only time changes."""
_CALM: Final = 1.0
"""Seconds between two writes of one configuration: against somebody who wipes as fast as we restore nobody wins."""
_STEPS: Final = 4
_MATERIAL: Final = "material"


class Certificates:
    """Told of Secrets and configurations; writes from a queue. Starts to work at `begin`.

    :param hosts: further names of the webhook, beside those of its Service
    """

    def __init__(self, api: KubeApi, namespace: str, hosts: tuple[str, ...] = ()) -> None:
        service = f"{SERVICE}.{namespace}.svc"
        self.hosts = tuple(dict.fromkeys((service, f"{service}.cluster.local", *hosts)))
        self._api = api
        self._namespace = namespace
        self._secrets: dict[str, Object] = {}
        self._configurations: dict[str, Object] = {}
        self._trusted = b""
        self._settled_at: dict[str, float] = {}
        self._written: dict[str, float] = {}
        self._begun = False
        self.queue: WorkQueue[str] = WorkQueue("certificates", self._sync, workers=1)

    def begin(self) -> None:
        """Once all Secrets and configurations that there are were told: not before is a missing one really missing."""
        self._begun = True
        self.queue.add(_MATERIAL)

    def put_secret(self, item: Object) -> None:
        self._secrets[item["metadata"]["name"]] = item
        if self._begun:
            self.queue.add(_MATERIAL)

    def remove_secret(self, item: Object) -> None:
        self._secrets.pop(item["metadata"]["name"], None)
        if self._begun:
            self.queue.add(_MATERIAL)

    def put_configuration(self, item: Object) -> None:
        kind = item["kind"]
        self._configurations[kind] = item
        if self._begun and self._trusted and not self._complete(item):
            self.queue.add(kind, after=max(0.0, self._written.get(kind, 0) + _CALM - time.monotonic()))

    def remove_configuration(self, item: Object) -> None:
        """Never made again by us: to delete it is how an administrator stops everything."""
        self._configurations.pop(item["kind"], None)
        self._settled_at.pop(item["kind"], None)

    # -- what it does --------------------------------------------------------------------------------------------------

    async def _sync(self, key: str) -> None:
        if key == _MATERIAL:
            await self._material()
        else:
            await self._publish(key)

    async def _material(self) -> None:
        material = self._read()
        for _ in range(_STEPS):
            now = datetime.now(UTC)
            following = rotation.step(
                material, self.hosts, published=self._published(material), settled=self._settled(), now=now
            )
            if following == material:
                break
            # The CA before what it signs: a leaf whose CA was lost would be trusted by nobody.
            if following.ca != material.ca or following.trusted != material.trusted:
                await self._write_ca(following)
                log.info("certificate authority written renewed=%s", following.ca != material.ca)
            if following.leaf != material.leaf or following.trusted != material.trusted:
                await self._write_leaf(following)
                log.info("leaf certificate written renewed=%s", following.leaf != material.leaf)
            material = following
        assert material.ca is not None
        CERTIFICATE_EXPIRY.labels("ca").set(expiry(material.ca.certificate))
        if material.leaf is not None:
            CERTIFICATE_EXPIRY.labels("leaf").set(expiry(material.leaf.certificate))
        self._trusted = material.trusted
        for kind, item in self._configurations.items():
            if not self._complete(item):
                self.queue.add(kind)
        self.queue.add(_MATERIAL, after=_EVERY)

    def _read(self) -> Material:
        ca, leaf = self._secrets.get(CA_SECRET), self._secrets.get(LEAF_SECRET)
        # Both say whom to trust: where one of them was lost, what is served stays trusted.
        return Material(_pair(ca), _pair(leaf), _value(ca, "ca.crt") or _value(leaf, "ca.crt"))

    async def _write_ca(self, material: Material) -> None:
        await self._write(CA_SECRET, material.ca, material.trusted)

    async def _write_leaf(self, material: Material) -> None:
        if material.leaf is not None:
            await self._write(LEAF_SECRET, material.leaf, material.trusted)

    async def _write(self, name: str, pair: Pair | None, trusted: bytes) -> None:
        assert pair is not None
        values = {"tls.crt": pair.certificate, "tls.key": pair.key, "ca.crt": trusted}
        body = {
            "apiVersion": "v1",
            "kind": "Secret",
            "type": "kubernetes.io/tls",
            "metadata": {
                "name": name,
                "namespace": self._namespace,
                "labels": {"app.kubernetes.io/name": "pullsizer", "app.kubernetes.io/managed-by": "pullsizer"},
            },
            "data": {key: base64.b64encode(value).decode() for key, value in values.items()},
        }
        path = f"/api/v1/namespaces/{self._namespace}/secrets/{name}"
        self._secrets[name] = await self._api.apply(path, body, field_manager=FIELD_MANAGER)

    async def _publish(self, kind: str) -> None:
        item = self._configurations.get(kind)
        if item is None or not self._trusted or self._complete(item):
            return
        text = base64.b64encode(self._trusted).decode()
        body = {
            "apiVersion": "admissionregistration.k8s.io/v1",
            "kind": kind,
            "metadata": {"name": WEBHOOK_CONFIGURATION},
            "webhooks": [
                {"name": webhook["name"], "clientConfig": {"caBundle": text}} for webhook in item.get("webhooks") or ()
            ],
        }
        path = f"{API}/{KINDS[kind]}/{WEBHOOK_CONFIGURATION}"
        self._written[kind] = time.monotonic()
        self._configurations[kind] = await self._api.apply(path, body, field_manager=FIELD_MANAGER)
        CA_BUNDLE_WRITES.labels(kind).inc()
        log.info("caBundle written kind=%s", kind)
        self._settled_at[kind] = time.monotonic() + rotation.SETTLE
        self.queue.add(_MATERIAL, after=rotation.SETTLE + 1)

    def _published(self, material: Material) -> bytes:
        """What is trusted everywhere. Where there is no configuration nobody calls, and nobody need be told."""
        bundles = [
            _decode((webhook.get("clientConfig") or {}).get("caBundle"))
            for item in self._configurations.values()
            for webhook in item.get("webhooks") or ()
        ]
        if not bundles:
            return material.trusted
        ca = material.ca.certificate if material.ca else b""
        return ca if all(contains(one, ca) for one in bundles) else b""

    def _settled(self) -> bool:
        return all(moment <= time.monotonic() for moment in self._settled_at.values())

    def _complete(self, item: Object) -> bool:
        return all(
            _decode((webhook.get("clientConfig") or {}).get("caBundle")) == self._trusted
            for webhook in item.get("webhooks") or ()
        )


def _pair(secret: Mapping[str, Any] | None) -> Pair | None:
    certificate, key = _value(secret, "tls.crt"), _value(secret, "tls.key")
    return Pair(certificate, key) if certificate and key else None


def _value(secret: Mapping[str, Any] | None, key: str) -> bytes:
    return _decode(((secret or {}).get("data") or {}).get(key))


def _decode(text: str | None) -> bytes:
    try:
        return base64.b64decode(text or "", validate=True)
    except (binascii.Error, ValueError):
        return b""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from pullsizer.controller.certificates import Pair, names, signed_by
from pullsizer.controller.serving import Certificates
from tests.unit.controller.fake import FakeApi

SECRETS = "/api/v1/namespaces/ns/secrets"
CA, LEAF = f"{SECRETS}/pullsizer-ca", f"{SECRETS}/pullsizer-webhook-tls"
CONFIGURATION = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/pullsizer.dev"


def configuration(bundle: str | None = None) -> dict[str, Any]:
    client: dict[str, Any] = {"service": {"name": "pullsizer-webhook"}}
    if bundle is not None:
        client["caBundle"] = bundle
    webhooks = [{"name": name, "clientConfig": dict(client)} for name in ("one", "two")]
    return {"kind": "MutatingWebhookConfiguration", "metadata": {"name": "pullsizer.dev"}, "webhooks": webhooks}


@asynccontextmanager
async def running(api: FakeApi, *hosts: str) -> AsyncGenerator[Certificates, None]:
    found = Certificates(api, "ns", hosts)
    task = asyncio.create_task(found.queue.run())
    try:
        yield found
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def value(api: FakeApi, path: str, key: str) -> bytes:
    return base64.b64decode(api.objects[path]["data"][key])


async def test_from_nothing_come_both_secrets_and_the_bundle_in_each_webhook() -> None:
    api = FakeApi()
    async with running(api, "127.0.0.1") as certificates:
        certificates.put_configuration(configuration())
        certificates.begin()
        await asyncio.sleep(0.05)
    ca, leaf = value(api, CA, "tls.crt"), Pair(value(api, LEAF, "tls.crt"), value(api, LEAF, "tls.key"))
    assert signed_by(leaf, ca)
    assert names(leaf) == {"pullsizer-webhook.ns.svc", "pullsizer-webhook.ns.svc.cluster.local", "127.0.0.1"}
    assert api.objects[LEAF]["type"] == "kubernetes.io/tls"
    written = api.objects[CONFIGURATION]
    assert [list(webhook) for webhook in written["webhooks"]] == [["name", "clientConfig"]] * 2
    assert {webhook["clientConfig"]["caBundle"] for webhook in written["webhooks"]} == {base64.b64encode(ca).decode()}


async def test_the_cas_key_is_in_no_other_secret() -> None:
    api = FakeApi()
    async with running(api) as certificates:
        certificates.begin()
        await asyncio.sleep(0.05)
    assert value(api, CA, "tls.key") not in [value(api, LEAF, key) for key in api.objects[LEAF]["data"]]


async def test_a_restart_leaves_everything_as_it_is() -> None:
    api = FakeApi()
    async with running(api) as certificates:
        certificates.put_configuration(configuration())
        certificates.begin()
        await asyncio.sleep(0.05)
    calls = len(api.calls)
    async with running(api) as certificates:
        certificates.put_secret(api.objects[CA])
        certificates.put_secret(api.objects[LEAF])
        certificates.put_configuration(api.objects[CONFIGURATION])
        certificates.begin()
        await asyncio.sleep(0.05)
    assert len(api.calls) == calls


async def test_a_wiped_bundle_is_put_back_and_a_deleted_configuration_is_not() -> None:
    api = FakeApi()
    async with running(api) as certificates:
        certificates.put_configuration(configuration())
        certificates.begin()
        await asyncio.sleep(0.05)
        certificates._written.clear()  # as if that had been a while ago
        api.objects.pop(CONFIGURATION)
        certificates.put_configuration(configuration(""))
        await asyncio.sleep(0.05)
        assert CONFIGURATION in api.objects
        api.objects.pop(CONFIGURATION)
        certificates.remove_configuration(configuration())
        await asyncio.sleep(0.05)
        assert CONFIGURATION not in api.objects


async def test_a_lost_ca_is_made_again_and_what_is_served_stays_until_the_new_one_is_known() -> None:
    api = FakeApi()
    async with running(api) as certificates:
        certificates.put_configuration(configuration())
        certificates.begin()
        await asyncio.sleep(0.05)
        before = value(api, LEAF, "tls.crt")
        certificates.remove_secret(api.objects.pop(CA))
        await asyncio.sleep(0.05)
    assert value(api, LEAF, "tls.crt") == before
    bundle = value(api, LEAF, "ca.crt")
    assert bundle.startswith(value(api, CA, "tls.crt"))
    assert bundle.count(b"BEGIN") == 2
    published = api.objects[CONFIGURATION]["webhooks"][0]["clientConfig"]["caBundle"]
    assert base64.b64decode(published) == bundle

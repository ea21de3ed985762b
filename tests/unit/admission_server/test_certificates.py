"""The serving certificate: none yet, replaced under load, and one that cannot be used."""

from __future__ import annotations

import asyncio
import base64
from collections import Counter
from typing import Any

import aiohttp
import pytest

from tests.controlplane.pki import Pki
from tests.unit.admission_server.served import Served, basis_of, count, model_pod, review, serve, tls_secret

CLIENTS = 4
ROTATIONS = 5


async def test_without_a_certificate_no_connection_comes_about_and_the_probe_says_why(pki: Pki) -> None:
    async with serve(pki, certificate=False) as served:
        served.missing[:] = ["certificate", "modelpulls"]

        with pytest.raises(aiohttp.ClientError):
            await served.mutate(model_pod())

        async with served.client.get(f"{served.plain}/livez") as reply:
            assert reply.status == 200, "that is no reason to restart it"
        async with served.client.get(f"{served.plain}/readyz") as reply:
            assert (reply.status, await reply.json()) == (503, {"missing": ["certificate", "modelpulls"]})
        assert count("ready") == 0

        served.certificate.put_secret(tls_secret(pki, "late"))
        served.missing.clear()
        assert basis_of(await served.mutate(model_pod())) == "model"
        for url in (served.url, served.plain):
            async with served.client.get(f"{url}/readyz") as reply:
                assert (reply.status, await reply.text()) == (200, "ok")
        assert count("ready") == 1


async def test_a_new_certificate_under_load_fails_no_request(served: Served, pki: Pki) -> None:
    done: Counter[int] = Counter()
    one_more = asyncio.Condition()
    over = False

    async def ask(number: int, client: aiohttp.ClientSession) -> None:
        while not over:
            async with client.post(f"{served.url}/mutate-pods", json=review(model_pod())) as reply:
                assert basis_of(await reply.json()) == "model"
            async with one_more:
                done[number] += 1
                one_more.notify_all()

    async def everybody_again() -> None:
        before = done.copy()
        async with one_more:
            await one_more.wait_for(lambda: all(done[n] > before[n] + 1 for n in range(2 * CLIENTS)))

    # Half of them keep their connection, half make a new one each time.
    connectors = [
        aiohttp.TCPConnector(ssl=served.tls, force_close=number >= CLIENTS, limit=1) for number in range(2 * CLIENTS)
    ]
    serials = [await served.serial()]
    async with asyncio.TaskGroup() as group:
        clients = [aiohttp.ClientSession(connector=connector) for connector in connectors]
        tasks = [group.create_task(ask(number, client)) for number, client in enumerate(clients)]
        await everybody_again()
        for number in range(ROTATIONS):
            served.certificate.put_secret(tls_secret(pki, f"rotated-{number}"))
            await everybody_again()
            serials.append(await served.serial())
        over = True
        await asyncio.gather(*tasks)
        for client in clients:
            await client.close()

    assert len(set(serials)) == ROTATIONS + 1, "each of them was shown"


def changed(secret: dict[str, Any], **data: object) -> dict[str, Any]:
    return secret | {"data": secret["data"] | data}


@pytest.mark.parametrize("kind", ["empty", "no data", "no key", "no base64", "no PEM", "another's key", "no text"])
async def test_a_secret_that_cannot_be_used_leaves_the_last_certificate(
    served: Served, pki: Pki, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    good, other = tls_secret(pki, "good"), tls_secret(pki, "other")
    nonsense = base64.b64encode(b"nonsense").decode()
    kinds: dict[str, dict[str, Any]] = {
        "empty": {},
        "no data": {"data": None},
        "no key": {"data": {"tls.crt": good["data"]["tls.crt"]}},
        "no base64": changed(good, **{"tls.crt": "{"}),
        "no PEM": changed(good, **{"tls.crt": nonsense, "tls.key": nonsense}),
        "another's key": changed(good, **{"tls.key": other["data"]["tls.key"]}),
        "no text": changed(good, **{"tls.crt": 7}),
    }
    before = await served.serial(), count("certificate_expiry_timestamp_seconds")

    served.certificate.put_secret(kinds[kind])

    assert (await served.serial(), count("certificate_expiry_timestamp_seconds")) == before
    assert basis_of(await served.mutate(model_pod())) == "model"
    (record,) = (item for item in caplog.records if item.name == "pullsizer.admission.tls")
    assert record.getMessage() == "certificate not usable, the last one stays"
    served.certificate.put_secret(good)
    assert await served.serial() != before[0], "and a good one is taken again"

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from pullsizer.account import Account
from pullsizer.controller import storage_specs
from pullsizer.controller.inventory import Inventory, ServiceKey, read_service
from pullsizer.controller.storage_specs import StorageSpecs
from pullsizer.errors import MeasureError
from pullsizer.policy import Policy
from tests.unit.controller.examples import isvc

BERT = ServiceKey("models", "InferenceService", "bert")
ALLOWED = Policy.model_validate({"sources": {"credentials": {"namespaces": ["models"]}}})


class World:
    def __init__(self) -> None:
        self.inventory = Inventory()
        self.policy = ALLOWED
        self.asked: list[str] = []
        self.missing = False
        self.again = asyncio.Event()
        self.changed: asyncio.Queue[ServiceKey] = asyncio.Queue()
        self.specs = StorageSpecs(self.inventory, self._uri, lambda: self.policy, self.changed.put_nowait)

    async def _uri(self, namespace: str, account: Account, path: str) -> str:
        assert (namespace, account.storage is not None) == ("models", True)
        self.asked.append(path)
        if len(self.asked) > 1:
            self.again.set()
        if self.missing:
            raise MeasureError("SecretNotFound", "there is no Secret", 60)
        return f"s3://bucket/{path}"

    def see(self, model: dict[str, Any]) -> None:
        item = isvc()
        item["spec"]["predictor"]["model"] = model
        service = read_service(item)
        assert service is not None
        self.inventory.put_service(service)
        self.specs.service_seen(service.key)

    def uris(self) -> list[str]:
        return [source.uri for pull in self.inventory.wanted(BERT) for source in pull.sources]


@asynccontextmanager
async def world() -> AsyncGenerator[World, None]:
    found = World()
    task = asyncio.create_task(found.specs.queue.run())
    try:
        async with asyncio.timeout(10):
            yield found
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_a_storage_is_a_uri_as_soon_as_its_service_is_seen() -> None:
    async with world() as found:
        found.see({"storage": {"path": "bert"}})
        assert await found.changed.get() == BERT
        assert found.uris() == ["s3://bucket/bert"]


async def test_one_that_is_edited_is_another_uri() -> None:
    async with world() as found:
        found.see({"storage": {"path": "bert"}})
        await found.changed.get()
        found.see({"storage": {"path": "other"}})
        assert found.uris() == []
        await found.changed.get()
        assert found.uris() == ["s3://bucket/other"]


async def test_nothing_is_read_for_a_namespace_that_the_policy_does_not_list_until_it_does() -> None:
    async with world() as found:
        found.policy = Policy()
        found.see({"storage": {"path": "bert"}})
        await asyncio.sleep(0.02)
        assert found.asked == []
        found.policy = ALLOWED
        found.specs.policy_changed()
        await found.changed.get()


async def test_services_without_one_cost_nothing() -> None:
    async with world() as found:
        found.see({"storageUri": "hf://org/bert"})
        await asyncio.sleep(0.02)
        assert found.asked == []


async def test_a_secret_that_is_missing_is_looked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storage_specs, "_AGAIN", 0.01)
    async with world() as found:
        found.missing = True
        found.see({"storage": {"path": "bert"}})
        await found.again.wait()
        found.missing = False
        await found.changed.get()

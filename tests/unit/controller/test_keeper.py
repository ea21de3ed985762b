from __future__ import annotations

import asyncio
import copy
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from pullsizer.account import Account
from pullsizer.controller import keeper as module
from pullsizer.controller.credentials import Found
from pullsizer.controller.events import Note
from pullsizer.controller.inventory import Inventory, ServiceKey, read_service
from pullsizer.controller.keeper import Keeper
from pullsizer.controller.measuring import Measuring
from pullsizer.controller.nodes import Largest
from pullsizer.controller.questions import Waiter
from pullsizer.errors import ClusterError
from pullsizer.model import Source
from pullsizer.places import Places
from pullsizer.policy import Policy, SourceRules
from tests.unit.controller.examples import Hub, ended, isvc, pod, refused
from tests.unit.controller.fake import FakeApi

BERT = ServiceKey("models", "InferenceService", "bert")


class InForce:
    def __init__(self) -> None:
        self.policy = Policy()
        self.nodes = Largest()


class World:
    def __init__(self) -> None:
        self.api, self.hub, self.inventory, self.in_force = FakeApi(), Hub(), Inventory(), InForce()
        self.notes: list[Note] = []
        self.measuring = Measuring(self.hub, concurrency=8, find=self._find, answered=self._answered)
        self.places = Places()
        self.keeper = Keeper(
            self.api, self.inventory, self.measuring, self.in_force, self.places, tell=self.notes.append, grace=0.05
        )

    async def _find(self, source: Source, namespace: str, account: Account, rules: SourceRules) -> Found:
        raise AssertionError

    def _answered(self, waiter: Waiter) -> None:
        self.keeper.answered(waiter)

    def see(self, item: dict[str, Any]) -> None:
        service = read_service(item)
        assert service is not None
        self.inventory.put_service(service)
        self.keeper.service_changed(service.key)

    def see_pod(self, item: dict[str, Any]) -> None:
        self.inventory.put_pod(item)
        self.keeper.service_changed(BERT)

    @property
    def objects(self) -> list[dict[str, Any]]:
        return list(self.api.objects.values())

    def written(self, verb: str) -> int:
        return sum(call[0] == verb for call in self.api.calls)

    async def until(self, condition: Callable[[], object]) -> None:
        async with asyncio.timeout(10):
            while True:
                if condition():
                    return
                await asyncio.sleep(0.002)

    async def until_status(self) -> dict[str, Any]:
        await self.until(lambda: self.objects and all("status" in item for item in self.objects))
        return self.objects[0]


@asynccontextmanager
async def running() -> AsyncGenerator[World, None]:
    found = World()
    tasks = [asyncio.create_task(found.keeper.queue.run()), asyncio.create_task(found.measuring.run())]
    try:
        yield found
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def test_a_new_service_has_its_modelpull_with_the_answer_in_two_writes() -> None:
    async with running() as world:
        world.see(isvc())
        found = await world.until_status()
        await asyncio.sleep(0.05)
    assert found["spec"]["uris"] == ["hf://org/bert"]
    assert found["metadata"]["ownerReferences"][0]["uid"] == "uid-bert"
    assert found["status"]["size"] == "2.0 GB"
    assert world.written("APPLY") == 2


async def test_a_failure_is_written_as_soon_as_it_is_known() -> None:
    async with running() as world:
        world.hub.answers["hf://org/bert"] = refused()
        world.see(isvc())
        found = await world.until_status()
    assert found["status"]["models"][0]["failure"]["reason"] == "Unauthorized"


async def test_nothing_is_written_that_is_there_already() -> None:
    async with running() as world:
        world.see(isvc())
        await world.until_status()
        before = len(world.api.calls)
        world.see(isvc())
        world.keeper.everything_changed()
        for item in world.objects:
            world.keeper.put_model_pull(copy.deepcopy(item))
        await asyncio.sleep(0.05)
        assert len(world.api.calls) == before


async def test_a_model_that_takes_long_is_said_to_be_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PATIENCE", 0.05)
    async with running() as world:
        world.hub.hold["hf://org/bert"] = asyncio.Event()
        world.see(isvc())
        found = await world.until_status()
        assert found["status"]["conditions"][0]["reason"] == "Measuring"
        world.hub.hold["hf://org/bert"].set()
        await world.until(lambda: world.objects[0]["status"]["models"])


async def test_what_somebody_changed_or_deleted_is_put_right() -> None:
    async with running() as world:
        world.see(isvc())
        path = next(iter((await world.until_status()) and world.api.objects))
        changed = copy.deepcopy(world.api.objects[path])
        changed["status"]["memory"] = "nonsense"
        changed["spec"]["component"] = "nonsense"
        changed["metadata"]["resourceVersion"] = "1000"
        world.api.objects[path] = copy.deepcopy(changed)
        world.keeper.put_model_pull(changed)
        await world.until(lambda: world.objects[0]["status"]["memory"] != "nonsense")
        assert world.objects[0]["spec"]["component"] == "predictor"

        gone = world.api.objects.pop(path)
        world.keeper.remove_model_pull(gone)
        await world.until_status()


async def test_old_news_of_our_own_write_is_no_change() -> None:
    async with running() as world:
        world.see(isvc())
        found = copy.deepcopy(await world.until_status())
        del found["status"]
        found["metadata"]["resourceVersion"] = "1"
        before = len(world.api.calls)
        world.keeper.put_model_pull(found)
        await asyncio.sleep(0.03)
        assert len(world.api.calls) == before


async def test_what_nobody_pulls_any_more_is_deleted_after_a_while() -> None:
    async with running() as world:
        world.see(isvc())
        await world.until_status()
        world.see(isvc(uri="hf://org/other"))
        await world.until(lambda: len(world.objects) == 2)
        await world.until(lambda: [item["spec"]["uris"] for item in world.objects] == [["hf://org/other"]])


async def test_what_a_pod_still_pulls_stays() -> None:
    async with running() as world:
        world.see(isvc())
        world.see_pod(pod())
        world.see(isvc(uri="hf://org/other"))
        await world.until(lambda: len(world.objects) == 2)
        await asyncio.sleep(0.15)
        assert len(world.objects) == 2


async def test_what_an_earlier_process_left_for_a_service_is_deleted_and_nothing_of_unknown_services() -> None:
    async with running() as world:
        world.see(isvc(uri="hf://org/old"))
        await world.until_status()
        left = copy.deepcopy(world.objects)
        other = copy.deepcopy(left[0])
        other["metadata"]["name"] = "isvc-other-predictor-12345678"
        other["spec"]["serviceRef"]["name"] = "other"
    async with running() as world:
        for item in [*left, other]:
            path = f"/apis/pullsizer.dev/v1alpha1/namespaces/models/modelpulls/{item['metadata']['name']}"
            world.api.objects[path] = copy.deepcopy(item)
            world.keeper.put_model_pull(item)
        world.see(isvc(uri="hf://org/new"))
        await world.until(lambda: world.written("DELETE"))
        await world.until_status()
        assert sorted(item["spec"]["serviceRef"]["name"] for item in world.objects) == ["bert", "other"]


async def test_a_restart_measures_nothing_that_is_fresh() -> None:
    async with running() as world:
        world.see(isvc())
        left = copy.deepcopy(await world.until_status())
    async with running() as world:
        path = f"/apis/pullsizer.dev/v1alpha1/namespaces/models/modelpulls/{left['metadata']['name']}"
        world.api.objects[path] = copy.deepcopy(left)
        world.keeper.put_model_pull(left)
        world.see(isvc())
        await asyncio.sleep(0.05)
        assert world.hub.asked == []
        assert world.api.calls == []


async def test_facts_of_another_hub_are_measured_anew() -> None:
    async with running() as world:
        world.see(isvc())
        left = copy.deepcopy(await world.until_status())
    async with running() as world:
        left["status"]["endpoint"] = "https://mirror.example.com"
        world.keeper.put_model_pull(left)
        world.see(isvc())
        await world.until(lambda: world.hub.asked)


async def test_an_oom_kill_is_in_the_status() -> None:
    async with running() as world:
        world.see(isvc())
        await world.until_status()
        world.see_pod(pod(restartCount=0, state=ended("OOMKilled", 137)))
        await world.until(lambda: world.objects[0]["status"]["health"] == "OOMKilled")


async def test_an_api_server_that_fails_is_asked_again() -> None:
    async with running() as world:
        world.api.fail["APPLY"] = ClusterError(500, "down")
        world.see(isvc())
        await world.until(lambda: world.written("APPLY"))
        del world.api.fail["APPLY"]
        await world.until_status()


async def test_in_a_namespace_that_is_going_nothing_is_tried_for_a_while() -> None:
    async with running() as world:
        world.api.fail["APPLY"] = ClusterError(403, "unable to create new content: it is being terminated")
        world.see(isvc())
        await asyncio.sleep(0.7)
        assert world.written("APPLY") <= 2


async def test_a_measured_model_and_a_failure_are_told_once() -> None:
    async with running() as world:
        world.see(isvc())
        await world.until_status()
        world.hub.answers["hf://org/gone"] = refused("NotFound")
        world.see(isvc("other", "hf://org/gone"))
        await world.until(lambda: len(world.notes) == 2)
        world.keeper.everything_changed()
        await asyncio.sleep(0.03)
    assert [note.reason for note in world.notes] == ["ModelMeasured", "MeasureFailed"]
    assert "memory" in world.notes[0].text

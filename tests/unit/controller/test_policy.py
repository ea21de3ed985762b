from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from pullsizer.controller.events import Note
from pullsizer.controller.policy import PolicyKeeper
from pullsizer.policy import DEFAULT
from tests.unit.controller.fake import FakeApi

ACCEPTED = "/api/v1/namespaces/ns/configmaps/pullsizer-config-accepted"
TEXT = "# ours\nmode: Auto\nwaitForSize: 1s\n"


class World:
    def __init__(self, api: FakeApi) -> None:
        self.api = api
        self.notes: list[Note] = []
        self.changes = 0
        self.keeper = PolicyKeeper(api, "ns", tell=self.notes.append, changed=self._changed)

    def _changed(self) -> None:
        self.changes += 1

    def write(self, text: str | None, uid: str = "u") -> None:
        data = {} if text is None else {"config.yaml": text}
        self.keeper.put_config({"metadata": {"name": "pullsizer-config", "uid": uid}, "data": data})

    @property
    def accepted(self) -> dict[str, str]:
        data: dict[str, str] = self.api.objects[ACCEPTED]["data"]
        return data


@asynccontextmanager
async def running(api: FakeApi | None = None) -> AsyncGenerator[World, None]:
    world = World(api or FakeApi())
    await world.keeper.load()
    task = asyncio.create_task(world.keeper.queue.run())
    try:
        yield world
    finally:
        await asyncio.sleep(0.02)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_a_valid_policy_is_published_word_for_word() -> None:
    async with running() as world:
        world.write(TEXT)
    assert world.accepted == {"config.yaml": TEXT}
    assert world.keeper.policy.wait_for_size == 1
    assert world.changes == 1


async def test_a_wrong_one_is_told_and_the_last_good_one_stays() -> None:
    async with running() as world:
        world.write(TEXT)
        world.write("mode: sometimes")
        world.write("mode: sometimes")
    assert world.accepted == {"config.yaml": TEXT}
    assert world.keeper.policy.wait_for_size == 1
    assert {note.reason for note in world.notes} == {"InvalidPolicy"}
    assert "sometimes" in world.notes[0].text
    assert len({note.name() for note in world.notes}) == 1


async def test_until_one_is_accepted_nothing_is_published_and_nothing_changed() -> None:
    async with running() as world:
        world.write("mode: sometimes")
        world.write(None)
    assert world.api.objects == {}
    assert world.keeper.policy == DEFAULT


async def test_the_last_good_one_outlives_a_restart() -> None:
    async with running() as world:
        world.write(TEXT)
    async with running(world.api) as again:
        again.write("mode: sometimes")
        assert again.keeper.policy.wait_for_size == 1
        again.keeper.remove_config({})
        assert again.keeper.policy.wait_for_size == 1


async def test_an_accepted_policy_that_this_version_cannot_read_leaves_the_defaults() -> None:
    api = FakeApi()
    api.objects[ACCEPTED] = {"metadata": {}, "data": {"config.yaml": "future: yes"}}
    async with running(api) as world:
        assert world.keeper.policy == DEFAULT


async def test_what_somebody_did_to_the_accepted_one_is_undone() -> None:
    async with running() as world:
        world.write(TEXT)
        await asyncio.sleep(0.02)
        del world.api.objects[ACCEPTED]
        world.keeper.remove_accepted({})
        await asyncio.sleep(0.02)
        assert world.accepted == {"config.yaml": TEXT}
        world.keeper.put_accepted({"data": {"config.yaml": "mode: Disabled"}})
        before = len(world.api.calls)
    assert len(world.api.calls) == before + 1


async def test_what_the_largest_node_could_give_is_published_beside_it() -> None:
    class WithNodes(FakeApi):
        async def items(self, path: str) -> AsyncGenerator[dict[str, Any], None]:
            for amount in ("100Gi", "3Ti", "nonsense", None):
                yield {"status": {"allocatable": {"ephemeral-storage": amount} if amount else None}}

    async with running(WithNodes()) as world:
        world.write(TEXT)
        nodes = asyncio.create_task(world.keeper.watch_nodes())
        await asyncio.sleep(0.03)
        nodes.cancel()
        await asyncio.gather(nodes, return_exceptions=True)
    assert world.accepted == {"config.yaml": TEXT, "largest-ephemeral-storage": "3Ti"}
    assert world.keeper.nodes.disk == 3 << 40
    assert world.changes == 2

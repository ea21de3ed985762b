from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web

from pullsizer.cluster import KubeApi, Reflector, reflector
from pullsizer.cluster.metrics import WATCH_ERRORS
from tests.unit.cluster.api import Things, event, item, refusal, served


class Seen:
    def __init__(self) -> None:
        self.log: list[tuple[str, str]] = []
        self.objects: list[dict[str, Any]] = []
        self._told = asyncio.Event()

    def change(self, found: dict[str, Any]) -> None:
        if found.get("poison"):
            raise RuntimeError("unreadable")
        self._told.set()
        self.log.append(("+", found["metadata"]["name"]))
        self.objects.append(found)

    def delete(self, found: dict[str, Any]) -> None:
        self._told.set()
        self.log.append(("-", found["metadata"]["name"]))

    async def until(self, *expected: tuple[str, str]) -> None:
        async with asyncio.timeout(10):
            while len(self.log) < len(expected):
                self._told.clear()
                await self._told.wait()
        assert self.log == list(expected)


@asynccontextmanager
async def running(api: KubeApi, seen: Seen, **options: Any) -> AsyncGenerator[Reflector, None]:
    found = Reflector(api, "/api/v1/things", on_change=seen.change, on_delete=seen.delete, name="things", **options)
    task = asyncio.create_task(found.run())
    try:
        yield found
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@pytest.fixture
def seen() -> Seen:
    return Seen()


@pytest.fixture
def things() -> Things:
    return Things()


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reflector, "_FIRST_PAUSE", 0.02)
    monkeypatch.setattr(reflector, "_CALM", 0.02)


async def test_it_tells_what_there_is_then_that_it_synced_then_what_changes(things: Things, seen: Seen) -> None:
    things.items = {"a": item("a", 1)}
    async with served(things.handle) as api, running(api, seen) as found:
        await asyncio.wait_for(found.synced.wait(), 10)
        assert seen.log == [("+", "a")]
        stream = await things.watcher()
        stream.put_nowait(event("ADDED", item("b", 2)) + event("MODIFIED", item("a", 3)))
        stream.put_nowait(event("DELETED", item("a", 4)))
        await seen.until(("+", "a"), ("+", "b"), ("+", "a"), ("-", "a"))


async def test_managed_fields_are_not_kept(things: Things, seen: Seen) -> None:
    things.items = {"a": item("a", 1)}
    things.items["a"]["metadata"]["managedFields"] = [{"manager": "kubectl"}]
    async with served(things.handle) as api, running(api, seen):
        await seen.until(("+", "a"))
    assert "managedFields" not in seen.objects[0]["metadata"]


async def test_after_a_watch_ended_it_goes_on_from_where_it_was(things: Things, seen: Seen) -> None:
    async with served(things.handle) as api, running(api, seen):
        stream = await things.watcher()
        stream.put_nowait(event("ADDED", item("a", 5)) + event("BOOKMARK", item("", 7)))
        await seen.until(("+", "a"))
        stream.put_nowait(None)
        await things.watcher()
    assert things.watched_from == ["1", "7"]
    assert things.lists == 1


@pytest.mark.parametrize("how", ["as an event", "as the answer"])
async def test_an_expired_watch_lists_again_and_tells_only_the_difference(things: Things, seen: Seen, how: str) -> None:
    things.items = {name: item(name, 1) for name in ("gone", "same", "other")}
    async with served(things.handle) as api, running(api, seen):
        stream = await things.watcher()
        things.items = {"same": item("same", 1), "other": item("other", 8), "new": item("new", 9)}
        if how == "as an event":
            stream.put_nowait(event("ERROR", {"kind": "Status", "code": 410, "message": "too old"}))
        else:
            things.fail = [refusal(410)]
            stream.put_nowait(None)
        await seen.until(("+", "gone"), ("+", "same"), ("+", "other"), ("-", "gone"), ("+", "other"), ("+", "new"))


async def test_an_api_server_that_fails_is_asked_again(things: Things, seen: Seen) -> None:
    things.items = {"a": item("a", 1)}
    things.fail = [refusal(500), refusal(403), refusal(503)]
    async with served(things.handle) as api, running(api, seen) as found:
        await asyncio.wait_for(found.synced.wait(), 10)
    assert seen.log == [("+", "a")]


async def test_pauses_grow_while_it_fails_so_that_it_is_no_busy_loop(things: Things, seen: Seen) -> None:
    things.fail = [refusal(500) for _ in range(1000)]
    async with served(things.handle) as api, running(api, seen):
        await asyncio.sleep(0.5)
    assert 1000 - len(things.fail) < 15


@pytest.mark.parametrize("how", ["as an event", "as the answer"])
async def test_watches_that_expire_one_after_another_are_no_busy_loop(seen: Seen, how: str) -> None:
    lists: list[float] = []

    async def expired(request: web.Request) -> web.StreamResponse:
        if request.query.get("watch") != "true":
            lists.append(asyncio.get_running_loop().time())
            return web.json_response({"metadata": {"resourceVersion": "1"}, "items": []})
        if how == "as the answer":
            return refusal(410)
        return web.Response(body=event("ERROR", {"kind": "Status", "code": 410, "message": "too old"}))

    async with served(expired) as api, running(api, seen):
        await asyncio.sleep(0.5)
    assert 2 < len(lists) < 15


async def test_after_a_good_event_an_expired_watch_is_no_reason_to_pause(
    things: Things, seen: Seen, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reflector, "_FIRST_PAUSE", 60)
    async with served(things.handle) as api, running(api, seen):
        for version in (2, 3, 4):
            stream = await things.watcher()
            stream.put_nowait(event("BOOKMARK", item("", version)))
            stream.put_nowait(event("ERROR", {"kind": "Status", "code": 410, "message": "too old"}))
    assert things.lists == 3


async def test_a_resource_that_does_not_exist_is_empty_until_it_does(things: Things, seen: Seen) -> None:
    things.fail = [refusal(404)]
    things.items = {"a": item("a", 1)}
    async with served(things.handle) as api, running(api, seen) as found:
        await asyncio.wait_for(found.synced.wait(), 10)
        assert seen.log == []
        await seen.until(("+", "a"))


async def test_an_optional_resource_that_may_not_be_read_is_empty_until_it_may(
    things: Things, seen: Seen, caplog: pytest.LogCaptureFixture
) -> None:
    refused = WATCH_ERRORS.labels("things", "403")
    before = refused._value.get()
    things.fail = [refusal(403), refusal(403)]
    things.items = {"a": item("a", 1)}
    async with served(things.handle) as api, running(api, seen, optional=True) as found:
        await asyncio.wait_for(found.synced.wait(), 10)
        assert seen.log == []
        await seen.until(("+", "a"))
    assert refused._value.get() == before + 2
    assert caplog.text.count("taken as empty") == 1


async def test_an_optional_resource_that_was_read_is_not_empty_for_a_right_that_was_taken_away(
    things: Things, seen: Seen
) -> None:
    things.items = {"a": item("a", 1)}
    async with served(things.handle) as api, running(api, seen, optional=True):
        stream = await things.watcher()
        things.fail = [refusal(403)]
        stream.put_nowait(None)
        await things.watcher()
    assert seen.log == [("+", "a")]


async def test_a_resource_that_must_be_read_is_not_synced_before_it_was(things: Things, seen: Seen) -> None:
    things.fail = [refusal(403) for _ in range(1000)]
    async with served(things.handle) as api, running(api, seen) as found:
        await asyncio.sleep(0.1)
        assert not found.synced.is_set()


async def test_when_its_definition_is_deleted_so_are_all_objects(things: Things, seen: Seen) -> None:
    things.items = {"a": item("a", 1)}
    async with served(things.handle) as api, running(api, seen):
        stream = await things.watcher()
        things.items = {}
        things.fail = [refusal(404)]
        stream.put_nowait(None)
        await seen.until(("+", "a"), ("-", "a"))


async def test_an_object_that_its_reader_cannot_read_stops_nothing(things: Things, seen: Seen) -> None:
    things.items = {"bad": item("bad", 1, poison=True), "good": item("good", 1)}
    async with served(things.handle) as api, running(api, seen) as found:
        await asyncio.wait_for(found.synced.wait(), 10)
        stream = await things.watcher()
        stream.put_nowait(event("MODIFIED", item("bad", 2, poison=True)) + event("ADDED", item("next", 3)))
        await seen.until(("+", "good"), ("+", "next"))


async def test_an_event_that_is_none_is_survived_by_listing_again(things: Things, seen: Seen) -> None:
    async with served(things.handle) as api, running(api, seen):
        stream = await things.watcher()
        things.items = {"a": item("a", 2)}
        stream.put_nowait(b'{"type": "ADDED", "object": {}}\n')
        await seen.until(("+", "a"))


async def test_a_stream_that_is_silently_dead_is_left_for_a_new_one(things: Things, seen: Seen) -> None:
    async with served(things.handle) as api, running(api, seen, inactivity=0.2) as found:
        await things.watcher()
        stream = await things.watcher()
        stream.put_nowait(event("ADDED", item("a", 2)))
        await seen.until(("+", "a"))
        assert found.age() < 0.2

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from pullsizer.controller import work
from pullsizer.controller.work import WorkQueue
from pullsizer.errors import ClusterError


@asynccontextmanager
async def running(do: Callable[[str], Awaitable[None]], workers: int = 4) -> AsyncGenerator[WorkQueue[str], None]:
    queue = WorkQueue("test", do, workers=workers)
    task = asyncio.create_task(queue.run())
    try:
        yield queue
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(work, "_FIRST", 0.01)


async def test_a_key_added_twice_is_worked_on_once() -> None:
    done: list[str] = []

    async def do(key: str) -> None:
        done.append(key)

    async with running(do) as queue:
        for _ in range(3):
            queue.add("a")
        await asyncio.sleep(0.05)
    assert done == ["a"]


async def test_a_tenant_with_thousands_of_keys_is_no_others_long_wait() -> None:
    done: list[str] = []
    all_done = asyncio.Event()

    async def do(key: str) -> None:
        done.append(key)
        if len(done) == 5001:
            all_done.set()

    queue = WorkQueue("test", do, workers=1, tenant=lambda key: key.partition("/")[0])
    for number in range(5000):
        queue.add(f"many/{number}")
    queue.add("few/0")
    task = asyncio.create_task(queue.run())
    await all_done.wait()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert done[:3] == ["many/0", "few/0", "many/1"]


async def test_a_key_added_while_it_is_worked_on_is_worked_on_again_and_never_twice_at_once() -> None:
    now, most, runs = 0, 0, 0

    async def do(_: str) -> None:
        nonlocal now, most, runs
        now, runs = now + 1, runs + 1
        most = max(most, now)
        await asyncio.sleep(0.02)
        now -= 1

    async with running(do) as queue:
        queue.add("a")
        await asyncio.sleep(0.01)
        queue.add("a")
        queue.add("a")
        await asyncio.sleep(0.1)
    assert (most, runs) == (1, 2)


async def test_many_keys_are_worked_on_at_once_up_to_the_number_of_workers() -> None:
    now, most = 0, 0

    async def do(_: str) -> None:
        nonlocal now, most
        now += 1
        most = max(most, now)
        await asyncio.sleep(0.01)
        now -= 1

    async with running(do, workers=3) as queue:
        for number in range(10):
            queue.add(str(number))
        await asyncio.sleep(0.1)
    assert most == 3


@pytest.mark.parametrize("error", [ClusterError(500, "down"), RuntimeError("a bug")])
async def test_what_fails_is_tried_again_and_spoils_nothing_else(error: Exception) -> None:
    done: list[str] = []

    async def do(key: str) -> None:
        done.append(key)
        if key == "bad" and done.count("bad") < 3:
            raise error

    async with running(do, workers=1) as queue:
        queue.add("bad")
        queue.add("good")
        await asyncio.sleep(0.3)
    assert done.count("bad") == 3
    assert done.count("good") == 1


async def test_of_several_times_the_earliest_counts() -> None:
    done: list[str] = []

    async def do(key: str) -> None:
        done.append(key)

    async with running(do) as queue:
        queue.add("a", after=30)
        queue.add("a", after=0.02)
        queue.add("a", after=60)
        await asyncio.sleep(0.1)
        assert done == ["a"]
        queue.add("b", after=30)
        queue.add("b")
        await asyncio.sleep(0.05)
    assert done == ["a", "b"]

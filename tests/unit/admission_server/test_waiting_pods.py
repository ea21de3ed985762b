"""Who waits for the size of a model, how long, and that nobody else does.

No test tells seconds from each other but by what was configured: who came first, who waited at all, who was let go
before the time was over.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from pullsizer.admission.waiting import OPEN_AFTER
from tests.unit.admission_server.served import (
    KNOWN,
    NOT_FOUND,
    SIZE,
    UNKNOWN,
    Json,
    Served,
    accepted,
    basis_of,
    count,
    lease,
    model_pod,
    model_pull,
    patch_of,
)

LONGEST = 4
"""The longest wait that a policy may ask for. A test that takes so long has waited in vain."""
MANY = 200


@pytest.fixture
async def waiting(served: Served) -> AsyncIterator[Served]:
    """A controller is there, and pods may wait."""
    served.caches.put_lease(lease())
    served.caches.put_accepted(accepted(f"mode: Auto\nwaitForSize: {LONGEST}s"))
    yield served
    assert served.waiters.waiting == 0, "nobody waits for ever"


async def until(condition: Callable[[], bool]) -> None:
    """The loop is ours, so it is enough to let the others have their turns."""
    async with asyncio.timeout(LONGEST):
        while not condition():  # noqa: ASYNC110 - it is turns of the loop that are waited for
            await asyncio.sleep(0)


def waits() -> float:
    return count("wait_seconds_count", answered="yes") + count("wait_seconds_count", answered="no")


async def connect(served: Served, number: int) -> None:
    """So many connections, kept for what follows: to make them takes longer than all else here."""

    async def probe() -> None:
        async with served.client.get(f"{served.url}/livez") as reply:
            assert reply.status == 200
            await everybody.wait()

    everybody = asyncio.Barrier(number)
    await asyncio.gather(*(probe() for _ in range(number)))


async def start(served: Served, number: int, **pod: Any) -> list[asyncio.Task[Json]]:
    """So many pods of a model that nobody has measured; all wait when this returns."""
    before = served.waiters.waiting
    tasks = [asyncio.create_task(served.mutate(model_pod(UNKNOWN, **pod))) for _ in range(number)]
    await until(lambda: served.waiters.waiting == before + number)
    return tasks


async def test_an_answer_lets_all_who_wait_for_it_go_at_once(waiting: Served) -> None:
    before = count("wait_seconds_count", answered="yes")
    begin = time.monotonic()
    tasks = await start(waiting, 20)

    waiting.caches.put_model_pull(model_pull(UNKNOWN))
    answers = await asyncio.gather(*tasks)

    assert time.monotonic() - begin < LONGEST
    assert {basis_of(answer) for answer in answers} == {"model"}
    assert count("wait_seconds_count", answered="yes") == before + 20


async def test_a_policy_that_comes_while_a_pod_waits_counts_for_it_and_for_those_after_it(waiting: Served) -> None:
    (patient,) = await start(waiting, 1)
    waiting.caches.put_accepted(accepted("mode: Auto\nnamespaces: {exclude: ['*']}"))
    waiting.caches.put_model_pull(model_pull(UNKNOWN))

    assert patch_of(await patient) == []
    assert patch_of(await waiting.mutate(model_pod(UNKNOWN))) == []


async def test_that_it_cannot_be_measured_is_an_answer_too(waiting: Served) -> None:
    begin = time.monotonic()
    (task,) = await start(waiting, 1)

    waiting.caches.put_model_pull(model_pull(UNKNOWN, NOT_FOUND))

    assert basis_of(await task) == "default"
    assert time.monotonic() - begin < LONGEST
    before = waits()
    assert basis_of(await waiting.mutate(model_pod(UNKNOWN))) == "default"
    assert waits() == before, "the next one does not wait"


async def test_what_becomes_known_of_others_lets_nobody_go(waiting: Served) -> None:
    (task,) = await start(waiting, 1)

    waiting.caches.put_model_pull(model_pull("hf://acme/another"))
    for _ in range(100):
        await waiting.mutate(model_pod(KNOWN), dryRun=True)

    assert not task.done()
    waiting.caches.put_model_pull(model_pull(UNKNOWN))
    await task


async def test_many_who_wait_delay_nobody_else(waiting: Served) -> None:
    await connect(waiting, 2 * MANY)
    before = waits()
    models = [asyncio.create_task(waiting.mutate(model_pod(UNKNOWN))) for _ in range(MANY)]
    others = [asyncio.create_task(waiting.mutate(model_pod(KNOWN))) for _ in range(MANY)]

    answers = await asyncio.gather(*others)

    assert {basis_of(answer) for answer in answers} == {"model"}
    await until(lambda: waiting.waiters.waiting == MANY)
    assert not any(task.done() for task in models), "and those who wait still do"
    waiting.caches.put_model_pull(model_pull(UNKNOWN))
    assert {basis_of(answer) for answer in await asyncio.gather(*models)} == {"model"}
    assert waits() == before + MANY


async def test_nobody_waits_longer_than_the_policy_says(waiting: Served) -> None:
    waiting.caches.put_accepted(accepted("mode: Auto\nwaitForSize: 100ms"))
    before = count("wait_seconds_count", answered="no")

    begin = time.monotonic()
    answer = await waiting.mutate(model_pod(UNKNOWN))

    assert 0.1 <= time.monotonic() - begin < LONGEST
    assert basis_of(answer) == "default"
    assert count("wait_seconds_count", answered="no") == before + 1


async def test_after_some_who_waited_in_vain_all_are_let_go_and_nobody_waits_any_more(waiting: Served) -> None:
    await connect(waiting, MANY + OPEN_AFTER)
    begin = time.monotonic()
    patient = await start(waiting, MANY)
    waiting.caches.put_accepted(accepted("mode: Auto\nwaitForSize: 100ms"))
    in_vain = await asyncio.gather(*(waiting.mutate(model_pod(UNKNOWN)) for _ in range(OPEN_AFTER)))

    answers = await asyncio.gather(*patient)

    assert time.monotonic() - begin < LONGEST, "long before their own time was over"
    assert {basis_of(answer) for answer in [*in_vain, *answers]} == {"default"}
    assert waiting.waiters.open
    assert count("wait_breaker_open") == 1
    before = waits()
    assert basis_of(await waiting.mutate(model_pod(UNKNOWN))) == "default"
    assert waits() == before


@pytest.mark.parametrize(
    ("pod", "request_"),
    [
        ({}, {"dryRun": True}),
        ({"annotations": {"pullsizer.dev/sizing": "{}"}}, {}),
        ({"annotations": {"pullsizer.dev/model-size": "15Gi"}}, {}),
        ({"annotations": {"pullsizer.dev/mode": "Disabled"}}, {}),
    ],
    ids=["a dry run", "the second call for a pod", "a person said the size", "a person wants nothing of us"],
)
async def test_some_never_wait(waiting: Served, pod: dict[str, Any], request_: dict[str, Any]) -> None:
    before = waits()

    await waiting.mutate(model_pod(UNKNOWN, **pod), **request_)

    assert waits() == before


async def test_a_source_that_is_not_measured_is_not_waited_for(waiting: Served) -> None:
    before = waits()

    assert basis_of(await waiting.mutate(model_pod("ftp://host/model"))) == "default"

    assert waits() == before


async def test_without_a_controller_nobody_waits(waiting: Served) -> None:
    waiting.caches.remove_lease({})
    before = waits()

    assert basis_of(await waiting.mutate(model_pod(UNKNOWN))) == "default"

    assert waits() == before


async def test_a_pod_that_did_not_wait_does_not_keep_the_next_from_it(waiting: Served) -> None:
    waiting.caches.remove_lease({})
    assert basis_of(await waiting.mutate(model_pod(UNKNOWN))) == "default"
    waiting.caches.put_lease(lease())

    (task,) = await start(waiting, 1)
    waiting.caches.put_model_pull(model_pull(UNKNOWN))

    assert basis_of(await task) == "model"


async def test_whatever_is_learned_changes_the_next_answer(waiting: Served) -> None:
    async def memory() -> str:
        answer = await waiting.mutate(model_pod(), dryRun=True)
        return str(next(i["value"]["limits"]["memory"] for i in patch_of(answer) if i["path"].endswith("/resources")))

    first = await memory()
    assert await memory() == first

    waiting.caches.put_model_pull(model_pull(knowledge=type(SIZE)(bytes=10**9, files=1, largest=10**9)))
    assert (second := await memory()) != first

    waiting.caches.put_accepted(accepted("mode: Auto\nbounds: {max: {memory: 512Mi}}"))
    assert await memory() == "512Mi" != second

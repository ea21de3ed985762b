"""The wait for a size: bounded, on memory, and given up where it does not help."""

from __future__ import annotations

import asyncio

import pytest

from pullsizer.admission.waiting import OPEN_AFTER, OPEN_SECONDS, Breaker, Waiters

NEVER = 0.01
"""Seconds after which a wait in these tests is in vain."""
TEAM = "team"
LONG = 30.0
"""And so long nobody waits in these tests, or the test has failed."""


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def unknown() -> bool:
    return False


async def test_what_is_known_is_not_waited_for() -> None:
    assert await Waiters().until(TEAM, lambda: True, 0)


async def test_who_waits_is_woken_when_it_becomes_known() -> None:
    waiters, known = Waiters(), asyncio.Event()
    task = asyncio.create_task(waiters.until(TEAM, known.is_set, LONG))
    await asyncio.sleep(0)
    assert waiters.waiting == 1
    known.set()
    waiters.notify()
    assert await asyncio.wait_for(task, 1)
    assert waiters.waiting == 0


async def test_news_of_others_wakes_nobody_for_good() -> None:
    waiters = Waiters()
    task = asyncio.create_task(waiters.until(TEAM, unknown, LONG))
    for _ in range(5):
        waiters.notify()
        await asyncio.sleep(0)
    assert not task.done()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert waiters.waiting == 0


async def test_in_vain_is_waited_only_so_long() -> None:
    assert not await Waiters().until(TEAM, unknown, NEVER)


async def test_after_three_waits_in_vain_nobody_waits() -> None:
    waiters = Waiters(Clock())
    for _ in range(OPEN_AFTER):
        assert not waiters.breaker(TEAM).open
        await waiters.until(TEAM, unknown, NEVER)
    assert OPEN_AFTER == 3
    assert waiters.breaker(TEAM).open
    assert not await asyncio.wait_for(waiters.until(TEAM, unknown, LONG), 1)


async def test_when_the_breaker_opens_those_who_wait_are_let_go_at_once() -> None:
    waiters = Waiters(Clock())
    patient = [asyncio.create_task(waiters.until(TEAM, unknown, LONG)) for _ in range(10)]
    for _ in range(OPEN_AFTER):
        await waiters.until(TEAM, unknown, NEVER)
    assert await asyncio.wait_for(asyncio.gather(*patient), 1) == [False] * 10
    assert waiters.waiting == 0


async def test_what_is_known_is_answered_even_while_the_breaker_is_open() -> None:
    waiters = Waiters(Clock())
    for _ in range(OPEN_AFTER):
        waiters.breaker(TEAM).timed_out()
    assert await waiters.until(TEAM, lambda: True, LONG)


async def test_an_answer_in_time_starts_the_count_anew() -> None:
    waiters = Waiters(Clock())
    for _ in range(OPEN_AFTER - 1):
        await waiters.until(TEAM, unknown, NEVER)
    await waiters.until(TEAM, lambda: True, NEVER)
    for _ in range(OPEN_AFTER - 1):
        await waiters.until(TEAM, unknown, NEVER)
    assert not waiters.breaker(TEAM).open


@pytest.mark.parametrize("answered", [True, False])
def test_after_a_while_one_wait_decides_whether_it_stays_open(answered: bool) -> None:
    clock = Clock()
    breaker = Breaker(clock)
    for _ in range(OPEN_AFTER):
        breaker.timed_out()
    clock.now += OPEN_SECONDS - 0.001
    assert breaker.open
    clock.now += 0.001
    assert not breaker.open
    if answered:
        breaker.succeeded()
        breaker.timed_out()
        assert not breaker.open
    else:
        breaker.timed_out()
        assert breaker.open


async def test_who_gives_up_waiting_is_no_wait_in_vain() -> None:
    waiters = Waiters(Clock())
    for _ in range(OPEN_AFTER):
        task = asyncio.create_task(waiters.until(TEAM, unknown, LONG))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert not waiters.breaker(TEAM).open
    assert waiters.waiting == 0


async def test_what_one_namespace_waits_for_in_vain_is_no_others_loss() -> None:
    waiters = Waiters(Clock())
    for _ in range(OPEN_AFTER):
        await waiters.until(TEAM, unknown, NEVER)
    assert waiters.open == 1
    other = asyncio.create_task(waiters.until("other", unknown, LONG))
    await asyncio.sleep(0)
    assert not other.done()
    other.cancel()
    await asyncio.gather(other, return_exceptions=True)

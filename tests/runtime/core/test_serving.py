"""Which requests are taken, how long they are waited for, and what becomes of them at the end."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from typing import TypeVar

import pytest

from classifier_runtime.core.job import Instance, Result
from classifier_runtime.core.options import Options
from classifier_runtime.core.serving import MOST_NUMBERS, Limits, Serving
from classifier_runtime.errors import DeadlineExceeded, NotReady, TooLarge
from tests.runtime.server.doubles import SEQUENCE

T = TypeVar("T")
TEXT = (Instance(Options(), text="a"),)


class Held:
    """Gives its result when it is let go, whatever it is doing until then: encoding, computing or decoding."""

    def __init__(self) -> None:
        self.go = asyncio.Event()

    async def classify(self, instances: Sequence[Instance]) -> Result:
        await self.go.wait()
        return Result(())

    async def beside(self, work: Callable[[], T]) -> T:
        return await asyncio.to_thread(work)


def of(service: Held, seconds: float = 60) -> Serving:
    serving = Serving("model", Options(), Limits(8, 100, seconds))
    serving.loaded(SEQUENCE, service)
    return serving


async def test_a_request_is_in_flight_from_its_being_taken_to_its_result() -> None:
    held = Held()
    serving = of(held)
    asked = [asyncio.create_task(serving.classify(TEXT)) for _ in range(3)]
    await asyncio.sleep(0)
    assert serving.in_flight == 3
    asked[0].cancel()
    await asyncio.wait(asked[:1])
    assert serving.in_flight == 2
    held.go.set()
    await asyncio.gather(*asked[1:])
    assert serving.in_flight == 0


async def test_whatever_a_request_is_at_it_is_answered_at_its_deadline() -> None:
    with pytest.raises(DeadlineExceeded):
        await of(Held(), seconds=0.01).classify(TEXT)


async def test_at_the_end_what_was_taken_is_finished_and_nothing_new_is_taken() -> None:
    held = Held()
    serving = of(held)
    taken = asyncio.create_task(serving.classify(TEXT))
    await asyncio.sleep(0)
    finished = asyncio.create_task(serving.finish(60))
    await asyncio.sleep(0)
    with pytest.raises(NotReady):
        await serving.classify(TEXT)
    assert not finished.done()
    held.go.set()
    assert await finished == 0
    assert await taken == Result(())


async def test_what_is_not_finished_when_the_end_is_near_is_told_so() -> None:
    serving = of(Held())
    asked = [asyncio.create_task(serving.classify(TEXT)) for _ in range(3)]
    await asyncio.sleep(0)
    assert await serving.finish(0.01) == 3
    found = await asyncio.gather(*asked, return_exceptions=True)
    assert [type(one) for one in found] == [NotReady] * 3
    assert "ask again" in str(found[0])


async def test_the_end_of_who_has_nothing_to_finish_is_at_once() -> None:
    assert await of(Held()).finish(60) == 0


async def test_a_large_answer_is_made_beside_the_event_loop_and_a_small_one_at_once() -> None:
    serving = of(Held())
    assert await serving.rendered(3, threading.current_thread) is threading.current_thread()
    assert await serving.rendered(100_000, threading.current_thread) is not threading.current_thread()


async def test_an_answer_that_memory_would_not_hold_is_refused_with_what_to_do() -> None:
    with pytest.raises(TooLarge, match="send fewer instances at a time, or ask for less of each"):
        await of(Held()).rendered(MOST_NUMBERS + 1, list)

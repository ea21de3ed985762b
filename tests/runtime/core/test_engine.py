"""The engine, with a backend that can be held, and that fails when told to."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

import numpy as np
import pytest

from classifier_runtime.core.engine import Batch, Engine
from classifier_runtime.core.job import Computed, Floats, Item
from classifier_runtime.errors import DeviceLost, ModelFailed, OutOfMemory, Overloaded

POISON = 13


class Held:
    """Answers each item with its own first number; waits at the gate before each batch."""

    name, device, classes = "held", "cpu", 1

    def __init__(self) -> None:
        self.gate = threading.Semaphore(0)
        self.entered = threading.Semaphore(0)
        self.batches: list[list[int]] = []
        self.most = 1_000_000

    def forward(self, items: Sequence[Item]) -> Sequence[Floats]:
        self.entered.release()
        self.gate.acquire()
        numbers = [int(item.arrays["input_ids"][0]) for item in items]
        self.batches.append(numbers)
        if len(items) > self.most:
            raise OutOfMemory("too much")
        if POISON in numbers:
            raise RuntimeError("index out of range in self")
        return [np.array([number], np.float32) for number in numbers]

    def cost(self, items: int, longest: int, tokens: int) -> int:
        return items * longest

    async def busy(self) -> None:
        await asyncio.to_thread(self.entered.acquire)

    def open(self, batches: int = 1000) -> None:
        self.gate.release(batches)


def item(number: int, tokens: int = 10) -> Item:
    return Item({"input_ids": np.full(tokens, number)}, tokens)


def answers(computed: Computed) -> list[int]:
    return [int(row[0]) for row in computed.logits]


@asynccontextmanager
async def running(
    backend: Held, queue_tokens: int = 10_000, observe: Callable[[Batch], None] = lambda _: None
) -> AsyncIterator[Engine]:
    engine = Engine(backend, budget=100, queue_tokens=queue_tokens, observe=observe)
    engine.start()
    try:
        yield engine
    finally:
        backend.open()
        engine.close()


@pytest.fixture
def backend() -> Held:
    return Held()


async def test_each_request_gets_the_answers_to_its_own_items_in_their_order(backend: Held) -> None:
    backend.open()
    async with running(backend) as engine:
        requests = [[item(n * 100 + k, tokens=1 + (n * k) % 90) for k in range(5)] for n in range(1, 20)]
        found = await asyncio.gather(*(engine.compute(items) for items in requests))
    assert [answers(one) for one in found] == [[n * 100 + k for k in range(5)] for n in range(1, 20)]


async def test_a_lone_request_goes_at_once_and_what_comes_meanwhile_goes_together(backend: Held) -> None:
    async with running(backend) as engine:
        first = asyncio.create_task(engine.compute([item(1)]))
        await backend.busy()
        others = [asyncio.create_task(engine.compute([item(n)])) for n in (2, 3, 4)]
        await asyncio.sleep(0)
        backend.open()
        await asyncio.gather(first, *others)
    assert backend.batches == [[1], [2, 3, 4]]


async def test_no_items_are_an_answer_of_their_own(backend: Held) -> None:
    async with running(backend) as engine:
        assert answers(await engine.compute([])) == []


async def test_a_request_that_finds_the_queue_full_is_refused_whole_and_told_when_to_come_again(backend: Held) -> None:
    async with running(backend, queue_tokens=50) as engine:
        tasks = [asyncio.create_task(engine.compute([item(1)]))]
        await backend.busy()
        tasks.append(asyncio.create_task(engine.compute([item(2)] * 4)))
        await asyncio.sleep(0)
        with pytest.raises(Overloaded) as caught:
            await engine.compute([item(3), item(4)])
        assert caught.value.retry_after >= 1
        assert engine.waiting_tokens == 40
        backend.open()
        await asyncio.gather(*tasks)
        assert answers(await engine.compute([item(5)] * 10)) == [5] * 10  # larger than the queue, which is empty


async def test_who_leaves_is_not_computed_for(backend: Held) -> None:
    async with running(backend) as engine:
        first = asyncio.create_task(engine.compute([item(1)]))
        await backend.busy()
        gone = asyncio.create_task(engine.compute([item(2)]))
        stays = asyncio.create_task(engine.compute([item(3)]))
        await asyncio.sleep(0)
        gone.cancel()
        await asyncio.gather(gone, return_exceptions=True)
        backend.open()
        await asyncio.gather(first, stays)
    assert backend.batches == [[1], [3]]


async def test_what_fails_fails_alone(backend: Held) -> None:
    async with running(backend) as engine:
        first = asyncio.create_task(engine.compute([item(1)]))
        await backend.busy()
        tasks = [asyncio.create_task(engine.compute([item(n)])) for n in (2, POISON, 4, 5)]
        await asyncio.sleep(0)
        backend.open()
        await first
        found = await asyncio.gather(*tasks, return_exceptions=True)
    assert [answers(one) for one in found if isinstance(one, Computed)] == [[2], [4], [5]]
    assert isinstance(found[1], ModelFailed)
    assert "index out of range" not in str(found[1])


@pytest.mark.parametrize(("most", "fits"), [(2, True), (1, False)])
async def test_what_does_not_fit_the_device_is_tried_once_more_in_halves(backend: Held, most: int, fits: bool) -> None:
    backend.most = most
    backend.open()
    async with running(backend) as engine:
        task = asyncio.create_task(engine.compute([item(n) for n in (1, 2, 3, 4)]))
        (found,) = await asyncio.gather(task, return_exceptions=True)
    assert isinstance(found, Computed if fits else OutOfMemory)
    assert [len(batch) for batch in backend.batches] == [4, 2, 2]


async def test_of_a_batch_that_fails_the_log_has_one_traceback(backend: Held, caplog: pytest.LogCaptureFixture) -> None:
    backend.open()
    async with running(backend) as engine:
        with pytest.raises(ModelFailed):
            await engine.compute([item(POISON)] * 8)
    assert len(backend.batches) == 15
    assert [record.exc_info is not None for record in caplog.records] == [True]


async def test_a_device_that_is_lost_is_not_asked_again_for_halves() -> None:
    class Lost(Held):
        def forward(self, items: Sequence[Item]) -> Sequence[Floats]:
            self.batches.append([len(items)])
            raise DeviceLost("gone")

    backend = Lost()
    async with running(backend) as engine:
        with pytest.raises(DeviceLost):
            await engine.compute([item(1)] * 8)
    assert backend.batches == [[8]]


async def test_when_the_engine_itself_fails_everybody_is_told_that_it_never_will_answer() -> None:
    class Odd(Held):
        def cost(self, items: int, longest: int, tokens: int) -> int:
            if self.batches:
                raise MemoryError
            return items * longest

    backend = Odd()
    async with running(backend) as engine:
        first = asyncio.create_task(engine.compute([item(1)]))
        await backend.busy()
        others = [asyncio.create_task(engine.compute([item(n)])) for n in (2, 3)]
        await asyncio.sleep(0)
        backend.open()
        async with asyncio.timeout(20):
            found = await asyncio.gather(first, *others, return_exceptions=True)
        assert [type(one) for one in found] == [DeviceLost] * 3
        with pytest.raises(DeviceLost):
            await engine.compute([item(4)])


async def test_each_batch_is_told_of(backend: Held) -> None:
    seen: list[Batch] = []
    backend.open()
    async with running(backend, observe=seen.append) as engine:
        await engine.compute([item(1, 10), item(2, 30)])
    assert [(batch.items, batch.tokens, batch.cost) for batch in seen] == [(2, 40, 60)]

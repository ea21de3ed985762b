"""What is encoded beside the event loop: no more than somebody waits for, and no more than can be waited for."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from classifier_runtime.core import service as module
from classifier_runtime.core.job import Computed, Floats, Instance, Item, Outcome
from classifier_runtime.core.options import Options
from classifier_runtime.core.service import Service
from classifier_runtime.errors import Overloaded
from classifier_runtime.tasks.base import Encoded


class Slow:
    """A task of one letter a step; it stops at the gate before each."""

    name = "slow"

    def __init__(self) -> None:
        self.gate = threading.Semaphore(0)
        self.entered = threading.Semaphore(0)
        self.left = threading.Event()
        self.seen: list[str | None] = []

    def check(self, instance: Instance) -> None: ...

    def encode(self, instances: Sequence[Instance], go_on: Callable[[], None] = lambda: None) -> Encoded[None]:
        try:
            for instance in instances:
                self.entered.release()
                self.gate.acquire()
                go_on()
                self.seen.append(instance.text)
        finally:
            self.left.set()
        return Encoded([], None)

    def decode(self, instances: Sequence[Instance], encoded: object, logits: Sequence[Floats]) -> Sequence[Outcome]:
        return []


class Nothing:
    async def compute(self, items: Sequence[Item]) -> Computed:
        return Computed(())


@pytest.fixture
def task() -> Slow:
    return Slow()


@pytest.fixture
def service(task: Slow, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(module, "_FEW_BYTES", 0)
    made = Service(task, Nothing(), threads=1)
    yield made
    task.gate.release(100)
    made.close()


def texts(*found: str) -> list[Instance]:
    return [Instance(Options(), text=text) for text in found]


async def test_when_the_client_goes_the_rest_is_not_encoded(service: Service, task: Slow) -> None:
    asked = asyncio.create_task(service.classify(texts("a", "b", "c")))
    await asyncio.to_thread(task.entered.acquire)
    waiting = asyncio.create_task(service.classify(texts("d")))
    await asyncio.sleep(0)
    for one in (asked, waiting):
        one.cancel()
    await asyncio.wait((asked, waiting))
    task.gate.release(100)
    await asyncio.to_thread(task.left.wait, 20)
    await service.classify(texts("e"))
    assert task.seen == ["e"]


async def test_who_finds_too_much_to_be_encoded_is_told_to_come_again(
    service: Service, task: Slow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_BYTES", 3)
    first = asyncio.create_task(service.classify(texts("aaaaa")))  # a lone one is taken, however large
    await asyncio.to_thread(task.entered.acquire)
    with pytest.raises(Overloaded) as caught:
        await service.classify(texts("b"))
    assert caught.value.retry_after >= 1
    task.gate.release(100)
    await first
    await service.classify(texts("b"))
    assert task.seen == ["aaaaa", "b"]


async def test_a_short_text_is_encoded_where_it_arrives_and_others_beside_the_event_loop() -> None:
    threads = []

    class Told(Slow):
        def encode(self, instances: Sequence[Instance], go_on: Callable[[], None] = lambda: None) -> Encoded[None]:
            threads.append(threading.current_thread())
            return Encoded([], None)

    service = Service(Told(), Nothing(), threads=1)
    for text in ("short", "long" * 1000):
        await service.classify(texts(text))
    service.close()

    assert [one is threading.main_thread() for one in threads] == [True, False]

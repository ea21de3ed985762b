"""A request's way: checked, encoded beside the event loop, computed in batches with others, decoded."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, Final, Protocol, TypeVar

from classifier_runtime.core.job import Computed, Instance, Item, Result, Timings
from classifier_runtime.tasks.base import Task

T = TypeVar("T")

_FEW_LOGITS: Final = 1024
"""Up to here decoding takes less than a millisecond, and a thread's hand-over would take longer than most of it."""


class Computes(Protocol):
    """`core.engine.Engine`, as far as it is used here."""

    async def compute(self, items: Sequence[Item]) -> Computed: ...


class Service:
    """One model, ready to classify.

    :param threads: for encoding and decoding, which release the interpreter's lock for most of their time
    """

    def __init__(self, task: Task[Any], engine: Computes, *, threads: int) -> None:
        self.task = task
        self._engine = engine
        self._pool = ThreadPoolExecutor(threads, "encode")

    async def classify(self, instances: Sequence[Instance]) -> Result:
        """The result of a request.

        :raises RequestError: why there is none
        """
        if not instances:
            return Result(())
        for instance in instances:
            self.task.check(instance)
        began = time.perf_counter()
        encoded = await self._beside(partial(self.task.encode, instances))
        encoding = time.perf_counter() - began
        computed = await self._engine.compute(encoded.items)
        decoding = time.perf_counter()
        decode = partial(self.task.decode, instances, encoded, computed.logits)
        few = sum(row.size for row in computed.logits) <= _FEW_LOGITS
        outcomes = decode() if few else await self._beside(decode)
        return Result(
            outcomes,
            truncated=encoded.truncated,
            tokens=sum(item.tokens for item in encoded.items),
            timings=Timings(encoding, computed.queue, computed.forward, time.perf_counter() - decoding, began),
        )

    async def _beside(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._pool, work)

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)

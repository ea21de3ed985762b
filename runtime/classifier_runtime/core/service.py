"""A request's way: checked, encoded beside the event loop, computed in batches with others, decoded."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, Final, Protocol, TypeVar

from classifier_runtime.core.job import Computed, Instance, Item, Result, Timings
from classifier_runtime.errors import Overloaded
from classifier_runtime.tasks.base import Encoded, Task

T = TypeVar("T")

_FEW_LOGITS: Final = 1024
"""Up to here decoding takes less than a millisecond, and a thread's hand-over would take longer than most of it."""
_FEW_BYTES: Final = 1024
"""Up to here encoding takes a tenth of a millisecond (38 tokens: 70 us), and threads are for what would keep others
waiting: handing it over costs as much again, a twentieth of the texts a second of an int8 model."""
MOST_BYTES: Final = 33_554_432
"""That may wait to be encoded: as many as the largest request has. At most of a second a megabyte, who comes then would
wait for most of a deadline before the model is reached."""
_IMAGE_BYTES: Final = 65_536
"""That an image counts as at least: of a small one, too, there can be much to decode."""


class Gone(Exception):
    """Nobody waits for what is being encoded."""


class _Wanted:
    """Whether somebody waits."""

    __slots__ = ("gone",)

    def __init__(self) -> None:
        self.gone = False

    def check(self) -> None:
        if self.gone:
            raise Gone


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
        self._bytes = 0

    async def classify(self, instances: Sequence[Instance]) -> Result:
        """The result of a request.

        :raises RequestError: why there is none
        """
        if not instances:
            return Result(())
        for instance in instances:
            self.task.check(instance)
        began = time.perf_counter()
        encoded = await self._encoded(instances)
        encoding = time.perf_counter() - began
        computed = await self._engine.compute(encoded.items)
        decoding = time.perf_counter()
        decode = partial(self.task.decode, instances, encoded, computed.logits)
        few = sum(row.size for row in computed.logits) <= _FEW_LOGITS
        outcomes = decode() if few else await self.beside(decode)
        return Result(
            outcomes,
            truncated=encoded.truncated,
            tokens=sum(item.tokens for item in encoded.items),
            timings=Timings(encoding, computed.queue, computed.forward, time.perf_counter() - decoding, began),
        )

    async def _encoded(self, instances: Sequence[Instance]) -> Encoded[Any]:
        """Who goes leaves the rest undone.

        :raises Overloaded: too much is to be encoded before it
        """
        size = sum(map(_bytes, instances))
        if self._bytes and self._bytes + size > MOST_BYTES:
            raise Overloaded("as much is waiting to be read as may; come again")
        wanted = _Wanted()
        if size <= _FEW_BYTES:
            return self.task.encode(instances, wanted.check)
        self._bytes += size
        try:
            return await self.beside(partial(self.task.encode, instances, wanted.check))
        finally:
            wanted.gone = True
            self._bytes -= size

    async def beside(self, work: Callable[[], T]) -> T:
        """In the threads that encode and decode."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, work)

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)


def _bytes(instance: Instance) -> int:
    """Roughly: of a text its characters."""
    if instance.image is not None:
        return max(len(instance.image), _IMAGE_BYTES)
    return (len(instance.text or "") + len(instance.text_pair or "")) * (len(instance.options.candidate_labels) or 1)

"""A queue of things to bring in order: each by its key, one at a time, again after a failure."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Hashable
from typing import Final, Generic, TypeVar

from pullsizer.controller.metrics import WORK_ERRORS
from pullsizer.controller.turns import Turns
from pullsizer.errors import ClusterError

log = logging.getLogger(__name__)

K = TypeVar("K", bound=Hashable)

_FIRST: Final = 0.5
_LONGEST: Final = 300.0
"""Seconds between tries of what fails for ever: an object that the API server refuses, a right that is missing."""


class WorkQueue(Generic[K]):
    """Keys in, calls of `work(key)` out: never two at once for one key, never more than `workers` in all.

    A key that is added while it is worked on is worked on once more afterwards. Whatever `work` raises is logged,
    counted and tried again, later each time.

    :param tenant: of a key. Tenants take turns: one with thousands of keys is no other's long wait
    """

    def __init__(
        self,
        name: str,
        work: Callable[[K], Awaitable[None]],
        *,
        workers: int,
        tenant: Callable[[K], str] = lambda _: "",
    ) -> None:
        self._name = name
        self._work = work
        self._workers = workers
        self._tenant = tenant
        self._queued: Turns[str, K] = Turns()
        self._ready = asyncio.Semaphore(0)
        self._running: set[K] = set()
        self._again: set[K] = set()
        self._timers: dict[K, asyncio.TimerHandle] = {}
        self._failures: dict[K, int] = {}

    def add(self, key: K, after: float = 0) -> None:
        """Work on the key, now or in some seconds; the earliest of several such wishes counts."""
        timer = self._timers.get(key)
        if after > 0:
            loop = asyncio.get_running_loop()
            if timer is None or timer.when() > loop.time() + after:
                if timer is not None:
                    timer.cancel()
                self._timers[key] = loop.call_later(after, self._due, key)
            return
        if timer is not None:
            timer.cancel()
            del self._timers[key]
        if key in self._running:
            self._again.add(key)
        elif key not in self._queued:
            self._queued.put(key, self._name, 0, (self._tenant(key),))
            self._ready.release()

    def _due(self, key: K) -> None:
        del self._timers[key]
        self.add(key)

    async def run(self) -> None:
        """Forever, until cancelled."""
        async with asyncio.TaskGroup() as group:
            for _ in range(self._workers):
                group.create_task(self._worker())

    async def _worker(self) -> None:
        while True:
            await self._ready.acquire()
            turn = self._queued.pop((), lambda _: True)
            assert turn is not None
            key = turn.item
            self._running.add(key)
            try:
                await self._work(key)
            except ClusterError as error:
                self._failed(key, error)
            except Exception as error:  # nothing that a user wrote may end a worker
                log.exception("work failed queue=%s key=%s", self._name, key)
                self._failed(key, error)
            else:
                self._failures.pop(key, None)
            finally:
                self._running.discard(key)
            if key in self._again:
                self._again.discard(key)
                self.add(key)

    def _failed(self, key: K, error: Exception) -> None:
        WORK_ERRORS.labels(self._name).inc()
        tries = self._failures[key] = self._failures.get(key, 0) + 1
        pause = min(_FIRST * 2 ** min(tries - 1, 20), _LONGEST) * random.uniform(0.8, 1.2)  # noqa: S311 - jitter
        if isinstance(error, ClusterError):
            log.warning("work failed queue=%s key=%s retry_in=%.1f error=%s", self._name, key, pause, error)
        self.add(key, after=pause)

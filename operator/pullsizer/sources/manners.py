"""How a good guest asks: not too much at once of one store or one host, and not while it asked to be left alone."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

from pullsizer.errors import MeasureError
from pullsizer.model import Store
from pullsizer.sources.failures import failure

HUB_CALLS: Final = 72
"""Of the Hub at once: 200 new services are three rounds, at 300 ms a call about a second."""
CALLS: Final = 16
"""Of any other kind of store at once, a quarter of it. Anybody can put up a slow server: it holds up only others of
its kind."""
HOST_CALLS: Final = 8
"""Of one host at once, but for the Hub: what a small store on somebody's desk answers without trouble."""


@dataclass(eq=False)
class _Host:
    room: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(HOST_CALLS))
    guests: int = 0


class Manners:
    """Turns at stores."""

    def __init__(self) -> None:
        self._stores: defaultdict[Store, asyncio.Semaphore] = defaultdict(lambda: asyncio.Semaphore(CALLS))
        self._stores["hf"] = asyncio.Semaphore(HUB_CALLS)
        self._hosts: defaultdict[str, _Host] = defaultdict(_Host)
        self._paused: dict[tuple[str, str], float] = {}

    @asynccontextmanager
    async def turn(self, store: Store, host: str, scope: str) -> AsyncIterator[None]:
        """One question's time at a host, once there is room.

        A host that answers `RateLimited` is left alone, by all who ask it with the same credentials, for as long as it
        said: hosts limit by account and address, not by model.

        :raises MeasureError: RateLimited, at once, while that time lasts
        """
        async with self._stores[store], self._place(store, host):
            self._check(host, scope)
            try:
                yield
            except MeasureError as error:
                if error.reason == "RateLimited":
                    self._pause(host, scope, error.retry_after)
                raise

    @asynccontextmanager
    async def _place(self, store: Store, host: str) -> AsyncIterator[None]:
        if store == "hf":
            yield
            return
        place = self._hosts[host]
        place.guests += 1
        try:
            async with place.room:
                yield
        finally:
            place.guests -= 1
            if not place.guests:
                del self._hosts[host]

    def _check(self, host: str, scope: str) -> None:
        left = self._paused.get((host, scope), 0) - asyncio.get_running_loop().time()
        if left > 0:
            raise failure("RateLimited", f"{host} asked for fewer questions for a while", left)

    def _pause(self, host: str, scope: str, seconds: float) -> None:
        now = asyncio.get_running_loop().time()
        self._paused = {other: until for other, until in self._paused.items() if until > now}
        until = max(now + seconds, self._paused.get((host, scope), 0))
        self._paused[host, scope] = until

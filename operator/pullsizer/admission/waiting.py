"""The bounded wait of a new service's first pod for the size of its model.

The controller learns of a service milliseconds before its first pod is admitted; measuring takes a few hundred more. So
the pod waits, on an event in memory, and a breaker sees to it that a source that does not answer costs that only a few
times.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Final

OPEN_AFTER: Final = 3
"""Time-outs in a row that open the breaker."""
OPEN_SECONDS: Final = 30.0
"""After so long pods may wait again, until the next time-out: in twice the Lease's duration a new controller has taken
over."""


class Breaker:
    """Opens after time-outs in a row, and closes with the next answer that came in time."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._failures = 0
        self._retry_at = 0.0

    @property
    def open(self) -> bool:
        return self._failures >= OPEN_AFTER and self._clock() < self._retry_at

    def succeeded(self) -> None:
        self._failures = 0

    def timed_out(self) -> None:
        self._failures += 1
        if self._failures >= OPEN_AFTER:
            self._retry_at = self._clock() + OPEN_SECONDS


class Waiters:
    """Pods that wait for something to become known."""

    def __init__(self, breaker: Breaker | None = None) -> None:
        self.breaker = breaker or Breaker()
        self._changed = asyncio.Event()
        self.waiting = 0

    def notify(self) -> None:
        """Wake all who wait; each looks whether what it waits for is there."""
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    async def until(self, known: Callable[[], bool], seconds: float) -> bool:
        """Whether it became known in time. Comes back at once when the breaker opens meanwhile."""
        self.waiting += 1
        try:
            async with asyncio.timeout(seconds):
                while not known():
                    if self.breaker.open:
                        return False
                    await self._changed.wait()
        except TimeoutError:
            self.breaker.timed_out()
            if self.breaker.open:
                self.notify()
            return False
        finally:
            self.waiting -= 1
        self.breaker.succeeded()
        return True
